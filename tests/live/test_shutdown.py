"""Stopping in order: mode x (queued, active, waiting clients), refused posts, progress, all answers sent, end of stream, exit 0;
signals; the time limit of stopping."""
import os
import signal
import time

import pytest

from kit import plugins, proc
from kit.client import CallError

pytestmark = pytest.mark.host
ONE = "[pool default]\nworkers = 1\n"
MINUTE = {"ms": 60000}
MODES = ("drain", "finish", "now")


def state_and_reason(task):
    return task["state"], task.get("reason")


@pytest.mark.short
@pytest.mark.parametrize("mode", MODES + (None,))
def test_shutdown_of_an_idle_daemon(start, mode):
    daemon = start(ONE)
    client, idle = daemon.client(), daemon.client()
    client.run("noop")
    idle.call("Handlers")
    assert client.call("Shutdown", {"mode": mode} if mode else {}) == {
        "queued": 0, "active": 0, "done": 1, "failed": 0, "cancelled": 0}
    client.expect_eof()
    idle.expect_eof()
    assert daemon.wait_exit() == 0
    with pytest.raises(OSError):
        daemon.client()


ENDS = {  # mode: what becomes of the active and of the queued task
    "drain": (("done", None), ("done", None)),
    "finish": (("done", None), ("cancelled", "shutdown")),
    "now": (("cancelled", "shutdown"), ("cancelled", "shutdown")),
}


