// A client on npm's russh (Rust): node russh_client.js PORT USER KEY HOST_PUBLIC_KEY KEX COMMAND
// Offers that one key exchange, takes that one host key, logs in by the key and runs the command with its own
// input, output and error. Ends with 0 when the channel was closed in order, 2 for a wrong host key, 3 for a
// refused user key, 4 for anything else. (The binding does not tell the command's exit status.)
const fs = require('fs');
const { SSHClient, KeyPair, SshTransport } = require('russh');

const [port, user, keyFile, hostFile, kex, command] = process.argv.slice(2);
const wanted = fs.readFileSync(hostFile, 'utf8').split(' ')[1];

function fail(status, text) {
  fs.writeSync(2, `russh: ${text}\n`);
  process.exit(status);
}

async function main() {
  let trusted = true;
  const check = async (key) => (trusted = key.base64() === wanted);
  const transport = await SshTransport.newSocket(`127.0.0.1:${port}`);
  const client = await SSHClient.connect(transport, check, { preferred: { kex: [kex] } })
    .catch((e) => fail(trusted ? 4 : 2, e.message));
  const key = await KeyPair.parse(fs.readFileSync(keyFile, 'utf8'));
  const session = await client.authenticateWithKeyPair(user, key, null);
  if (session.openSessionChannel === undefined)
    fail(3, `refused; the server goes on with ${session.remainingMethods}`);
  const channel = await session.activateChannel(await session.openSessionChannel());
  const closed = new Promise((done) => channel.closed$.subscribe({ next: done, complete: done }));
  channel.data$.subscribe((data) => fs.writeSync(1, data));
  channel.extendedData$.subscribe(([, data]) => fs.writeSync(2, data));
  await channel.requestExec(command);
  for await (const block of process.stdin)
    await channel.write(block);
  await channel.eof();
  await closed;
  await session.disconnect();
  process.exit(0);
}

main().catch((e) => fail(4, e.message));
