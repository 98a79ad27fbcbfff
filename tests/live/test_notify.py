"""What the daemon tells its service manager, by a NOTIFY_SOCKET of the test's own: READY, STATUS, STOPPING, WATCHDOG."""
import os
import re
import signal
import socket
import time

import pytest

from kit import proc

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"


def fill(address):
    """The manager reads nothing, until not one word more finds room. A sender's own buffer may be full before the queue is: then
    another one goes on."""
    n = 1
    while n > 0:
        n = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                while sender.sendto(b"X_FILL=1", address):
                    n += 1
            except BlockingIOError:
                pass


def test_ready_comes_when_socket_and_hosts_are_up(start):
    daemon = start(ONE, ready=False)
    daemon.wait_note("READY=1")
    client = daemon.client()
    assert client.pool()["host"] == "up"
    assert client.run("noop")["state"] == "done"
    daemon.wait_note("STATUS=")
    daemon.fds_at_ready = None


def test_ready_is_said_once_and_soon(start):
    began = time.monotonic()
    daemon = start("".join(f"[pool p{i}]\nworkers = 2\n" for i in range(10)))
    took = time.monotonic() - began
    print(f"READY with 11 pools after {1000 * took:.0f} ms")
    assert took < 3
    with daemon.client() as client:
        assert all(pool["host"] == "up" for pool in client.call("Stats")["pools"])
    daemon.signal(signal.SIGTERM)
    daemon.wait_note("STOPPING=1")
    assert daemon.wait_exit() == 0
    assert "READY=1" not in daemon.notes


def test_status_tells_the_numbers(start):
    daemon = start(ONE)
    client = daemon.client()
    client.post("sleep", {"ms": 60000})
    client.post("noop")
    deadline = time.monotonic() + 10
    while not re.fullmatch("STATUS=1 pools?, 1 queued, 1 active", daemon.wait_note("STATUS=")):
        assert time.monotonic() < deadline


def test_stopping_is_said_before_the_end(start):
    daemon = start(ONE)
    waiter = daemon.client()
    waiter.send("Post", {"handler": "sleep", "args": {"ms": 200}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    daemon.signal(signal.SIGTERM)
    daemon.wait_note("STOPPING=1")
    assert proc.is_alive(daemon.pid)
    assert waiter.recv()["task"]["state"] == "done"
    assert daemon.wait_exit() == 0


def test_watchdog_is_fed_in_time_from_the_loop(start):
    """Every half of WATCHDOG_USEC, also when nothing happens."""
    daemon = start(ONE, env={"WATCHDOG_USEC": "200000"})
    times = []
    for _ in range(6):
        daemon.wait_note("WATCHDOG=1")
        times.append(time.monotonic())
    steps = [after - before for before, after in zip(times[1:], times[2:])]
    assert all(step < 0.2 for step in steps) or proc.is_sanitized(daemon.pid), steps
    assert sum(steps) > 0.2, "not in every turn"


def test_watchdog_is_not_fed_by_a_daemon_that_does_not_turn(start):
    daemon = start(ONE, env={"WATCHDOG_USEC": "100000"})
    daemon.wait_note("WATCHDOG=1")
    try:
        proc.freeze(daemon.pid)
        while proc.wait_readable([daemon.notify], 0):
            daemon.notify.recv(8192)
        assert not proc.wait_readable([daemon.notify], 0.3), "it was fed by a daemon that stands still"
        daemon.notes.clear()
    finally:
        daemon.signal(signal.SIGCONT)
    daemon.wait_note("WATCHDOG=1")


def test_watchdog_of_another_process_is_not_ours(start):
    daemon = start(ONE, env={"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    daemon.pass_time(0.3)
    daemon.signal(signal.SIGTERM)
    daemon.wait_note("STOPPING=1")
    assert daemon.wait_exit() == 0
    assert not any("WATCHDOG" in note for note in daemon.notes)


def test_manager_that_does_not_read_keeps_nobody_waiting(start):
    """Calls are answered and tasks run meanwhile; the watchdog is fed again as soon as there is room."""
    daemon = start(ONE, env={"WATCHDOG_USEC": "100000"})
    daemon.wait_note("WATCHDOG=1")
    fill(daemon.notify.getsockname())
    daemon.pass_time(0.3)
    daemon.check_serves()
    daemon.wait_note("WATCHDOG=1")
    daemon.wait_note("WATCHDOG=1")


def test_manager_that_does_not_read_is_no_reason_to_stay(start):
    daemon = start(ONE)
    fill(daemon.notify.getsockname())
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_word_that_found_no_room_is_said_when_there_is_some(start):
    """Once, and a turn that nothing else wakes says it."""
    daemon = start(ONE)
    client = daemon.client()
    client.send("Post", {"handler": "sleep", "args": {"ms": 60000}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    fill(daemon.notify.getsockname())
    watcher = daemon.client()
    daemon.signal(signal.SIGTERM)
    while watcher.call("Stats")["daemon"]["state"] == "running":
        pass
    daemon.wait_note("STOPPING=1")
    daemon.signal(signal.SIGTERM)
    assert client.recv()["task"]["state"] == "cancelled"
    assert daemon.wait_exit() == 0
    assert "STOPPING=1" not in daemon.notes


def test_manager_that_comes_anew_is_told(start):
    """A new socket at the same place, as after a restart of a supervisor."""
    daemon = start(ONE)
    address = daemon.notify.getsockname()
    daemon.notify.close()
    os.unlink(address)
    daemon.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.notify.bind(address)
    daemon.signal(signal.SIGTERM)
    daemon.wait_note("STOPPING=1")
    assert daemon.wait_exit() == 0


def test_manager_s_socket_may_have_an_abstract_name(start):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # the kernel gives a name: unix(7), autobind
        daemon = start(ONE, env={"NOTIFY_SOCKET": "@" + manager.getsockname()[1:].decode()}, ready=False)
        assert proc.wait_readable([manager, daemon.pidfd], 10) == [manager]
        assert manager.recv(100) == b"READY=1"


def test_hosts_do_not_know_the_service_manager_s_variables(start):
    """A host that said READY or fed the watchdog would lie for the daemon."""
    daemon = start(ONE, env={"WATCHDOG_USEC": "30000000"})
    pid = daemon.client().pool()["host_pid"]
    with open(f"/proc/{pid}/environ", "rb") as file:
        names = {entry.split(b"=")[0].decode() for entry in file.read().split(b"\0") if entry}
    assert not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}, names


def test_without_a_service_manager_it_runs_as_well(workpoold, start):
    """No NOTIFY_SOCKET: a socket that takes connections is the sign. For a moment it has its name and does not listen yet."""
    daemon = start(ONE, env={"NOTIFY_SOCKET": ""}, ready=False)
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_UNIX) as sock:
        while sock.connect_ex(daemon.path) != 0:
            assert time.monotonic() < deadline and proc.is_alive(daemon.pid)
    daemon.check_serves()
