"""A socket between clients and a daemon, whose connections can be cut without either of them being harmed."""
import contextlib
import os
import selectors
import socket
import threading


class Relay:
    """One thread; a context. Clients connect to `path`. cut(): all connections end; new ones go through again."""

    def __init__(self, path, daemon_path):
        self.path, self.daemon_path = path, daemon_path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(64)
        self.others = {}  # socket: the one on the other side
        self.wake, self.woken = socket.socketpair()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.say(b"q")
        self.thread.join()
        for sock in (self.listener, self.wake, self.woken):
            sock.close()
        os.unlink(self.path)

    def say(self, word):
        """Answered when it is done."""
        self.wake.sendall(word)
        assert self.wake.recv(1) == word

    def cut(self):
        self.say(b"c")

    def drop(self, selector, *socks):
        for sock in socks:
            selector.unregister(sock)
            self.others.pop(sock)
            sock.close()

    def connect(self, selector):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(self.daemon_path)
        for sock, other in ((client, server), (server, client)):
            self.others[sock] = other
            selector.register(sock, selectors.EVENT_READ)

    def pass_on(self, selector, sock):
        data = b""
        with contextlib.suppress(OSError):
            data = sock.recv(65536)
            self.others[sock].sendall(data)
        if not data:
            self.drop(selector, sock, self.others[sock])

    def serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            word = b""
            while word != b"q":
                ready = [key.fileobj for key, _ in selector.select()]
                for sock in ready:
                    if sock in self.others:
                        self.pass_on(selector, sock)
                if self.listener in ready:
                    self.connect(selector)
                if self.woken in ready:
                    word = self.woken.recv(1)
                    self.drop(selector, *list(self.others))
                    self.woken.sendall(word)
