"""libworkpool(3) as it is installed: the header in C and C++, the example with the shared and the static library, the manual's examples,
and the library's functions against a real daemon."""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from kit import cli
from kit.client import DEADLINE
from kit.daemon import clean_environment

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("WORKPOOL_BUILD") or os.getcwd())
WAIT_MS = int(DEADLINE * 1000)
CODES = {"FULL": -8, "TIMED_OUT": -5, "CLOSED": -6, "IDLE": -9, "AT_CAPACITY": -33, "DUPLICATE": -34, "NO_SUCH_HANDLER": -37,
         "MALFORMED_MESSAGE": -45, "MESSAGE_TOO_LONG": -46, "INVALID_PARAMETER": -67, "EXPECTED_MORE": -69}
MORE, ONEWAY = 1, 2


def run(*command, cwd=None, env=None, code=0, stdin=""):
    ended = subprocess.run(list(map(str, command)), cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False,
                           timeout=20 * DEADLINE)
    assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


class Installed:
    """What `make install` makes, in a directory of its own."""

    def __init__(self, root):
        self.root = root
        make_env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR")}
        run("make", "-s", "-C", BUILD, "install", f"DESTDIR={root}", env=make_env)
        found = [os.path.join(path, "workpool.pc") for path, _, files in os.walk(root) if "workpool.pc" in files]
        assert len(found) == 1
        self.libdir = os.path.dirname(os.path.dirname(found[0]))
        self.env = os.environ | {"PKG_CONFIG_PATH": os.path.dirname(found[0]), "PKG_CONFIG_SYSROOT_DIR": str(root),
                                 "LD_LIBRARY_PATH": self.libdir}
        self.shared = os.path.join(self.libdir, "libworkpool.so.0")

    def flags(self, *args):
        return run("pkg-config", *args, "workpool", env=self.env).split()

    def compile(self, compiler, source, program, *flags, static=False):
        libs = self.flags("--libs")
        libs = ["-Wl,-Bstatic", *libs, "-Wl,-Bdynamic"] if static else libs
        run(*compiler, "-Wall", "-Wextra", "-Werror", *self.flags("--cflags"), "-o", program, source, *flags, *libs)

    def run(self, daemon, *command, **options):
        return run(*command, env=self.env | {"WORKPOOL_SOCKET": daemon.path}, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"))


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path))


# Compiling and linking.

@pytest.mark.parametrize("compiler", [("gcc", "-std=c99", "-pedantic-errors"), ("gcc", "-std=gnu17"), ("g++", "-std=c++98", "-pedantic-errors", "-Wno-long-long"),
                                      ("g++", "-std=c++17", "-pedantic-errors")], ids=lambda words: words[1])
def test_header_is_c99_and_cplusplus(installed, start, tmp_path, compiler):
    source = tmp_path / ("one.c" if compiler[0] == "gcc" else "one.cc")
    source.write_text("""#include <workpool.h>
        int main(void)
        {
            struct workpool_post_options options = WORKPOOL_POST_OPTIONS;
            struct workpool *wp = workpool_new(NULL);
            struct workpool_reply *reply = NULL;
            int code = workpool_open(wp, 0);
            options.wait = 1;
            if (code == 0)
                code = workpool_post(wp, "noop", "{}", &options, -1, &reply);
            workpool_reply_free(reply);
            workpool_free(wp);
            return code != 0;
        }
        """)
    installed.compile(compiler, source, tmp_path / "one")
    installed.run(start(), tmp_path / "one")


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_names_of_the_program_are_its_own(installed, start, tmp_path, static):
    """What the library is made of has names that many programs have, too."""
    (tmp_path / "names.c").write_text("""#include <workpool.h>
        int buf_append(void) { return 1; }
        int json_write(void) { return 2; }
        int view_of, str_is_utf8, clock_now_us, scan_value, fail;
        int main(void)
        {
            struct workpool *wp = workpool_new(NULL);
            int code = workpool_open(wp, 0);
            if (code == 0)
                code = workpool_call(wp, "Stats", "{}", -1, NULL);
            workpool_free(wp);
            return code != 0 || buf_append() != 1 || json_write() != 2;
        }
        """)
    installed.compile(("gcc",), tmp_path / "names.c", tmp_path / "names", static=static)
    assert ("libworkpool.so.0" in needed(tmp_path / "names")) is not static
    installed.run(start(), tmp_path / "names")


