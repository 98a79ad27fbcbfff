"""Framing (protocol.md): terminators, order, pipelining, half-close, oneway, more, calls that wait."""
import json

import pytest

from kit.client import CallError, encode_call

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"


@pytest.fixture(params=["nul", "line"])
def mode(request):
    return {"line": request.param == "line"}


def ids(*replies):
    return [reply["id"] for reply in replies]


def test_call_is_answered_with_its_own_terminator(start, mode):
    client = start().client(**mode)
    assert client.post("noop")["state"] in ("queued", "active")
    assert not client.buffer


def test_first_terminator_decides_for_line_mode(start):
    client = start().client(line=True)
    client.call("Pause")
    # Now a NUL byte is no terminator any more: it makes its line malformed, and the connection goes on.
    client.send_raw(encode_call("Resume", terminator=b"\0") + b"\n", expect=["Resume"])
    assert client.recv_error().short == "MalformedMessage"
    client.call("Resume")


def test_first_terminator_decides_for_nul_mode(start):
    client = start().client()
    client.call("Pause")
    client.send_raw(b'{"method":\n"org.workpool.Resume"\n}\n\0', expect=["Resume"])
    assert client.recv() == {}
    assert not client.buffer


def test_newline_before_the_first_nul_ends_the_first_message(start):
    client = start().client(line=True)
    client.send_raw(encode_call("Pause", terminator=b"\n") + encode_call("Resume", terminator=b"\0"), expect=["Pause"])
    assert client.recv() == {}
    client.send_raw(b"\n", expect=["Resume"])
    assert client.recv_error().short == "MalformedMessage"


@pytest.mark.parametrize("empty", [b"\n", b"\r\n", b"\n\n\r\n\n"])
def test_empty_lines_are_ignored(start, empty):
    client = start().client(line=True)
    client.send_raw(empty + client.encode("Pause") + empty + client.encode("Resume"))
    assert client.recv() == {} and client.recv() == {}
    client.expect_silence()


def test_empty_message_in_nul_mode_is_malformed(start):
    client = start().client()
    client.call("Pause")
    client.send_raw(b"\0", expect=[None])
    assert client.recv_error().short == "MalformedMessage"
    client.expect_eof()


def test_carriage_return_before_the_newline_is_white_space(start):
    client = start().client(line=True)
    client.send_raw(encode_call("Pause", terminator=b"\r\n"), expect=["Pause"])
    assert client.recv() == {}


def test_message_may_arrive_byte_by_byte(start, mode):
    client = start().client(**mode)
    for byte in client.encode("Post", {"handler": "noop", "name": "slöw"}):
        client.sock.send(bytes([byte]))
    assert client.recv()["id"]


def test_half_a_terminator_of_many_calls_in_one_write(start, mode):
    """Two and a half calls in one write, the rest in another: three answers."""
    client = start().client(**mode)
    data = b"".join(client.encode("Post", {"handler": "noop", "name": name}) for name in "abc")
    client.sock.sendall(data[:-7])
    first, second = client.recv(), client.recv()
    client.expect_silence()
    client.sock.sendall(data[-7:])
    assert [int(i) for i in ids(first, second, client.recv())] == [1, 2, 3]


def test_pipelined_calls_are_answered_in_order(start, mode):
    client = start().client(**mode)
    calls = ["Stats", "Post", "Show", "List", "Nothing", "Handlers", "Pause", "Post", "Resume"]
    params = {"Post": {"handler": "noop"}, "Show": {"id": "77"}}
    client.sock.sendall(b"".join(client.encode(name, params.get(name)) for name in calls))
    messages = [client.recv_message() for _ in calls]
    shapes = [message.get("error", "").rpartition(".")[2] or sorted(message["parameters"])[0:1] for message in messages]
    assert shapes == [["daemon"], ["id"], "NoSuchTask", ["tasks"], "MethodNotFound", ["handlers"], [], ["id"], []]


def test_pipelined_posts_get_ascending_ids(start, mode):
    n = 1000
    daemon = start(f"[pool default]\ncapacity = {n}\n")
    client = daemon.client(**mode)
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "noop"}) for _ in range(n)))
    assert [int(client.recv()["id"]) for _ in range(n)] == list(range(1, n + 1))
    daemon.until(lambda pool: pool["done"] == n)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 129, 700])
def test_half_close_still_gets_every_reply(start, mode, n):
    """Also more calls than a turn takes, and a call that waits for its task."""
    client = start("[pool default]\ncapacity = 1000\n").client(**mode)
    data = b"".join(client.encode("Post", {"handler": "noop"}) for _ in range(n - 1))
    client.sock.sendall(data + client.encode("Post", {"handler": "sleep", "args": {"ms": 50}, "wait": True}))
    client.half_close()
    replies = [client.recv() for _ in range(n)]
    assert [int(i) for i in ids(*replies)] == list(range(1, n + 1))
    assert replies[-1]["task"]["state"] == "done"
    client.expect_eof()


def test_half_close_without_a_call_closes(start, mode):
    client = start().client(**mode)
    client.half_close()
    client.expect_eof()


def test_half_close_inside_a_message_says_so(start):
    client = start().client()
    client.send_raw(b'{"method":"org.workpool.Post"', expect=[None])
    client.half_close()
    error = client.recv_error()
    assert error.short == "MalformedMessage" and "end" in error.params["reason"]
    client.expect_eof()


