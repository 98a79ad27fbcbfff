"""The programs of doc/examples/coprocess, which people begin theirs from: each does what it says, fails with an error, is kept, and ends
with its input."""
import hashlib
import os
import shutil
import tempfile
import time

import pytest

from kit import coproc, procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "examples", "coprocess")


@pytest.fixture
def place():
    """Where they are installed for the test: not below /tmp, of which a program in its sandbox sees nothing."""
    with tempfile.TemporaryDirectory(prefix="wp-", dir="/var/tmp") as path:
        os.chmod(path, 0o755)
        yield path


@pytest.fixture
def run(start, place, lacks):
    """run(interpreter, file, words…): a client of a daemon with one worker and this example as the handler c."""

    def one(interpreter, name, *words):
        path = shutil.which(interpreter)
        if not path:
            lacks(f"no {interpreter} on this machine")
        program = shutil.copy(os.path.join(FOLDER, name), place)
        one.daemon = start(coproc.ONE + coproc.handler(command=(path, program, *words), sandbox="yes"))
        return one.daemon.client()

    yield one
    # Input ends, and each ends by itself with it: long before anybody would have to kill it.
    pids = procs.task_pids(one.daemon)
    assert len(pids) == 1
    one.daemon.client().call("Shutdown", {"mode": "finish"})
    assert one.daemon.wait_exit() == 0
    procs.check_gone(pids, time.monotonic() + DEADLINE, "at the end")
    assert "stop_left" not in one.daemon.stderr()


def check_kept(daemon, before):
    assert procs.task_pids(daemon) == before, "one program for all of them"


@pytest.mark.short
def test_python_counts_words(run):
    client = run("python3", "words.py")
    assert client.run("c", {"text": "To be, or not to be"})["result"] == {"to": 2, "be": 2, "or": 1, "not": 1}
    pids = procs.task_pids(run.daemon)
    for args in ({}, {"text": 5}):
        task = client.run("c", args)
        assert (task["state"], task["error"]) == ("failed", "args: needs a text")
    assert client.run("c", {"text": "ä\n" * 3000})["result"] == {"ä": 3000}
    assert client.run("c", {"text": ""})["result"] == {}
    check_kept(run.daemon, pids)


@pytest.mark.short
def test_shell_tells_how_much_room_there_is(run):
    client = run("sh", "room.sh", "/")
    for args in ({}, {"text": 'a\\b "c" %s $HOME `id`'}, None):
        result = client.run("c", args)["result"]
        stat = os.statvfs("/")
        assert set(result) == {"free_kilobytes"} and 0 <= result["free_kilobytes"] <= stat.f_blocks * stat.f_frsize // 1024
        pids = procs.task_pids(run.daemon)
    client.run("c")
    check_kept(run.daemon, pids)


def test_shell_tells_that_there_is_no_such_place(run):
    client = run("sh", "room.sh", "/nonexistent")
    task = client.run("c")
    assert (task["state"], task["error"]) == ("failed", "df could not tell") and "/nonexistent" in task["result"]["stderr"]


@pytest.mark.short
def test_javascript_makes_hashes(run):
    client = run("node", "hash.mjs")
    for text in ("hello", "", "ä" * 10000):
        assert client.run("c", {"text": text})["result"] == hashlib.sha256(text.encode()).hexdigest()
    pids = procs.task_pids(run.daemon)
    task = client.run("c", {})
    assert (task["state"], task["error"]) == ("failed", "args: needs a text") and "Error" in task["result"]["stderr"]
    check_kept(run.daemon, pids)


def test_every_example_is_run_here():
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    assert os.listdir(FOLDER) and all(f'"{name}"' in text for name in os.listdir(FOLDER)), os.listdir(FOLDER)
