"""When a program of type coprocess ends in order: after so many tasks, with so much memory, when its task is cancelled or over
its limit, when its worker goes, and when the host or daemon does. Nothing of it is left behind."""
import contextlib
import os
import signal
import time

import pytest

from kit import coproc, proc, procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = coproc.ONE
LIMIT_MS = 300
MARGIN = 1.0

# What a program says when its input ends, before it does.
LAST_WORDS = "import atexit; atexit.register(lambda: open({path!r}, 'w').write('bye %d\\n' % os.getpid()))"


@pytest.fixture
def kept(start):
    def one(*, config=ONE, **keys):
        one.daemon = start(config + coproc.handler(**keys))
        return one.daemon.client()

    return one


@pytest.mark.short
@pytest.mark.parametrize("limit", [1, 3])
def test_program_is_replaced_after_recycle_tasks(kept, tmp_path, limit):
    """Its input ends, so it can tidy up; no task waits for that or fails."""
    with procs.fifo(tmp_path) as told:
        client = kept(recycle_tasks=limit, birth=[LAST_WORDS.format(path=told.path)])
        seen = [client.run("c")["result"] for _ in range(3 * limit)]
        assert [result["n"] for result in seen] == list(range(1, limit + 1)) * 3
        pids = [seen[i * limit]["pid"] for i in range(3)]
        assert len(set(pids)) == 3
        assert {int(told.line()[1]) for _ in range(3)} == set(pids)
        for pid in pids:
            coproc.wait_gone(kept.daemon, pid)
    assert client.pool()["failed"] == 0


@pytest.mark.short
def test_tasks_that_failed_count_for_recycle_tasks(kept):
    client = kept(recycle_tasks=3)
    pid = client.run("c")["result"]["pid"]
    assert client.run("c", {"do": "error", "text": "x"})["reason"] == "failed"
    assert client.run("c")["result"] | {"task": 0} == {"pid": pid, "n": 3, "task": 0}
    assert client.run("c")["result"]["n"] == 1


@pytest.mark.short
def test_program_is_replaced_when_it_has_more_memory_than_recycle_rss(kept):
    client = kept(recycle_rss="64M")
    pid = client.run("c")["result"]["pid"]
    assert client.run("c", {"do": "python", "text": "import builtins; builtins.kept = b'x' * (8 << 20)"})["result"]["pid"] == pid
    assert client.run("c")["result"]["pid"] == pid, "8 MB more are no reason"
    assert client.run("c", {"do": "python", "text": "builtins = __import__('builtins'); builtins.kept = b'x' * (96 << 20)"})["result"]["pid"] == pid
    result = client.run("c")["result"]
    assert result["pid"] != pid and result["n"] == 1
    coproc.wait_gone(kept.daemon, pid)


def test_program_that_does_not_end_with_its_input_gets_term_and_kill(kept, tmp_path):
    with procs.fifo(tmp_path) as told:
        stay = (f"import signal, time\ndef on_term(*_): open({told.path!r}, 'w').write('term\\n')\nsignal.signal(signal.SIGTERM, on_term)\n"
                "import atexit\natexit.register(lambda: [time.sleep(600) for _ in range(9)])")
        client = kept(recycle_tasks=1, birth=[stay], kill_after="100ms")
        pid = client.run("c")["result"]["pid"]
        assert told.line() == ["term"]
        coproc.wait_gone(kept.daemon, pid)
    assert client.run("c")["result"]["n"] == 1


@pytest.mark.short
@pytest.mark.parametrize("how", ["limit", "cancel"])
@pytest.mark.parametrize("first, then, number", [
    ("pass", "time.sleep(600)", signal.SIGTERM), ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "time.sleep(600)", signal.SIGKILL),
    ("pass", "os.kill(os.getpid(), signal.SIGSTOP)", signal.SIGTERM)], ids=["ends_at_term", "ignores_term", "stopped"])
