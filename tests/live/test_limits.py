"""Limits (protocol.md's table, reliability.md's figures): too long, too slow, too many, no descriptor left, a client that does not
read. Each gets its answer, nobody else notices, and a post right after succeeds."""
import json
import resource
import socket
import time

import pytest

from kit import proc
from kit.client import DEADLINE, Client, encode_call

KIB, MIB = 1024, 1024 * 1024
GROWTH = 2 * MIB  # reliability.md: memory that one bad client can cost
ENDS = {"nul": b"\0", "line": b"\n"}


def padded_call(size, terminator):
    """A call of exactly `size` bytes before its terminator."""
    call = encode_call("Post", {"handler": "noop"}, terminator=b"")
    return call[:-1] + b" " * (size - len(call)) + b"}" + terminator


def push(client, data, seconds=DEADLINE):
    """Sends as much as the daemon takes until it closes or stops reading for good; answers how much that was."""
    client.sock.settimeout(seconds)
    view, sent = memoryview(data), 0
    try:
        while sent < len(view):
            sent += client.sock.send(view[sent:sent + 64 * KIB])
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        pass
    return sent


@pytest.mark.short
@pytest.mark.parametrize("mode", ENDS)
def test_message_of_exactly_max_message_is_taken(start, mode):
    daemon = start("[daemon]\nmax_message = 4K\n")
    client = daemon.client(line=mode == "line")
    client.send_raw(padded_call(4 * KIB, ENDS[mode]), expect=["Post"])
    assert client.recv()["id"] == "1"
    daemon.check_serves()


@pytest.mark.short
@pytest.mark.parametrize("size", [4 * KIB + 1, 8 * KIB, 10 * MIB])
@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("ended", [True, False], ids=["with terminator", "without terminator"])
def test_longer_message_is_refused_and_the_connection_closed(start, size, mode, ended):
    daemon = start("[daemon]\nmax_message = 4K\n")
    client = daemon.client(line=mode == "line")
    client.call("Pause")
    client.expected.append((None, False))
    push(client, padded_call(size, ENDS[mode] if ended else b""))
    error = client.recv_error()
    assert error.name == "org.workpool.MessageTooLong" and error.params == {"limit": 4 * KIB}
    client.expect_eof()
    with daemon.client() as other:
        assert other.pool()["posted"] == 0
        other.call("Resume")
    daemon.check_serves()


@pytest.mark.short
def test_message_that_is_too_long_does_not_take_the_answers_before_it(start):
    client = start("[daemon]\nmax_message = 4K\n").client()
    client.sock.sendall(client.encode("Post", {"handler": "noop"}) + client.encode("Handlers"))
    client.expected.append((None, False))
    push(client, b"x" * 5000)
    assert client.recv()["id"] == "1" and client.recv()["handlers"]
    assert client.recv_error().short == "MessageTooLong"
    client.expect_eof()


@pytest.mark.parametrize("data", [b"x", b"[", b'"', b"\\"], ids=["text", "brackets", "quotes", "backslashes"])
def test_endless_message_costs_little_memory(start, data):
    """64 MB without an end, in pieces: closed at 1 MiB; four at once cost no more than four times one message."""
    daemon = start()
    daemon.check_serves()
    before = proc.peak_reset(daemon.pid)
    client = daemon.client()
    client.expected.append((None, False))
    sent = push(client, data * (64 * MIB))
    assert client.recv_error().params == {"limit": MIB}
    client.expect_eof()
    assert sent < 3 * MIB
    grown = proc.peak_bytes(daemon.pid) - before
    print(f"memory: +{grown // KIB} KiB for an endless message")
    assert grown <= GROWTH or proc.is_sanitized(daemon.pid)
    daemon.check_serves()


@pytest.mark.short
@pytest.mark.parametrize("mode", ["nul", "line"])
def test_receive_timeout_of_a_half_message(start, mode):
    daemon = start("[daemon]\nreceive_timeout = 200ms\n")
    client = daemon.client(line=mode == "line")
    client.call("Pause")
    began = time.monotonic()
    client.send_raw(b'{"method":"org.work', expect=[None])
    error = client.recv_error()
    assert error.name == "org.workpool.ReceiveTimeout" and error.params == {"timeout_ms": 200}
    assert 0.19 <= time.monotonic() - began < 5
    client.expect_eof()
    with daemon.client() as other:
        other.call("Resume")
    daemon.check_serves()


@pytest.mark.short
def test_dripping_bytes_does_not_put_the_receive_timeout_off(start):
    daemon = start("[daemon]\nreceive_timeout = 200ms\n")
    client = daemon.client()
    client.expected.append((None, False))
    client.sock.send(b"{")
    for _, i in zip(daemon.watch(), range(200)):
        if client.has_input():
            break
        client.sock.send(b" ")
    assert client.recv_error().short == "ReceiveTimeout"
    assert i < 100, "two seconds of dripping"
    client.expect_eof()


