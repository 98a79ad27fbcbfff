"""MongoDB servers for the tests: started by tests/servers/mongo-server, stopped and continued by signals; and servers that are
only played: one that is away, one that is silent."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid

from kit import proc

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "servers", "mongo-server")
START_SECONDS = 600  # the first time it is fetched or built

# Short, so that a test of a server that is away is short. Seconds.
SELECTION, CONNECT, SOCKET = 0.6, 0.4, 0.8
TIMEOUTS = f"server_selection_timeout = {SELECTION}s\nconnect_timeout = {CONNECT}s\nsocket_timeout = {SOCKET}s\n"


def names():
    """The servers that this machine may have, the quick ones first. With a URI of the user's own: that one."""
    if os.environ.get("WORKPOOL_MONGODB_URI"):
        return ["uri"]
    found = ["mongod"] if shutil.which("mongod") else []
    return found + ["secantusdb"] + (["ferretdb"] if shutil.which("go") else [])


class Nurse:
    """A process of its own that looks after one server: what a test starts anew is its child and not the test's. It takes a word a
    line, and answers each with a line of JSON; at the end of its input it stops the server."""

    def __init__(self, name, directory):
        self.name, self.dir, self.pid = name, directory, None

    def script(self, *args):
        return subprocess.run([SCRIPT, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS, check=False)

    def start(self):
        ended = self.script("start", self.dir, *([] if self.name == "uri" else [self.name]))
        told = self.script("pid", self.dir).stdout.strip()
        self.pid = int(told) if told else None
        return {"code": ended.returncode, "said": (ended.stdout if ended.returncode == 0 else ended.stderr).strip()}

    def stop(self):
        self.script("stop", self.dir)
        return self.reap()

    def reap(self):
        """Waits for its end."""
        if self.pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = None
        return {}

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        return self.reap()

    def freeze(self):
        """Answered when all its threads have stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        status = os.waitpid(self.pid, os.WUNTRACED)[1]
        return {"stopped": os.WIFSTOPPED(status)}

    def thaw(self):
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)
        return {}

    def serve(self):
        proc.become_subreaper()
        words = {word: getattr(self, word) for word in ("start", "stop", "kill", "freeze", "thaw")}
        for line in sys.stdin:
            print(json.dumps(words[line.strip()]()), flush=True)
        self.thaw()
        self.stop()


class Server:
    """Raises LookupError with the reason when there is none to be had."""

    def __init__(self, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="wp-mongo-")
        self.is_up = False
        self.uri = None
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.nurse = subprocess.Popen([sys.executable, "-c", "import sys; from kit import mongo; mongo.Nurse(*sys.argv[1:]).serve()",
                                       name, self.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here)
        self.start()

    def _ask(self, word):
        self.nurse.stdin.write(word + "\n")
        self.nurse.stdin.flush()
        return json.loads(self.nurse.stdout.readline())

    def start(self):
        told = self._ask("start")
        if told["code"] != 0:
            self.close()
            raise LookupError(told["said"])
        self.uri, _, self.what = told["said"].partition("\t")
        self.is_up = True

    def close(self):
        self.nurse.stdin.close()
        self.nurse.stdout.close()
        self.nurse.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def kill(self):
        self._ask("kill")
        self.is_up = False

    @contextlib.contextmanager
    def stopped(self):
        """SIGSTOP: connections are accepted by the kernel, and nobody answers."""
        assert self._ask("freeze")["stopped"]
        try:
            yield
        finally:
            self._ask("thaw")


def config(uri, handlers, *, workers=4, timeouts="", collection=None, text=""):
    """A configuration: {handler: {key: value}}, all on one collection, a new one unless it is named."""
    collection = collection or "c" + uuid.uuid4().hex[:12]
    lines = [f"[mongodb]\nuri = {uri}\n{timeouts}", f"[pool default]\nworkers = {workers}\ncapacity = 1000\n", text]
    for name, keys in handlers.items():
        keys = {"database": "workpool_test", "collection": collection, "operation": name} | keys
        lines.append(f"[handler {name}]\ntype = mongodb\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    return "\n".join(lines)


def free_port():
    """A port of 127.0.0.1 on which nobody listens; nobody else gets it soon."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def away_uri():
    return f"mongodb://127.0.0.1:{free_port()}"


@contextlib.contextmanager
def silent_server():
    """Listens and takes connections, but never says a word. Yields its URI."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        yield f"mongodb://127.0.0.1:{sock.getsockname()[1]}"


def without_ids(documents):
    return [{key: value for key, value in document.items() if key != "_id"} for document in documents]


def is_object_id(value):
    return isinstance(value, dict) and set(value) == {"$oid"} and re.fullmatch(r"[0-9a-f]{24}", value["$oid"]) is not None
