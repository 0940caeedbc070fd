"""A server on paramiko: paramiko_server.py HOSTKEY AUTHORIZED_KEYS; prints its port.

exec runs the command with /bin/sh; standard input, output and exit status are passed.
"""
import base64
import socket
import subprocess
import sys
import threading

import paramiko


class Policy(paramiko.ServerInterface):
    def __init__(self, allowed):
        self.allowed = allowed

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.asbytes() in self.allowed else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command), daemon=True).start()
        return True


def run(channel, command):
    child = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)

    def feed():
        while True:
            block = channel.recv(32768)
            if not block:
                break
            child.stdin.write(block)
        child.stdin.close()

    threading.Thread(target=feed, daemon=True).start()
    errors = threading.Thread(target=lambda: channel.sendall_stderr(child.stderr.read()))
    errors.start()
    while True:
        block = child.stdout.read1(32768)
        if not block:
            break
        channel.sendall(block)
    errors.join()
    channel.send_exit_status(child.wait())
    channel.close()


def serve(sock, key, allowed):
    transport = paramiko.Transport(sock)
    transport.add_server_key(key)
    transport.start_server(server=Policy(allowed))


def main():
    key = paramiko.Ed25519Key(filename=sys.argv[1])
    with open(sys.argv[2]) as f:
        allowed = {base64.b64decode(line.split()[1]) for line in f if line.strip()}
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, key, allowed), daemon=True).start()


main()
