"""A way between client and server that fails as a test wants: cut at any byte, by FIN or RST, or gone silent. Threads of the test's own process."""
import random
import select
import socket
import struct
import threading


class Cutter:
    """Listens on `port` and passes bytes on to `target`."""

    def __init__(self, target, seed=1):
        self.target, self.random = target, random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pairs, self.hushed, self.threads = [], [], []
        self.links, self.passed = 0, 0
        self.refuses = self.silent = self.stopped = False
        self.limit = None  # bytes in both directions until the next cut
        self.plan = iter(())
        self.cuts = 0
        self.start(self.accept)

    def start(self, what, *args):
        t = threading.Thread(target=what, args=args, daemon=True)
        self.threads.append(t)
        t.start()

    def accept(self):
        while not self.stopped:
            ready, _, _ = select.select([self.listener], [], [], 0.1)
            if not ready:
                continue
            near, _ = self.listener.accept()
            if self.refuses or self.stopped:
                self.close(near, True)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                near.close()
                continue
            for s in (near, far):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links += 1
            with self.lock:
                self.pairs.append((near, far))
            self.start(self.pump, near, far)

    def pump(self, near, far):
        """Until one end closes, or somebody has taken the pair away."""
        other = {near: far, far: near}
        silent = self.silent
        while not self.stopped and (near, far) in self.pairs:
            try:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                if self.silent or silent or (near, far) in self.hushed:
                    silent = True  # for ever: what was under way is lost
                    threading.Event().wait(0.05)
                    continue
                for s in ready:
                    data = s.recv(65536)
                    if not data:
                        return self.drop(near, far, False)
                    if self.limit is not None and len(data) >= self.limit:
                        other[s].sendall(data[:self.limit])
                        self.drop(near, far, self.cuts % 2 == 1)
                        self.cuts += 1
                        self.limit = next(self.plan, None)
                        return None
                    if self.limit is not None:
                        self.limit -= len(data)
                    self.passed += len(data)
                    other[s].sendall(data)
            except (OSError, ValueError):
                return self.drop(near, far, False)
        return None

    def close(self, sock, reset):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            if not reset:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    def drop(self, near, far, reset):
        with self.lock:
            if (near, far) not in self.pairs:
                return
            self.pairs.remove((near, far))
        self.close(near, reset)
        self.close(far, reset)

    def cut(self, reset=False):
        """All links, now."""
        for near, far in list(self.pairs):
            self.drop(near, far, reset)

    def hush(self):
        """All links that there are go silent for ever; those to come pass."""
        self.hushed = list(self.pairs)

    def cut_after(self, *sizes):
        """Cuts after so many bytes, again and again; RST and FIN take turns."""
        self.plan = iter(sizes)
        self.limit = next(self.plan, None)

    def cut_at_random(self, times, most):
        self.cut_after(*(self.random.randrange(1, most) for _ in range(times)))

    def stop(self):
        self.stopped = True
        self.cut()
        for t in self.threads:
            t.join(10)
        self.listener.close()