@pytest.mark.short
def test_receive_timeout_of_the_rest_behind_whole_messages(start):
    client = start("[daemon]\nreceive_timeout = 200ms\n").client()
    client.sock.sendall(client.encode("Handlers") * 1 + b'{"meth')
    client.expected.append((None, False))
    assert client.recv()["handlers"]
    assert client.recv_error().short == "ReceiveTimeout"
    client.expect_eof()


@pytest.mark.short
def test_receive_timeout_spares_idle_connections_and_calls_that_wait(start):
    daemon = start("[daemon]\nreceive_timeout = 100ms\n[pool default]\nworkers = 1\n")
    idle, waiting = daemon.client(), daemon.client()
    idle.call("Handlers")
    waiting.sock.sendall(waiting.encode("Post", {"handler": "sleep", "args": {"ms": 500}, "wait": True})
                         + encode_call("Handlers")[:20])
    daemon.pass_time(0.4)
    assert waiting.recv()["state"] == "done"
    assert idle.call("Handlers")["handlers"]
    waiting.expected.append((None, False))
    assert waiting.recv_error().short == "ReceiveTimeout"


@pytest.mark.short
def test_receive_timeout_does_not_count_what_waits_for_its_turn(start):
    """Many calls in one write take several turns; the last of them were received in time."""
    daemon = start("[daemon]\nreceive_timeout = 100ms\n[pool default]\nworkers = 1\n")
    client = daemon.client()
    wait = client.encode("Post", {"handler": "sleep", "args": {"ms": 300}, "wait": True})
    client.sock.sendall(wait + b"".join(client.encode("Handlers") for _ in range(500)))
    assert client.recv()["state"] == "done"
    for _ in range(500):
        assert client.recv()["handlers"]


@pytest.mark.short
def test_receive_timeout_off_waits(start):
    daemon = start("[daemon]\nreceive_timeout = 0\n")
    client = daemon.client()
    data = client.encode("Handlers")
    client.sock.sendall(data[:9])
    daemon.pass_time(0.3)
    client.sock.sendall(data[9:])
    assert client.recv()["handlers"]


def wait_for_connections(client, n):
    """Until the daemon has noticed who left; on the client's own connection."""
    deadline = time.monotonic() + DEADLINE
    while client.call("Stats")["daemon"]["connections"] != n:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("config,limit", [
    ("max_connections = 8", 8), ("max_connections = 8\nmax_connections_per_uid = 5", 5)], ids=["of all", "of one user"])
@pytest.mark.short
def test_one_connection_too_many_is_told_so(start, config, limit):
    daemon = start(f"[daemon]\n{config}\n")
    clients = [daemon.client()]
    wait_for_connections(clients[0], 1)
    clients += [daemon.client() for _ in range(limit - 1)]
    for client in clients:
        client.call("Handlers")
    for _ in range(3):
        extra = daemon.client()
        extra.expected.append((None, False))
        error = extra.recv_error()
        assert error.name == "org.workpool.Busy" and error.params == {"limit": limit}
        extra.expect_eof()
    stats = clients[0].call("Stats")["daemon"]
    assert (stats["connections"], stats["refused_connections"]) == (limit, 3)
    assert clients[0].run("noop")["state"] == "done"
    clients.pop().close()
    wait_for_connections(clients[0], limit - 1)
    assert daemon.client().run("noop")["state"] == "done"


@pytest.mark.short
def test_refusal_of_one_user_leaves_the_others_room(start):
    daemon = start("[daemon]\nmax_connections_per_uid = 3\n")
    daemon.check_serves()
    greedy = [daemon.client_as(65534, 65534) for _ in range(4)]
    greedy[3].expected.append((None, False))
    assert greedy[3].recv_error().params == {"limit": 3}
    daemon.check_serves()


def connections_that_wait(daemon, n):
    found = [Client(daemon.path) for _ in range(n)]
    daemon.clients += found
    return found


def test_no_descriptor_left_says_busy_does_not_spin_and_recovers(start):
    """300 connections and no descriptor: at most 5 % processor time, few log lines, who is in goes on, back within a second."""
    daemon = start("[daemon]\nmax_connections_per_uid = 2000\n")
    daemon.check_serves()
    inside = daemon.client()
    inside.call("Handlers")
    soft = proc.n_fds(daemon.pid) + 1  # room for the watcher
    old = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, old[1]))
    watcher = inside.more("Stats", {"interval_ms": 100})
    next(watcher)
    filler = daemon.client()
    filler.call("Handlers")
    crowd = connections_that_wait(daemon, 300)
    first = next(watcher)["daemon"]
    began, cpu = time.monotonic(), proc.cpu_seconds(daemon.pid)
    for stats in watcher:
        if stats["daemon"]["uptime_ms"] - first["uptime_ms"] >= 2000:
            break
    share = (proc.cpu_seconds(daemon.pid) - cpu) / (time.monotonic() - began)
    print(f"no descriptors: {100 * share:.2f} % processor time, {stats['daemon']['refused_connections']} told Busy")
    assert share <= 0.05 or proc.is_sanitized(daemon.pid)
    assert stats["daemon"]["refused_connections"] >= 1
    told = [client for client in crowd if client.has_input()]
    assert told and all(json.loads(client.recv_bytes())["error"] == "org.workpool.Busy" for client in told)
    assert filler.call("Handlers")["handlers"], "who was in before is served"
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, old)
    began = time.monotonic()
    client = daemon.client()
    client.call("Handlers")
    print(f"back after {1000 * (time.monotonic() - began):.0f} ms")
    assert time.monotonic() - began < 2
    for one in crowd:
        one.close()
    assert daemon.stderr().count("\n") <= 2 + 10 + 2, daemon.stderr()
    daemon.check_serves()