def test_task_that_is_to_end_takes_its_program_along(kept, tmp_path, how, first, then, number):
    with procs.fifo(tmp_path) as told:
        client = kept(kill_after="300ms")
        pid = client.run("c")["result"]["pid"]
        text = (f"import signal, time, subprocess\n{first}\nsubprocess.Popen(['setsid', 'sleep', '600'])\n"
                f"open({told.path!r}, 'w').write('runs\\n')\n{then}")
        id_ = client.post("c", {"do": "python", "text": text}, **({"timeout_ms": LIMIT_MS} if how == "limit" else {}))["id"]
        told.line()
        everyone = procs.task_pids(kept.daemon)
        if how == "cancel":
            client.call("Cancel", {"ids": [id_]})
        task = client.call("Wait", {"ids": [id_]})["tasks"][0]
        assert (task["state"], task["reason"]) == (("failed", "timeout") if how == "limit" else ("cancelled", "cancelled"))
        assert pid in everyone and len(everyone) == 2
        procs.check_gone(everyone, time.monotonic() + MARGIN, "after the task")
    assert client.call("Show", {"id": id_})["task"]["result"]["signal"] == number
    result = client.run("c")["result"]
    assert result["pid"] != pid and result["n"] == 1


def test_answer_that_comes_after_the_cancel_is_too_late(kept, tmp_path):
    with procs.fifo(tmp_path) as told:
        client = kept(kill_after="10s")
        text = (f"import signal, time\ndef late(*_):\n    tell(id=number, result='late')\n    os._exit(0)\nsignal.signal(signal.SIGTERM, late)\n"
                f"open({told.path!r}, 'w').write('runs\\n')\ntime.sleep(600)")
        id_ = client.post("c", {"do": "python", "text": text})["id"]
        told.line()
        client.call("Cancel", {"ids": [id_]})
        task = client.call("Wait", {"ids": [id_]})["tasks"][0]
        assert (task["state"], task["reason"]) == ("cancelled", "cancelled")
    assert client.run("c")["result"]["n"] == 1


@pytest.mark.short
def test_worker_that_goes_takes_its_idle_program_along(kept, tmp_path):
    with contextlib.ExitStack() as stack:
        told, gate, bye = (stack.enter_context(procs.fifo(tmp_path, name)) for name in ("fifo", "fifo.go", "bye"))
        client = kept(config="[pool default]\nworkers = 4\n", birth=[LAST_WORDS.format(path=bye.path)])
        clients = [kept.daemon.client() for _ in range(4)]
        for one in clients:
            one.send("Post", {"handler": "c", "args": {"do": "wait", "file": told.path}, "wait": True})
        for _ in clients:
            told.line()
        os.write(gate.fd, b"go\n" * 4)
        pids = {result["task"]["worker"]: result["pid"] for result in (one.recv()["task"]["result"] for one in clients)}
        client.call("Resize", {"pool": "default", "workers": 2})
        assert {int(bye.line()[1]) for _ in range(2)} == {pids[2], pids[3]}, "asked kindly: by the end of their input"
        assert set(coproc.wait_for_programs(kept.daemon, 2)) == {pids[0], pids[1]}
        for worker in (2, 3):
            coproc.wait_gone(kept.daemon, pids[worker])
        assert client.run("c")["result"]["pid"] in (pids[0], pids[1])
        client.call("Resize", {"pool": "default", "workers": 4})
        assert client.run("c")["state"] == "done"


def test_worker_that_goes_while_it_works_takes_its_program_along_afterwards(kept, tmp_path):
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "fifo.go") as gate:
        client = kept(config="[pool default]\nworkers = 2\n")
        clients = [kept.daemon.client() for _ in range(2)]
        for one in clients:
            one.send("Post", {"handler": "c", "args": {"do": "wait", "file": told.path}, "wait": True})
        for _ in clients:
            told.line()
        client.call("Resize", {"pool": "default", "workers": 1})
        assert len(procs.task_pids(kept.daemon)) == 2
        os.write(gate.fd, b"go\n" * 2)
        results = [one.recv()["task"]["result"] for one in clients]
        (stays,) = coproc.wait_for_programs(kept.daemon, 1)
        assert stays == next(result["pid"] for result in results if result["task"]["worker"] == 0)


