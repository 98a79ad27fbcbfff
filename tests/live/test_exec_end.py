"""The end of programs of type exec (reliability.md, "children"): time limits, cancels, what they leave behind, and the end of
their host or daemon. Whatever a program does, nothing of it outlives its task."""
import os
import signal
import time

import pytest

from kit import proc, procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = "[pool default]\nworkers = 1\n"
LIMIT_MS, KILL_MS = 300, 500
MARGIN = 1.0  # seconds, for all to be gone

# What a program does at its time limit. Each says "role pid" for every process of its, and ends by force only.
# {say} WORD: tells the test the number of the shell that says it, under that name.
STUBBORN = {
    "ends_at_term": ("{say} main; exec sleep 600", 1),
    "ignores_term": ("trap '' TERM; {say} main; while :; do sleep 600; done", 1),
    "ignores_all": ("trap '' TERM INT HUP QUIT USR1 USR2 PIPE; {say} main; while :; do sleep 600; done", 1),
    "stopped": ("{say} main; kill -STOP $$; sleep 600", 1),
    "busy": ("{say} main; while :; do :; done", 1),
    "child": ("{say} main; sh -c '{say} child; sleep 600; :' & wait", 2),
    "child_ignores_term": ("trap '' TERM; {say} main; sh -c 'trap \"\" TERM; {say} child; sleep 600; :' & wait; sleep 600", 2),
    "child_stopped": ("{say} main; sh -c '{say} child; kill -STOP $$; :' & wait; sleep 600", 2),
    "orphan": ("{say} main; sh -c 'sh -c \"{say} orphan; sleep 600; :\" &'; sleep 600", 2),
    "orphan_ignores_term": ("{say} main; sh -c 'sh -c \"trap : TERM; {say} orphan; while :; do sleep 600; done\" &'; sleep 600", 2),
    "other_session": ("{say} main; setsid sh -c '{say} session; sleep 600; :' & wait; sleep 600", 2),
    "daemon": ("{say} main; sh -c 'setsid sh -c \"trap : TERM; {say} daemon; while :; do sleep 600; done\" &'; sleep 600", 2),
    "daemon_without_environment":
        ("{say} main; sh -c 'env -i setsid sh -c \"{say} daemon; sleep 600; :\" &'; sleep 600", 2),
    "family_of_a_daemon":
        ("{say} main; setsid sh -c '{say} a; setsid sh -c \"{say} b; setsid sleep 600; :\"; :' & wait; sleep 600", 3),
    "main_ends_first": ("setsid sh -c 'trap : TERM; {say} daemon; sleep 600; :' & {say} main; wait", 2),
}


def fill(text, fifo):
    return text.replace("{say}", f"sh {fifo.path}.say")


@pytest.fixture
def told(tmp_path):
    """A FIFO, and a program `sh FIFO.say ROLE` that writes who called it into that, a line in one go."""
    with procs.fifo(tmp_path) as fifo:
        procs.script(tmp_path, "fifo.say", f'echo "$1 $PPID" >{fifo.path}\n')
        yield fifo


def wait_until_reaped(daemon, seconds=DEADLINE):
    """No zombie is left below the daemon."""
    deadline = time.monotonic() + seconds
    for _ in daemon.watch():
        left = proc.zombies(daemon.pid)
        if not left:
            return
        assert time.monotonic() < deadline, f"zombies: {left}"


@pytest.mark.parametrize("how", STUBBORN)
def test_time_limit_ends_the_program_and_all_of_its(start, tmp_path, told, how):
    text, n = STUBBORN[how]
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill(text, told), kill_after=f"{KILL_MS}ms"))
    client = daemon.client()
    began = time.monotonic()
    client.send("Post", {"handler": "program", "timeout_ms": LIMIT_MS, "wait": True})
    pids = told.pids(n)
    everyone = procs.task_pids(daemon)
    assert set(pids.values()) <= set(everyone) and len(pids) == n
    task = client.recv()["task"]
    until = began + (LIMIT_MS + KILL_MS) / 1000 + MARGIN
    procs.check_gone(everyone, until, "after the time limit")
    procs.check_none_left(daemon, until)
    assert (task["state"], task["reason"]) == ("failed", "timeout"), task
    assert LIMIT_MS * 1000 <= task["run_us"] <= (LIMIT_MS + KILL_MS) * 1000 + MARGIN * 1e6
    assert task["result"]["signal"] in (signal.SIGTERM, signal.SIGKILL)
    wait_until_reaped(daemon)
    assert client.run("echo", {"still": "up"})["state"] == "done"