def send_until_stuck(client, data, watch):
    """Sends again and again, until the daemon has taken nothing more for ten of its ticks; answers how much it took."""
    client.sock.setblocking(False)
    sent, idle, view = 0, 0, memoryview(data)
    for _ in watch:
        moved = 0
        try:
            while moved < 32 * MIB:
                n = client.sock.send(view[(sent + moved) % len(data):])
                moved += n
        except BlockingIOError:
            pass
        sent += moved
        idle = 0 if moved else idle + 1
        if idle >= 10 or sent > 256 * MIB:
            return sent
    raise AssertionError("Stats ended")


def test_client_that_does_not_read_is_not_read_from_and_nobody_else_notices(start):
    daemon = start("[daemon]\nmax_output = 64K\n")
    daemon.check_serves()
    deaf, other = daemon.client(), daemon.client()
    data = encode_call("org.varlink.service.GetInterfaceDescription", {"interface": "org.workpool"})
    before = proc.peak_reset(daemon.pid)
    sent = send_until_stuck(deaf, data, daemon.watch())
    grown = proc.peak_bytes(daemon.pid) - before
    print(f"a deaf client: {sent // KIB} KiB taken from it, memory +{grown // KIB} KiB")
    assert sent < 8 * MIB
    assert grown <= GROWTH or proc.is_sanitized(daemon.pid)
    cpu = proc.cpu_seconds(daemon.pid)
    daemon.pass_time(0.3)
    assert proc.cpu_seconds(daemon.pid) - cpu < 0.1 or proc.is_sanitized(daemon.pid), "it spins"
    assert other.run("noop")["state"] == "done"
    # It was only slow: every call that was sent whole is answered.
    deaf.sock.setblocking(True)
    deaf.half_close()
    whole, rest = divmod(sent, len(data))
    for _ in range(whole):
        deaf.expected.append(("org.varlink.service.GetInterfaceDescription", False))
        assert deaf.recv()["description"]
    if rest:
        deaf.expected.append((None, False))
        assert deaf.recv_error().short == "MalformedMessage"
    deaf.expect_eof()
    daemon.check_serves()


@pytest.mark.short
def test_stats_for_a_client_that_does_not_read_do_not_pile_up(start):
    daemon = start("[daemon]\nmax_output = 4K\n")
    deaf = daemon.client()
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send("Stats", {"interval_ms": 10}, more=True)
    before = proc.rss_bytes(daemon.pid)
    daemon.pass_time(2)
    assert proc.rss_bytes(daemon.pid) - before < MIB or proc.is_sanitized(daemon.pid)
    for _ in range(20):
        assert deaf.recv_message()["continues"] is True
    deaf.close()
    daemon.check_serves()


def test_idle_connections_cost_little_memory_and_no_time(start):
    """800 connections that say nothing: at most 4 KiB each, others are served in a millisecond or so."""
    n = 800
    daemon = start("[daemon]\nmax_connections = 2000\nmax_connections_per_uid = 2000\n")
    daemon.check_serves()
    before = proc.rss_bytes(daemon.pid)
    crowd = connections_that_wait(daemon, n)
    for reply in daemon.watch():
        if reply["daemon"]["connections"] >= n:
            break
    each = (proc.rss_bytes(daemon.pid) - before) / n
    client = daemon.client()
    times = []
    for _ in range(200):
        began = time.monotonic()
        client.call("Handlers")
        times.append(time.monotonic() - began)
    median = sorted(times)[len(times) // 2]
    print(f"{n} idle connections: {each:.0f} bytes each, a call takes {1e6 * median:.0f} us")
    assert each <= 4 * KIB or proc.is_sanitized(daemon.pid)
    assert median < 0.02
    for one in crowd:
        one.close()


@pytest.mark.short
def test_args_longer_than_the_handler_takes_are_refused(start):
    client = start("[handler echo]\nmax_args = 100\n").client()
    assert client.run("echo", {"a": "x" * 80})["state"] == "done"
    error = client.refused("Post", {"handler": "echo", "args": {"a": "x" * 100}})
    assert error.short == "InvalidParameter" and error.params["parameter"] == "args"
    assert client.pool()["posted"] == 1


@pytest.mark.short
def test_result_longer_than_the_handler_may_give_fails_the_task(start):
    client = start("[handler echo]\nmax_output = 100\n").client()
    task = client.run("echo", {"a": "x" * 100})
    assert task["state"] == "failed" and task["reason"] == "output_too_long"
    assert client.run("echo", {"a": "y"})["state"] == "done"