def test_resize_storm_under_load_loses_nothing(kept):
    client = kept(config="[pool default]\nworkers = 8\ncapacity = 1000\n", command=("/bin/sh", "-c", SHELL))
    n = 300
    for i in range(n):
        client.post("c", {"i": i})
        if i % 10 == 0:
            client.call("Resize", {"pool": "default", "workers": 1 + i // 10 % 8})
    pool = kept.daemon.until(lambda pool: pool["done"] + pool["failed"] == n)
    assert (pool["done"], pool["failed"]) == (n, 0)
    client.call("Resize", {"pool": "default", "workers": 1})
    assert len(coproc.wait_for_programs(kept.daemon, 1)) == 1


# The protocol in a shell, in one line of configuration.
SHELL = r"""while read -r l; do i=${l#*:}; echo "{\"id\":${i%%,*},\"result\":null}"; done"""


@pytest.mark.short
@pytest.mark.parametrize("mode", ["drain", "finish", "now"])
def test_stop_ends_idle_programs_by_the_end_of_their_input(start, tmp_path, mode):
    with procs.fifo(tmp_path) as told:
        daemon = start("[pool default]\nworkers = 2\n[pool other]\nworkers = 1\n" + coproc.handler(birth=[LAST_WORDS.format(path=told.path)])
                       + coproc.handler("d", pool="other"))
        client = daemon.client()
        pid = client.run("c")["result"]["pid"]
        everyone = [pid, client.run("d")["result"]["pid"], *procs.host_pids(daemon)]
        client.call("Shutdown", {"mode": mode})
        assert daemon.wait_exit() == 0
        assert told.line() == ["bye", str(pid)]
        procs.check_gone(everyone, time.monotonic() + MARGIN, "after the daemon")
        assert "stop_left" not in daemon.stderr()


STUBBORN = {
    "ignores_the_end_of_input": "import atexit, time; atexit.register(lambda: time.sleep(600))",
    "ignores_term_too": "import atexit, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); atexit.register(lambda: time.sleep(600))",
    "with_a_child_in_a_session": "import subprocess; subprocess.Popen(['setsid', 'sleep', '600'])",
    "stopped": "import signal, threading; threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGSTOP)).start()",
}


@pytest.mark.parametrize("how", STUBBORN)
def test_stop_waits_for_no_program_for_long(kept, how):
    client = kept(birth=[STUBBORN[how]], kill_after="10min")
    client.run("c")
    everyone = procs.task_pids(kept.daemon) + procs.host_pids(kept.daemon)
    client.call("Shutdown", {"mode": "now"})
    assert kept.daemon.wait_exit() == 0
    procs.check_gone(everyone, time.monotonic() + MARGIN, "after the daemon")
    assert "stop_left" not in kept.daemon.stderr()


@pytest.mark.short
@pytest.mark.parametrize("who", ["host", "daemon", "spawner"])
@pytest.mark.parametrize("what", ["idle", "busy"])
def test_kill_of_what_runs_it_takes_the_program_along(start, tmp_path, who, what):
    place = tmp_path / "place"
    place.mkdir()
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "fifo.go"):
        # Without its spawner a host finds the groups of its programs, and no sessions that these made.
        child = ["sleep", "600"] if who == "spawner" else ["setsid", "sleep", "600"]
        daemon = start(ONE + coproc.handler(on_crash="lost", birth=[f"import subprocess; subprocess.Popen({child})"]), env={"TMPDIR": str(place)})
        client = daemon.client()
        client.run("c")
        if what == "busy":
            client.post("c", {"do": "wait", "file": told.path})
            told.line()
        everyone = procs.task_pids(daemon)
        assert len(everyone) == 2
        host = client.pool()["host_pid"]
        victim = {"host": host, "daemon": daemon.pid, "spawner": next(pid for pid in proc.children(host) if procs.is_ours(pid))}[who]
        if who == "daemon":
            daemon.expect_status = -signal.SIGKILL
        os.kill(victim, signal.SIGKILL)
        procs.check_gone(everyone, time.monotonic() + DEADLINE, f"after the {who}")
        if who == "daemon":
            assert daemon.wait_exit() == -signal.SIGKILL
            return
        daemon.until(lambda pool: pool["host"] == "up" and pool["host_pid"] != host)
        assert daemon.client().run("c")["result"]["n"] == 1
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert procs.names_of(place) == []


def test_pool_that_leaves_by_a_reload_takes_its_programs_along(start):
    daemon = start(ONE + "[pool other]\nworkers = 1\n" + coproc.handler(pool="other"))
    client = daemon.client()
    pid = client.run("c")["result"]["pid"]
    host = client.pool("other")["host_pid"]
    os.kill(host, signal.SIGKILL)  # as if by itself: a fresh host has no program yet
    daemon.until(lambda pool: pool["host"] == "up" and pool["host_pid"] != host, pool="other")
    procs.check_gone([pid], time.monotonic() + DEADLINE, "after its host")
    assert client.run("c")["result"]["n"] == 1