@pytest.mark.short
@pytest.mark.parametrize("how, number, least_ms", [("ends_at_term", 15, LIMIT_MS), ("ignores_term", 9, LIMIT_MS + KILL_MS),
                                                   ("stopped", 15, LIMIT_MS)])
def test_time_limit_asks_with_term_and_ends_with_kill(start, tmp_path, told, how, number, least_ms):
    text, _ = STUBBORN[how]
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill(text, told), kill_after=f"{KILL_MS}ms"))
    task = daemon.client().run("program", timeout_ms=LIMIT_MS)
    assert task["result"]["signal"] == number
    assert least_ms * 1000 <= task["run_us"] < (least_ms + 400) * 1000


def test_kill_after_zero_kills_at_once(start, tmp_path, told):
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill("trap 'echo asked' TERM; {say} x; sleep 600 & wait; sleep 600", told),
                                             kill_after="0"))
    task = daemon.client().run("program", timeout_ms=LIMIT_MS)
    assert task["result"]["signal"] == signal.SIGKILL and task["result"]["stdout"] == ""


def test_program_may_tidy_up_when_it_is_asked_to_end(start, tmp_path):
    text = "trap 'echo tidied; exit 7' TERM; echo begun; sleep 600 & wait"
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", text, kill_after="10s"))
    task = daemon.client().run("program", timeout_ms=LIMIT_MS)
    assert (task["state"], task["reason"]) == ("failed", "timeout")
    assert task["result"]["exit"] == 7 and task["result"]["stdout"] == "begun\ntidied\n"
    assert task["run_us"] < 2_000_000, "it did not wait for kill_after"


def test_output_until_the_time_limit_is_kept(start, tmp_path):
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", "echo before; echo err >&2; sleep 600", kill_after="100ms"))
    task = daemon.client().run("program", timeout_ms=LIMIT_MS)
    assert (task["result"]["stdout"], task["result"]["stderr"]) == ("before\n", "err\n")


def test_endless_output_does_not_keep_a_program_alive(start, tmp_path):
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", "trap '' TERM PIPE; exec yes", kill_after="100ms", max_output="1K"))
    task = daemon.client().run("program", timeout_ms=LIMIT_MS)
    assert task["reason"] == "timeout" and task["run_us"] < 2_000_000
    assert task["result"]["stdout_bytes"] > 1024 and len(task["result"]["stdout"]) == 1024


def test_limit_of_the_configuration_holds_for_each_task(start, tmp_path):
    daemon = start("[pool default]\nworkers = 3\n" + procs.handler("program", "/bin/sleep", "600", timeout="200ms", kill_after="1s"))
    clients = [daemon.client() for _ in range(3)]
    for client in clients:
        client.send("Post", {"handler": "program", "wait": True})
    for client in clients:
        task = client.recv()["task"]
        assert task["reason"] == "timeout" and 200_000 <= task["run_us"] < 1_000_000
    assert daemon.client().pool()["timed_out"] == 3


@pytest.mark.short
def test_whatever_a_program_starts_ends_with_it(start, tmp_path, told):
    """Also when it ends well: its group, and those who left group and session."""
    text = fill("sh -c '{say} child; sleep 600; :' & setsid sh -c '{say} session; sleep 600; :' & "
                "sh -c 'env -i setsid sh -c \"{say} daemon; sleep 600; :\" &'; {say} main; read line <" + str(tmp_path / "go"), told)
    with procs.fifo(tmp_path, "go") as gate:
        daemon = start(ONE + procs.shell_handler(tmp_path, "program", text))
        client = daemon.client()
        client.send("Post", {"handler": "program", "wait": True})
        pids = told.pids(4)
        everyone = procs.task_pids(daemon)
        assert set(pids.values()) <= set(everyone)
        os.write(gate.fd, b"go\n")
        assert client.recv()["task"]["state"] == "done"
    procs.check_gone(everyone, time.monotonic() + MARGIN, "after the end of the program")
    wait_until_reaped(daemon)


def test_what_one_task_started_is_not_ended_with_another(start, tmp_path, told):
    """A process in a session of its own lives exactly as long as the task that it came from."""
    with procs.fifo(tmp_path, "go") as gate:
        text = fill("sh -c 'setsid sh -c \"{say} daemon; sleep 600; :\" &'; {say} main; read line <" + gate.path, told)
        daemon = start("[pool default]\nworkers = 2\n" + procs.shell_handler(tmp_path, "program", text) + procs.handler("quick", "/bin/true"))
        client = daemon.client()
        client.send("Post", {"handler": "program", "wait": True})
        pids = told.pids(2)
        other = daemon.client()
        for _ in range(5):
            assert other.run("quick")["state"] == "done"
        assert proc.is_alive(pids["daemon"]) and proc.is_alive(pids["main"])
        os.write(gate.fd, b"go\n")
        assert client.recv()["task"]["state"] == "done"
    procs.check_gone(pids.values(), time.monotonic() + MARGIN, "after its own task")


