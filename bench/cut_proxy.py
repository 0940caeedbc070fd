"""A path that fails in the ways paths do: a proxy in front of a port, whose links can be cut, stalled and moved to
another address at a byte or a moment of the caller's choosing."""
import selectors
import socket
import sys
import threading
import time

CHUNK = 1 << 18


class Link:
    """One connection through the proxy."""

    def __init__(self, client, server):
        self.client, self.server, self.bytes, self.dead = client, server, 0, False

    def end(self, how):
        """By a reset of both ends, or by an orderly end of both streams."""
        self.dead = True
        for s in (self.client, self.server):
            try:
                if how == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, sys.byteorder) + bytes(4))
                else:
                    s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class CutProxy:
    def __init__(self, port):
        self.target, self.source, self.barred = port, None, False
        self.links, self.lock, self.cuts, self.accepted = [], threading.Lock(), 0, []
        self.stalled_until = 0.0
        self.limit = None  # (bytes over all links, what to do then)
        self.total = 0
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listening.getsockname()[1]
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self.open:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            if self.barred:
                client.close()
                continue
            try:
                server = socket.socket()
                if self.source is not None:
                    server.bind((self.source, 0))
                server.connect(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, server)
            with self.lock:
                self.links.append(link)
                self.accepted.append(time.monotonic())
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        other = {link.client: link.server, link.server: link.client}
        with selectors.DefaultSelector() as ready:
            for s in other:
                ready.register(s, selectors.EVENT_READ)
            try:
                while len(ready.get_map()) > 0 and not link.dead:
                    for key, _ in ready.select(0.2):
                        wait = self.stalled_until - time.monotonic()
                        if wait > 0:
                            time.sleep(min(wait, 0.05))
                            continue
                        if not self._pass(link, key.fileobj, other[key.fileobj], ready):
                            return
            except (OSError, ValueError, KeyError):
                pass
            finally:
                if not link.dead:
                    link.end("fin")
                with self.lock:
                    if link in self.links:
                        self.links.remove(link)

    def _pass(self, link, source, sink, ready):
        room = CHUNK
        if self.limit is not None:
            room = max(1, min(room, self.limit[0] - self.total))
        data = source.recv(room)
        if not data:
            ready.unregister(source)
            sink.shutdown(socket.SHUT_WR)
            return True
        sink.sendall(data)
        link.bytes += len(data)
        self.total += len(data)
        if self.limit is not None and self.total >= self.limit[0]:
            act, self.limit = self.limit[1], None
            act()
        return not link.dead

    # ---- faults ----

    def cut(self, how="reset"):
        with self.lock:
            links, self.links = self.links, []
        for link in links:
            link.end(how)
        self.cuts += len(links) > 0

    def stall(self, seconds):
        """Nothing passes and nobody is told."""
        self.stalled_until = time.monotonic() + seconds
        self.cuts += 1

    def at_byte(self, n, act):
        """act() when n more bytes have passed, both ways together."""
        self.limit = (self.total + max(1, n), act)

    def close(self):
        self.open = False
        self.listening.close()
        self.limit = None
        self.cut()