def test_oneway_gets_no_reply(start, mode):
    daemon = start()
    client = daemon.client(**mode)
    client.send("Post", {"handler": "noop", "name": "quiet"}, oneway=True)
    assert client.call("List", {"name": "quiet"})["tasks"][0]["name"] == "quiet"
    assert not client.buffer


@pytest.mark.parametrize("method,params", [
    ("Post", {"handler": "nobody knows"}), ("Post", {}), ("Nothing", {}), ("io.nobody.Method", {}),
    ("Show", {"id": "12"}), ("Wait", {"ids": ["1"]}), ("Resize", {"workers": -1})])
def test_oneway_gets_no_error_either(start, mode, method, params):
    client = start().client(**mode)
    client.send(method, params, oneway=True)
    assert client.call("Pause") == {}
    assert not client.buffer


def test_oneway_posts_are_taken_though_the_client_leaves_at_once(start, mode):
    """Fire and forget: what was sent whole is done, though nobody waits for it; more of it than a turn takes."""
    daemon = start("[pool default]\ncapacity = 5000\n")
    client = daemon.client(**mode)
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "noop"}, oneway=True) for _ in range(500)))
    client.close()
    daemon.until(lambda pool: pool["done"] == 500, seconds=5)


def test_oneway_wait_holds_nothing_back(start, mode):
    client = start().client(**mode)
    client.send("Post", {"handler": "sleep", "args": {"ms": 60000}, "wait": True}, oneway=True)
    assert client.call("Pause") == {}


def test_upgrade_is_refused(start, mode):
    client = start().client(**mode)
    error = client.refused("Stats", {}, upgrade=True)
    assert (error.short, error.params["parameter"]) == ("InvalidParameter", "upgrade")
    assert client.call("Pause") == {}


@pytest.mark.parametrize("flags", [{"more": False}, {"oneway": False}, {"upgrade": False}, {"more": None}, {"oneway": None}])
def test_flags_that_are_off_change_nothing(start, flags):
    client = start().client()
    client.send_raw(encode_call("Stats", {}, **flags) if "more" not in flags else
                    json.dumps({"method": "org.workpool.Stats", **flags}).encode() + b"\0", expect=["Stats"])
    assert "continues" not in client.recv_message()


def test_more_for_a_method_that_answers_once_gets_one_reply(start):
    client = start().client()
    assert len(list(client.more("Post", {"handler": "noop"}))) == 1
    assert client.call("Pause") == {}


def test_parameters_null_is_as_good_as_none(start):
    client = start().client()
    client.send_raw(b'{"method":"org.workpool.Stats","parameters":null}\0', expect=["Stats"])
    assert client.recv()["pools"]


@pytest.mark.parametrize("method,params,more", [
    ("Post", {"handler": "noop", "wait": True}, False), ("Drain", {}, False), ("Drain", {}, True),
    ("Wait", {"ids": ["1"]}, False), ("Wait", {"ids": ["1"]}, True)])
def test_call_that_waits_holds_back_those_behind_it_on_its_connection_only(start, mode, method, params, more):
    """Pause comes behind the call that waits: it has no effect until that has ended. Elsewhere life goes on."""
    daemon = start(ONE)
    other, client = daemon.client(), daemon.client(**mode)
    other.post("sleep", {"ms": 300})
    client.sock.sendall(client.encode(method, params, more=more) + client.encode("Pause") + client.encode("Handlers"))
    assert other.post("noop")["id"] in ("2", "3")
    daemon.until(lambda pool: pool["active"] == 1 and not pool["paused"])
    assert other.pool()["paused"] is False
    replies = list(client.recv_stream()) if more else [client.recv()]
    assert replies
    assert client.recv() == {} and client.recv()["handlers"]
    assert other.pool()["paused"] is True


def test_stats_with_more_holds_its_connection_until_the_client_leaves(start, mode):
    daemon = start()
    client = daemon.client(**mode)
    client.sock.sendall(client.encode("Stats", {"interval_ms": 10}, more=True) + client.encode("Pause"))
    for _ in range(3):
        assert client.recv_message()["continues"] is True
    client.close()
    with daemon.client() as other:
        assert other.pool()["paused"] is False


def test_task_of_a_client_that_left_while_it_waited_goes_on(start, mode):
    daemon = start(ONE)
    client = daemon.client(**mode)
    client.send("Post", {"handler": "sleep", "args": {"ms": 100}, "wait": True, "name": "orphan"})
    daemon.until(lambda pool: pool["active"] == 1)
    client.close()
    daemon.until(lambda pool: pool["done"] == 1)


def test_client_that_half_closed_and_then_left_is_noticed(start):
    """Nothing is left of it, though its call would wait for a minute."""
    daemon = start(ONE)
    client = daemon.client()
    client.send("Post", {"handler": "sleep", "args": {"ms": 60000}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    client.half_close()
    daemon.pass_time(0.1)
    client.close()
    for reply, _ in zip(daemon.watch(), range(200)):
        if reply["daemon"]["connections"] == 1:
            return
    raise AssertionError("the daemon still counts the connection of a client that is gone")


def test_error_leaves_the_connection_usable(start, mode):
    client = start().client(**mode)
    for _ in range(3):
        with pytest.raises(CallError):
            client.call("Show", {"id": "5"})
    assert client.call("Pause") == {}