def test_library_needs_libc_only_and_wpctl_needs_no_library(installed):
    assert [name.split(".")[0] for name in needed(installed.shared)] == ["libc"]
    assert not [name for name in needed(cli.program("wpctl")) if "workpool" in name]


# The example.

@pytest.mark.parametrize("target", ["post", "post-static"])
def test_example_posts_many_and_prints_their_ends_in_order(installed, start, tmp_path, target):
    folder = shutil.copytree(os.path.join(SOURCE, "doc", "examples", "client"), tmp_path / "client")
    run("make", "-s", target, "CFLAGS=-Werror -O2", cwd=folder, env=installed.env)
    assert ("libworkpool.so.0" in needed(folder / target)) is (target == "post")
    daemon = start("[pool default]\ncapacity = 20000\n")
    lines = [f'{{"n": {i}, "text": "{"x" * 200}"}}' for i in range(10000)]
    out = installed.run(daemon, folder / target, "echo", stdin="\n".join(lines) + "\n").splitlines()
    ends = [line.split(" ", 2) for line in out]
    assert [end[:2] for end in ends] == [[str(i + 1), "done"] for i in range(len(lines))]
    assert [json.loads(end[2])["n"] for end in ends] == list(range(len(lines)))


def test_example_says_what_was_refused(installed, start, tmp_path):
    folder = shutil.copytree(os.path.join(SOURCE, "doc", "examples", "client"), tmp_path / "client")
    run("make", "-s", "post", cwd=folder, env=installed.env)
    daemon = start()
    ended = subprocess.run([folder / "post", "sleep"], input='{"ms": 1}\n{"ms": "x"}\n', capture_output=True, text=True, check=False,
                           env=installed.env | {"WORKPOOL_SOCKET": daemon.path}, timeout=DEADLINE)
    assert (ended.returncode, ended.stdout) == (1, "1 done -\n"), ended
    assert "line 2: a parameter is wrong" in ended.stderr and "args.ms" in ended.stderr
    run(folder / "post", "echo", env=installed.env | {"WORKPOOL_SOCKET": daemon.path}, stdin="nonsense\n", code=2)


# The manuals' examples.

def blocks(page):
    """The texts of a manual page that are shown as they are."""
    with open(os.path.join(SOURCE, "doc", page), encoding="utf-8") as file:
        text = file.read()
    shown = re.findall(r"^\.nf\n\.RS\n(.*?)\n\.RE\n\.fi$", text, re.M | re.S)
    for escape, character in (("\\(aq", "'"), ("\\(dq", '"'), ("\\-", "-"), ("\\e", "\\")):
        shown = [block.replace(escape, character) for block in shown]
    return shown


def example(page, beginning):
    """An example and what it prints, which follows it."""
    shown = blocks(page)
    at = next(i for i, block in enumerate(shown) if block.startswith(beginning))
    return shown[at], shown[at + 1]


def test_manual_s_example_in_c_prints_what_it_says(installed, start, tmp_path):
    program, prints = example("libworkpool.3", "#include <stdio.h>")
    (tmp_path / "manual.c").write_text(program + "\n")
    installed.compile(("gcc", "-std=c99", "-pedantic"), tmp_path / "manual.c", tmp_path / "manual")
    assert installed.run(start(), tmp_path / "manual").splitlines() == prints.splitlines()
    paused = start("[pool default]\nworkers = 1\ncapacity = 0\n")
    with paused.client() as client:
        client.call("Pause")
    ended = subprocess.run([tmp_path / "manual"], env=installed.env | {"WORKPOOL_SOCKET": paused.path}, capture_output=True, text=True,
                           check=False, timeout=DEADLINE)
    assert (ended.returncode, ended.stderr) == (1, "full; room in about 1000 ms\n")