@pytest.mark.short
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("more", [False, True])
def test_shutdown_with_tasks_and_clients_that_wait(start, mode, more):
    """An active and two queued tasks; clients wait by Post, Wait, Drain and Stats. Each gets its answer, then the end of the stream."""
    daemon = start(ONE)
    active, queued, waiter, drainer, watcher, admin, poster = (daemon.client() for _ in range(7))
    active.send("Post", {"handler": "sleep", "args": {"ms": 700}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    queued.send("Post", {"handler": "echo", "args": {"x": 1}, "wait": True})
    daemon.until(lambda pool: pool["queued"] == 1)
    admin.post("noop")
    waiter.send("Wait", {"ids": ["1", "2", "3"]}, more=True)
    drainer.send("Drain", more=True)
    watcher.send("Stats", {"interval_ms": 10}, more=True)
    drainer.recv()
    watcher.recv()
    admin.send("Shutdown", {"mode": mode}, more=more)
    if mode != "now":
        daemon.wait_note("STOPPING=1")
        error = poster.refused("Post", {"handler": "noop"})
        assert error.name == "org.workpool.ShuttingDown" and error.params == {"mode": mode}
        stats = poster.call("Stats")
        assert stats["daemon"]["state"] == "stopping" and stats["pools"][0]["refused"] == 1
    assert state_and_reason(active.recv()["task"]) == ENDS[mode][0]
    assert state_and_reason(queued.recv()["task"]) == ENDS[mode][1]
    ended = {reply["task"]["id"]: state_and_reason(reply["task"]) for reply in waiter.recv_stream()}
    assert ended == {"1": ENDS[mode][0], "2": ENDS[mode][1], "3": ENDS[mode][1]}
    assert list(drainer.recv_stream())[-1] == {"drained": True, "queued": 0, "active": 0}
    answers = list(admin.recv_stream())
    done = sum(end[0] == "done" for end in (ENDS[mode][0], ENDS[mode][1], ENDS[mode][1]))
    assert answers[-1] == {"queued": 0, "active": 0, "done": done, "failed": 0, "cancelled": 3 - done}
    left = [answer["queued"] + answer["active"] for answer in answers]
    assert left == sorted(left, reverse=True)
    assert len(answers) == 1 or more
    assert mode == "now" or not more or left[0] > 0, "progress"
    for client in (active, queued, waiter, drainer, admin, poster):
        client.expect_eof()
    while watcher.recv_bytes() is not None:
        pass
    assert daemon.wait_exit() == 0


@pytest.mark.short
@pytest.mark.parametrize("mode", MODES)
def test_calls_behind_shutdown_on_its_connection_are_not_forgotten(start, mode):
    """They are answered or their connection is closed: the client does not hang."""
    daemon = start(ONE)
    client = daemon.client()
    client.sock.sendall(client.encode("Shutdown", {"mode": mode}) + client.encode("Stats"))
    assert "queued" in client.recv()
    data = client.recv_bytes()
    assert data is None or b'"daemon"' in data
    assert daemon.wait_exit() == 0


@pytest.mark.short
def test_drain_runs_a_long_queue(start):
    daemon = start("[pool default]\nworkers = 2\ncapacity = 100\n")
    client = daemon.client()
    for _ in range(60):
        client.post("sleep", {"ms": 5})
    *_, last = client.more("Shutdown", {"mode": "drain"})
    assert last["done"] == 60 and last["cancelled"] == 0
    assert daemon.wait_exit() == 0


@pytest.mark.short
def test_drain_of_a_paused_pool_cancels_what_would_wait_for_ever(start):
    daemon = start("[pool default]\nworkers = 1\npaused = yes\n")
    waiter, client = daemon.client(), daemon.client()
    waiter.send("Post", {"handler": "noop", "wait": True})
    daemon.until(lambda pool: pool["queued"] == 1)
    assert client.call("Shutdown", {"mode": "drain"})["cancelled"] == 1
    assert state_and_reason(waiter.recv()["task"]) == ("cancelled", "shutdown")
    assert daemon.wait_exit() == 0


@pytest.mark.short
def test_second_shutdown_can_only_be_harder(start):
    daemon = start(ONE)
    waiter, first, second = (daemon.client() for _ in range(3))
    waiter.send("Post", {"handler": "sleep", "args": MINUTE, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    first.send("Shutdown", {"mode": "finish"}, more=True)
    first.recv()
    assert first.sock and second.refused("Post", {"handler": "noop"}).params == {"mode": "finish"}
    second.send("Shutdown", {"mode": "now"})
    assert state_and_reason(waiter.recv()["task"]) == ("cancelled", "shutdown")
    assert list(first.recv_stream())[-1] == second.recv()
    assert daemon.wait_exit() == 0


@pytest.mark.short
def test_shutdown_has_a_time_limit_of_its_own(start):
    daemon = start(ONE)
    waiter, client = daemon.client(), daemon.client()
    waiter.send("Post", {"handler": "sleep", "args": MINUTE, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    began = time.monotonic()
    client.send("Shutdown", {"mode": "finish", "timeout_ms": 300})
    assert state_and_reason(waiter.recv()["task"]) == ("cancelled", "shutdown")
    assert 0.25 < time.monotonic() - began < 5
    assert client.recv()["cancelled"] == 1
    assert daemon.wait_exit() == 0


@pytest.mark.short
@pytest.mark.parametrize("mode", ["drain", "finish"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal_does_stop_mode_within_stop_timeout(start, mode, number):
    """A sleep of a minute, stop_timeout 300 ms: gone soon after."""
    daemon = start(f"[daemon]\nstop_mode = {mode}\nstop_timeout = 300ms\n" + ONE)
    waiter = daemon.client()
    waiter.send("Post", {"handler": "sleep", "args": MINUTE, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    began = time.monotonic()
    daemon.signal(number)
    assert state_and_reason(waiter.recv()["task"]) == ("cancelled", "shutdown")
    waiter.expect_eof()
    assert daemon.wait_exit() == 0
    assert 0.25 < time.monotonic() - began < 5


@pytest.mark.short
@pytest.mark.parametrize("mode", MODES)
def test_first_signal_does_stop_mode(start, mode):
    daemon = start(f"[daemon]\nstop_mode = {mode}\n" + ONE)
    active, queued = daemon.client(), daemon.client()
    active.send("Post", {"handler": "sleep", "args": {"ms": 300}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    queued.send("Post", {"handler": "noop", "wait": True})
    daemon.until(lambda pool: pool["queued"] == 1)
    daemon.signal(signal.SIGTERM)
    assert state_and_reason(active.recv()["task"]) == ENDS[mode][0]
    assert state_and_reason(queued.recv()["task"]) == ENDS[mode][1]
    assert daemon.wait_exit() == 0


@pytest.mark.short
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_second_signal_ends_running_tasks_now(start, second):
    daemon = start(ONE)
    waiter = daemon.client()
    waiter.send("Post", {"handler": "sleep", "args": MINUTE, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    daemon.signal(signal.SIGTERM)
    daemon.wait_note("STOPPING=1")
    assert daemon.client().pool()["active"] == 1, "the first lets it run"
    began = time.monotonic()
    daemon.signal(second)
    assert state_and_reason(waiter.recv()["task"]) == ("cancelled", "shutdown")
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < 5


@pytest.mark.short
def test_other_signals_change_nothing(start):
    daemon = start(ONE)
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        daemon.signal(number)
    daemon.check_serves()


@pytest.mark.short
def test_storm_of_signals_ends_once(start):
    daemon = start(ONE)
    daemon.client().post("sleep", MINUTE)
    for i in range(200):
        daemon.signal((signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)[i % 4])
    assert daemon.wait_exit() == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_client_that_does_not_read_does_not_hold_the_end(start, mode):
    daemon = start("[daemon]\nmax_output = 1M\n" + ONE)
    deaf = daemon.client()
    big = {"x": "y" * 50000}
    with daemon.client() as other:
        other.call("Wait", {"ids": [other.post("echo", big)["id"]]})
    deaf.sock.sendall(b"".join(deaf.encode("Show", {"id": "1"}) for _ in range(60)))
    daemon.pass_time(0.1)
    began = time.monotonic()
    daemon.client().send("Shutdown", {"mode": mode})
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < 10
    deaf.close()


@pytest.mark.short
def test_answers_that_are_under_way_arrive_whole(start):
    """More than fits into the socket; the client reads only after the daemon was told to stop."""
    daemon = start("[daemon]\nmax_output = 4M\n" + ONE)
    slow, admin = daemon.client(), daemon.client()
    admin.run("echo", {"x": "y" * 50000})
    slow.sock.sendall(b"".join(slow.encode("Show", {"id": "1"}) for _ in range(20)) + slow.encode("Post", {"handler": "noop"}))
    daemon.until(lambda pool: pool["done"] == 2)  # calls are taken in order: all that were before are answered
    admin.send("Shutdown", {"mode": "finish"})
    daemon.wait_note("STOPPING=1")
    for _ in range(20):
        assert len(slow.recv()["task"]["result"]["x"]) == 50000
    assert slow.recv()["id"] == "2"
    slow.expect_eof()
    assert daemon.wait_exit() == 0


@pytest.mark.short
def test_stop_while_the_host_starts(start):
    """As early as can be: the host's process is there, it has not said that it is ready."""
    daemon = start(ONE, ready=False)
    while not proc.children(daemon.pid):
        assert proc.is_alive(daemon.pid), daemon.stderr()
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < 1.5, "it waited for somebody who was not told"


@pytest.mark.short
def test_host_that_dies_while_stopping(start):
    daemon = start(ONE)
    waiter, client = daemon.client(), daemon.client()
    waiter.send("Post", {"handler": "sleep", "args": MINUTE, "wait": True})
    pid = daemon.until(lambda pool: pool["active"] == 1)["host_pid"]
    client.send("Shutdown", {"mode": "finish"}, more=True)
    client.recv()
    os.kill(pid, signal.SIGKILL)
    assert state_and_reason(waiter.recv()["task"]) == ("failed", "crashed")
    assert list(client.recv_stream())[-1]["failed"] == 1
    assert daemon.wait_exit() == 0


@pytest.mark.slow
def test_host_that_hangs_is_killed_when_stopping(start):
    """A task that hears of nothing ends after the grace, the daemon with 0."""
    daemon = start(ONE + plugins.handler(pool="default"))
    waiter, client = daemon.client(), daemon.client()
    waiter.send("Post", {"handler": "t", "args": {"do": "hang"}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    began = time.monotonic()
    client.send("Shutdown", {"mode": "now"})
    assert state_and_reason(waiter.recv(15)["task"]) == ("cancelled", "shutdown")
    assert client.recv()["cancelled"] == 1
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < 12


@pytest.mark.short
def test_stats_during_shutdown_still_work_and_admin_calls_do_no_harm(start):
    daemon = start("[pool default]\nworkers = 2\n")
    daemon.client().post("sleep", {"ms": 500})
    admin, client = daemon.client(), daemon.client()
    admin.send("Shutdown", {"mode": "finish"}, more=True)
    admin.recv()
    for method, params in (("Pause", {}), ("Resume", {}), ("Resize", {"workers": 5}), ("ResetMarks", {}), ("List", {}),
                           ("Handlers", {}), ("Stats", {})):
        try:
            client.call(method, params)
        except CallError as error:
            assert error.short in ("ShuttingDown", "WrongState")
    assert list(admin.recv_stream())[-1]["done"] == 1
    assert daemon.wait_exit() == 0
