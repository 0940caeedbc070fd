// A server on npm's ssh2: node ssh2_server.js HOSTKEY AUTHORIZED_PUBLIC_KEY; prints its port.
// exec runs the command with /bin/sh; standard input, output and exit status are passed.
const fs = require('fs');
const { spawn } = require('child_process');
const { Server, utils } = require('ssh2');

const allowed = utils.parseKey(fs.readFileSync(process.argv[3]));
const server = new Server({ hostKeys: [fs.readFileSync(process.argv[2])] }, (client) => {
  client.on('authentication', (ctx) => {
    if (ctx.method !== 'publickey' || !ctx.key.data.equals(allowed.getPublicSSH()))
      return ctx.reject(['publickey']);
    if (ctx.signature && allowed.verify(ctx.blob, ctx.signature, ctx.hashAlgo) !== true)
      return ctx.reject(['publickey']);
    ctx.accept();
  });
  client.on('error', () => {});
  client.on('ready', () => client.on('session', (accept) => {
    const session = accept();
    session.on('pty', (ok) => ok && ok());
    session.on('exec', (ok, reject, info) => {
      const stream = ok();
      const child = spawn('/bin/sh', ['-c', info.command]);
      stream.pipe(child.stdin);
      child.stdout.pipe(stream, { end: false });
      child.stderr.pipe(stream.stderr, { end: false });
      child.on('close', (code) => { stream.exit(code === null ? 1 : code); stream.end(); });
    });
  }));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
