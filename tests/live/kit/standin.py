"""A server that is only played: it counts how many clients are in it at once, answers each after a while, and can go away and come
back on the same port."""
import heapq
import selectors
import socket
import threading
import time

PAUSE = 0.05  # seconds until a client is answered
# A client of it: fails (3) when there is no server, and when it gets no answer (4).
CLIENT = """
exec 3<>/dev/tcp/127.0.0.1/{port} || exit 3
read -r -t 10 word <&3 && [ "$word" = ok ] || exit 4
"""


class StandIn:
    """One thread. A client is in from when it is accepted until it has closed its end, so that whoever comes when another has gone finds
    that one gone here, too."""

    def __init__(self, pause=PAUSE):
        self.pause = pause
        self.port = 0
        self.most = self.served = self.here = 0
        self.thread = self.listener = None
        self.wake, self.woken = socket.socketpair()
        self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.wake.close()
        self.woken.close()

    def open(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(256)
        self.port = listener.getsockname()[1]
        self.listener = listener
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        """It is gone with all that is in it."""
        if self.thread:
            self.wake.send(b"x")
            self.thread.join()
            self.thread = None

    def serve(self):
        answers = []
        with selectors.DefaultSelector() as selector, self.listener:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            clients = set()
            while True:
                ready = [key.fileobj for key, _ in selector.select(max(0, answers[0][0] - time.monotonic()) if answers else None)]
                for sock in clients.intersection(ready):  # who has gone, before who comes
                    selector.unregister(sock)
                    clients.remove(sock)
                    sock.close()
                if self.woken in ready:
                    self.woken.recv(16)
                    for sock in clients:
                        sock.close()
                    self.here = 0
                    return
                if self.listener in ready:
                    sock = self.listener.accept()[0]
                    selector.register(sock, selectors.EVENT_READ)
                    clients.add(sock)
                    heapq.heappush(answers, (time.monotonic() + self.pause, sock.fileno(), sock))
                self.here = len(clients)
                self.most = max(self.most, self.here)
                while answers and answers[0][0] <= time.monotonic():
                    self.answer(heapq.heappop(answers)[2])

    def answer(self, sock):
        self.served += 1  # before: whoever has the answer may look
        try:
            sock.sendall(b"ok\n")
        except OSError:  # it has gone
            self.served -= 1