@pytest.mark.parametrize("how", ["ends_at_term", "ignores_term", "stopped", "daemon"])
@pytest.mark.parametrize("mode", ["now", "finish"])
def test_shutdown_ends_programs_and_all_of_theirs(start, tmp_path, told, how, mode):
    """`now` at once, `finish` at its time limit."""
    text, n = STUBBORN[how]
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill(text, told), kill_after=f"{KILL_MS}ms"))
    client = daemon.client()
    client.post("program")
    told.pids(n)
    everyone = procs.task_pids(daemon) + procs.host_pids(daemon)
    params = {"mode": mode} | ({"timeout_ms": LIMIT_MS} if mode == "finish" else {})
    final = client.call("Shutdown", params)
    assert final["active"] == final["queued"] == 0
    assert daemon.wait_exit() == 0
    procs.check_gone(everyone, time.monotonic() + MARGIN, "after the daemon")


@pytest.mark.short
@pytest.mark.parametrize("how", ["ends_at_term", "ignores_term", "stopped", "daemon", "family_of_a_daemon"])
def test_host_that_is_killed_takes_all_programs_with_it(start, tmp_path, told, how):
    text, n = STUBBORN[how]
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill(text, told), crash_max=1))
    client = daemon.client()
    client.send("Post", {"handler": "program", "wait": True})
    pids = told.pids(n)
    everyone = procs.task_pids(daemon)
    assert set(pids.values()) <= set(everyone)
    host = daemon.client().pool()["host_pid"]
    began = time.monotonic()
    os.kill(host, signal.SIGKILL)
    task = client.recv()["task"]
    assert (task["state"], task["reason"]) == ("failed", "crashed")
    procs.check_gone(everyone, began + MARGIN, "after their host")
    daemon.until(lambda pool: pool["host"] == "up" and pool["host_pid"] != host)
    wait_until_reaped(daemon)
    assert client.run("echo", {"next": 1})["state"] == "done"


@pytest.mark.parametrize("how", ["ends_at_term", "ignores_term", "stopped", "daemon", "family_of_a_daemon"])
def test_daemon_that_is_killed_takes_hosts_and_programs_with_it(start, tmp_path, told, how):
    text, n = STUBBORN[how]
    daemon = start(ONE + "[pool other]\nworkers = 2\n" + procs.shell_handler(tmp_path, "program", fill(text, told)))
    daemon.client().post("program")
    pids = told.pids(n)
    everyone = proc.descendants(daemon.pid)
    assert set(pids.values()) < set(everyone) and len(procs.host_pids(daemon)) == 2
    daemon.expect_status = -signal.SIGKILL
    daemon.signal(signal.SIGKILL)
    began = time.monotonic()
    assert daemon.wait_exit() == -signal.SIGKILL
    procs.check_gone(everyone, began + MARGIN, "after the daemon")


def kill_spawner(daemon, told):
    """While a program runs; waits until its task has failed and the pool is up again."""
    client = daemon.client()
    client.send("Post", {"handler": "program", "wait": True})
    everyone = list(told.pids(1).values())
    host = daemon.client().pool()["host_pid"]
    spawners = [pid for pid in proc.children(host) if procs.is_ours(pid)]
    assert len(spawners) == 1
    os.kill(spawners[0], signal.SIGKILL)
    assert client.recv()["task"]["state"] == "failed"
    procs.check_gone(everyone, time.monotonic() + MARGIN, "after the spawner")
    daemon.until(lambda pool: pool["host"] == "up")
    return client


def test_spawner_that_is_killed_costs_its_programs_and_not_the_pool(start, tmp_path, told):
    """No more than its own tasks, and exec works again."""
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill(STUBBORN["ignores_term"][0], told), crash_max=1, sandbox="no") +
                   procs.handler("quick", "/bin/true"),
                   env={"TMPDIR": str(tmp_path)})
    assert kill_spawner(daemon, told).run("quick")["state"] == "done"


def test_spawner_that_is_killed_leaves_no_directory(start, tmp_path, told):
    place = tmp_path / "place"
    place.mkdir()
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", fill(STUBBORN["ignores_term"][0], told), crash_max=1, sandbox="no"),
                   env={"TMPDIR": str(place)})
    kill_spawner(daemon, told)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert procs.names_of(place) == []