def test_manual_s_example_in_python_prints_what_it_says(start, tmp_path):
    program, prints = example("workpoold-protocol.7", "import varlink")
    daemon = start()
    assert "/tmp/pool.sock" in program
    (tmp_path / "manual.py").write_text(program.replace("/tmp/pool.sock", daemon.path))
    assert run(sys.executable, tmp_path / "manual.py", env=clean_environment()).splitlines() == prints.splitlines()


@pytest.mark.skipif(not shutil.which("go"), reason="no Go compiler")
def test_manual_s_example_in_go_prints_what_it_says(start, tmp_path):
    program, prints = example("workpoold-protocol.7", "package main")
    daemon = start()
    (tmp_path / "manual.go").write_text(program.replace("/tmp/pool.sock", daemon.path))
    env = os.environ | {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    assert run("go", "run", tmp_path / "manual.go", cwd=tmp_path, env=env).splitlines() == prints.splitlines()


# The functions.

class Library:
    """workpool.h for Python."""

    def __init__(self, path):
        self.so = ctypes.CDLL(path)
        for name in ("new", "reply_error", "reply_params", "reply_text", "error_text", "socket", "code_text"):
            getattr(self.so, "workpool_" + name).restype = ctypes.c_char_p if name != "new" else ctypes.c_void_p
        self.so.workpool_reply_data.restype = ctypes.c_void_p

    def connect(self, path):
        return Connection(self.so, path)


class Connection:
    def __init__(self, so, path):
        self.so = so
        self.wp = ctypes.c_void_p(so.workpool_new(os.fsencode(path)))
        self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.so.workpool_free(self.wp)

    def open(self, timeout_ms=WAIT_MS):
        assert self.so.workpool_open(self.wp, timeout_ms) == 0, self.text()

    def text(self):
        return self.so.workpool_error_text(self.wp).decode()

    def take(self, reply):
        """(code, parameters, continues, data) of a reply, which is freed."""
        if not reply:
            return None
        taken = (self.so.workpool_reply_code(reply), json.loads(self.so.workpool_reply_params(reply)),
                 bool(self.so.workpool_reply_continues(reply)), self.so.workpool_reply_data(reply))
        self.so.workpool_reply_free(reply)
        return taken

    def call(self, method, params=None, timeout_ms=WAIT_MS):
        """(code, parameters)."""
        reply = ctypes.c_void_p()
        text = json.dumps(params).encode() if isinstance(params, dict) else params
        code = self.so.workpool_call(self.wp, method.encode(), text, timeout_ms, ctypes.byref(reply))
        taken = self.take(reply)
        assert taken is None or taken[0] == code
        return code, taken and taken[1]

    def wait(self, task, timeout_ms):
        reply = ctypes.c_void_p()
        code = self.so.workpool_wait(self.wp, task.encode(), timeout_ms, ctypes.byref(reply))
        taken = self.take(reply)
        return code, taken and taken[1]

    def send(self, method, params=None, flags=0, data=None):
        text = json.dumps(params).encode() if isinstance(params, dict) else params
        return self.so.workpool_send(self.wp, method.encode(), text, flags, ctypes.c_void_p(data))

    def receive(self, timeout_ms=WAIT_MS):
        reply = ctypes.c_void_p()
        code = self.so.workpool_receive(self.wp, timeout_ms, ctypes.byref(reply))
        return code or self.take(reply)


@pytest.fixture(scope="module")
def library(installed):
    return Library(installed.shared)


def test_call_post_and_wait(start, library):
    daemon = start("[pool default]\nworkers = 1\n")
    with library.connect(daemon.path) as wp:
        assert wp.call("org.varlink.service.GetInfo")[1]["product"] == "workpoold"
        assert wp.call("Post", {"handler": "nobody"}) == (CODES["NO_SUCH_HANDLER"], {"handler": "nobody"})
        assert "org.workpool.NoSuchHandler" in wp.text()
        assert wp.call("Events")[0] == CODES["EXPECTED_MORE"]
        code, posted = wp.call("Post", {"handler": "sleep", "args": {"ms": 60000}, "unique": "k"})
        assert code == 0 and posted["state"] == "active"
        assert wp.call("Post", {"handler": "sleep", "args": {"ms": 1}, "unique": "k"})[1]["joined"] is True
        assert wp.wait(posted["id"], 20) == (CODES["TIMED_OUT"], None)
        assert wp.call("Cancel", {"ids": [posted["id"]]})[0] == 0
        code, waited = wp.wait(posted["id"], WAIT_MS)
        assert code == 0 and waited["tasks"][0]["state"] == "cancelled"
        assert wp.wait(posted["id"], -1)[0] == 0


def test_pipelined_posts_to_a_full_queue_are_each_answered(start, library):
    daemon = start("[pool default]\nworkers = 1\ncapacity = 5\n")
    with library.connect(daemon.path) as wp:
        for i in range(1, 101):
            assert wp.send("Post", {"handler": "sleep", "args": {"ms": 60000}}, data=i) == 0
        answers = [wp.receive() for _ in range(100)]
        assert [data for _, _, _, data in answers] == list(range(1, 101))
        assert [code for code, _, _, _ in answers] == [0] * 6 + [CODES["AT_CAPACITY"]] * 94
        assert wp.receive(-1) == CODES["IDLE"]
        wp.call("Cancel", {"state": "queued"})
        wp.call("Cancel", {"state": "active"})


def test_stream_of_events(start, library):
    daemon = start()
    with library.connect(daemon.path) as events, library.connect(daemon.path) as wp:
        assert events.send("Events", {"kinds": ["done"]}, MORE) == 0
        assert "event" not in events.receive()[1]
        assert wp.call("Post", {"handler": "noop", "name": "seen"})[0] == 0
        code, params, continues, _ = events.receive()
        assert (code, params["event"]["name"], continues) == (0, "seen", True)


def test_oneway_posts_are_taken_when_it_is_finished(start, library):
    daemon = start("[pool default]\ncapacity = 500\n")
    with library.connect(daemon.path) as wp:
        for _ in range(500):
            assert wp.send("Post", {"handler": "noop"}, ONEWAY) == 0
        assert wp.so.workpool_finish(wp.wp, WAIT_MS) == 0
        assert wp.call("Stats")[0] == CODES["CLOSED"]
        wp.open()
        assert wp.call("Stats")[1]["pools"][0]["posted"] == 500


def test_call_that_the_daemon_cannot_read_costs_that_call_only(start, library):
    daemon = start()
    with library.connect(daemon.path) as wp:
        for params in ({"handler": "noop"}, b'{"handler":"noop","handler":"noop"}', {"handler": "noop"}):
            assert wp.send("Post", params) == 0
        assert [wp.receive()[0] for _ in range(3)] == [0, CODES["MALFORMED_MESSAGE"], 0]


def test_call_that_is_too_long_ends_the_connection_and_is_told(start, library):
    daemon = start("[daemon]\nmax_message = 64K\n")
    with library.connect(daemon.path) as wp:
        code, params = wp.call("Post", {"handler": "echo", "args": {"text": "x" * 1000000}})
        assert (code, params) == (CODES["MESSAGE_TOO_LONG"], {"limit": 65536})
        assert wp.call("Stats")[0] == CODES["CLOSED"]
        wp.open()
        assert wp.call("Stats")[0] == 0


def test_replies_that_are_read_slowly_stop_neither_side(start, library):
    """More replies than the daemon keeps for one client (max_output), while calls are still being sent."""
    daemon = start("[daemon]\nmax_output = 64K\n")
    with library.connect(daemon.path) as wp:
        sent = received = 0
        while received < 3000:
            code = wp.send("Stats", data=sent + 1) if sent < 3000 else CODES["FULL"]
            if code == 0:
                sent += 1
                continue
            assert code == CODES["FULL"]
            code, params, _, data = wp.receive()
            received += 1
            assert (code, data) == (0, received) and params["daemon"]["state"] == "running"


def test_daemon_that_starts_again_is_waited_for(start, library):
    daemon = start()
    with library.connect(daemon.path) as wp:
        assert wp.call("Stats")[0] == 0
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        again = start(path=daemon.path, ready=False)
        wp.open()
        assert wp.call("Stats")[1]["daemon"]["pid"] == again.pid
    again.wait_ready()
