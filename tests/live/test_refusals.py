"""What is refused, and how (protocol.md's table): each hostile input gets exactly the answer that is written there, in both modes,
and a post right after succeeds. Limits of time, memory and numbers are in test_limits.py."""
import json
import socket

import pytest

from kit.client import encode_call
from kit.idl import Mismatch

pytestmark = pytest.mark.short


def call_text(parameters, method="org.workpool.Post"):
    """A call whose parameters are text that need not be JSON."""
    return b'{"method":"%s","parameters":%s}' % (method.encode(), parameters)


def deep(levels):
    """A whole message so many levels deep: its own object, parameters, args and so on."""
    return call_text(b'{"handler":"echo","args":{"a":' + b"[" * (levels - 3) + b"]" * (levels - 3) + b"}}")


MALFORMED = {
    "no JSON": b"hello",
    "a number": b"42",
    "an array": b'[{"method":"org.workpool.Stats"}]',
    "a string": b'"org.workpool.Stats"',
    "null": b"null",
    "half an object": b'{"method":"org.workpool.Stats"',
    "an empty object": b"{}",
    "single quotes": b"{'method':'org.workpool.Stats'}",
    "a comment": b'{"method":"org.workpool.Stats"} // please',
    "a trailing comma": b'{"method":"org.workpool.Stats",}',
    "duplicate key": b'{"method":"org.workpool.Stats","method":"org.workpool.Stats"}',
    "duplicate key inside": call_text(b'{"handler":"echo","args":{"a":1,"a":2}}'),
    "trailing text": b'{"method":"org.workpool.Stats"} x',
    "two objects": b'{"method":"org.workpool.Stats"}{"method":"org.workpool.Stats"}',
    "invalid UTF-8": call_text(b'{"handler":"echo","name":"\xc3\x28"}'),
    "overlong UTF-8": call_text(b'{"handler":"echo","name":"\xc0\xaf"}'),
    "UTF-16 surrogate as UTF-8": call_text(b'{"handler":"echo","name":"\xed\xa0\x80"}'),
    "lone surrogate escape": call_text(b'{"handler":"echo","name":"\\ud800"}'),
    "byte order mark": b'\xef\xbb\xbf{"method":"org.workpool.Stats"}',
    "u0000 in a value": call_text(b'{"handler":"echo","name":"a\\u0000b"}'),
    "u0000 in a key": call_text(b'{"handler":"echo","args":{"a\\u0000b":1}}'),
    "u0000 in the method": b'{"method":"org.workpool.Stats\\u0000"}',
    "NaN": call_text(b'{"handler":"echo","args":{"x":NaN}}'),
    "Infinity": call_text(b'{"handler":"echo","args":{"x":Infinity}}'),
    "1e400": call_text(b'{"handler":"echo","args":{"x":1e400}}'),
    "integer of 30 digits": call_text(b'{"handler":"echo","args":{"x":' + b"9" * 30 + b"}}"),
    "integer beyond 2^53": call_text(b'{"handler":"echo","args":{"x":9007199254740992}}'),
    "octal": call_text(b'{"handler":"echo","args":{"x":017}}'),
    "hexadecimal": call_text(b'{"handler":"echo","args":{"x":0x17}}'),
    "tab in a string": call_text(b'{"handler":"echo","name":"a\tb"}'),
    "33 levels": deep(33),
    "10,000 levels": deep(10000),
    "100,000 brackets": b"[" * 100000,
    "key of 257 bytes": call_text(b'{"handler":"echo","args":{"' + b"k" * 257 + b'":1}}'),
    "binary garbage": bytes(i for i in range(1, 256) if i != 10) * 3,
    "an unknown member": b'{"method":"org.workpool.Stats","id":7}',
    "method a number": b'{"method":7}',
    "method empty": b'{"method":""}',
    "parameters an array": b'{"method":"org.workpool.Stats","parameters":[]}',
    "more a string": b'{"method":"org.workpool.Stats","more":"yes"}',
    "oneway a number": b'{"method":"org.workpool.Stats","oneway":1}',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_message_in_nul_mode_is_answered_and_the_connection_closed(start, name):
    daemon = start()
    client = daemon.client()
    client.call("Pause")
    client.send_raw(MALFORMED[name] + b"\0" + encode_call("Resume"), expect=[None])
    error = client.recv_error()
    assert error.name == "org.workpool.MalformedMessage"
    assert error.params["reason"]
    client.expect_eof()
    with daemon.client() as other:
        assert other.pool()["paused"], "the call behind the malformed one was executed"
        other.call("Resume")
    daemon.check_serves()


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_message_in_line_mode_is_answered_and_the_connection_goes_on(start, name):
    client = start().client(line=True)
    client.send_raw(MALFORMED[name] + b"\n" + encode_call("Pause", terminator=b"\n"), expect=[None, "Pause"])
    error = client.recv_error()
    assert error.name == "org.workpool.MalformedMessage"
    assert error.params["reason"]
    assert client.recv() == {}
    client.call("Resume")
    assert client.run("echo", {"n": 2})["result"] == {"n": 2}


@pytest.mark.parametrize("text,word", [
    (b'{"method":"org.workpool.Stats"} x', "byte 33"), (b'{"a":1,"a":2}', "byte 10"), (deep(33), "byte %d" % (deep(33).rindex(b"[") + 1)),
    (b"hello", "byte 5"), (call_text(b'{"args":{"' + b"k" * 257 + b'":1}}'), "key"),
    (call_text(b'{"args":{"deep":9007199254740993}}'), "deep")])
def test_reason_names_position_or_place(start, text, word):
    client = start().client(line=True)
    client.send_raw(text + b"\n", expect=[None])
    assert word in client.recv_error().params["reason"]


def test_nul_byte_inside_a_line_is_malformed(start):
    client = start().client(line=True)
    client.call("Pause")
    client.send_raw(b'{"method":"org.workpool.\0Stats"}\n', expect=[None])
    assert client.recv_error().short == "MalformedMessage"
    client.call("Resume")


@pytest.mark.parametrize("levels", [4, 31, 32])
def test_up_to_32_levels_are_taken(start, levels):
    daemon = start()
    client = daemon.client()
    client.send_raw(deep(levels) + b"\0", expect=["Post"])
    assert client.recv()["id"]
    daemon.until(lambda pool: pool["done"] == 1)


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53 - 1), 1e300, -0.5, "ä€𝄞", "\x7f", "x" * 60000, {"k" * 256: None}, []],
                         ids=lambda value: str(value)[:12])
def test_what_is_just_right_passes_unchanged(start, value):
    task = start().client().run("echo", {"value": value})
    assert task["args"] == {"value": value} and task["result"] == {"value": value}


UNKNOWN = [
    ("org.workpool.Nothing", "MethodNotFound", {"method": "org.workpool.Nothing"}),
    ("org.workpool.post", "MethodNotFound", {"method": "org.workpool.post"}),
    ("org.workpool.", "MethodNotFound", {"method": "org.workpool."}),
    ("org.workpool", "InterfaceNotFound", {"interface": "org"}),
    ("org.varlink.service.Nothing", "MethodNotFound", {"method": "org.varlink.service.Nothing"}),
    ("org.nobody.Post", "InterfaceNotFound", {"interface": "org.nobody"}),
    ("org.workpool.sub.Post", "InterfaceNotFound", {"interface": "org.workpool.sub"}),
    ("Post", "MethodNotFound", {"method": "Post"}),
    (".", "MethodNotFound", {"method": "."}),
    ("%s%n%s.Post", "InterfaceNotFound", {"interface": "%s%n%s"}),
]


@pytest.mark.parametrize("method,error,params", UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_unknown_method_or_interface_is_named(start, method, error, params):
    client = start().client()
    client.send_raw(json.dumps({"method": method}).encode() + b"\0", expect=[None])
    answer = client.recv_error()
    assert answer.name == "org.varlink.service." + error and answer.params == params
    assert client.run("noop")["state"] == "done"


@pytest.mark.parametrize("size", [255, 256, 257, 5000])
def test_very_long_names_are_refused_whole_or_cut_but_never_break(start, size):
    client = start().client()
    client.send_raw(json.dumps({"method": "é" * size + ".Post"}).encode() + b"\0", expect=[None])
    assert client.recv_error().short == "InterfaceNotFound"
    client.send_raw(json.dumps({"method": "org.workpool." + "M" * size}).encode() + b"\0", expect=[None])
    assert client.recv_error().short == "MethodNotFound"
    assert client.run("noop")["state"] == "done"


def test_unknown_interface_has_no_description(start):
    client = start().client()
    error = client.refused("org.varlink.service.GetInterfaceDescription", {"interface": "org.nobody"})
    assert error.short == "InterfaceNotFound" and error.params == {"interface": "org.nobody"}


WRONG = [
    # method, parameters, the parameter that is named
    ("Post", {}, "handler"),
    ("Post", {"args": {}}, "handler"),
    ("Post", {"handler": None}, "handler"),
    ("Post", {"handler": ""}, "handler"),
    ("Post", {"handler": 7}, "handler"),
    ("Post", {"handler": "x" * 65}, "handler"),
    ("Post", {"handler": "noop", "args": []}, "args"),
    ("Post", {"handler": "noop", "args": "{}"}, "args"),
    ("Post", {"handler": "noop", "colour": "red"}, "colour"),
    ("Post", {"handler": "noop", "Pool": "default"}, "Pool"),
    ("Post", {"handler": "noop", "pool": ""}, "pool"),
    ("Post", {"handler": "noop", "pool": ["default"]}, "pool"),
    ("Post", {"handler": "noop", "name": ""}, "name"),
    ("Post", {"handler": "noop", "name": "n" * 129}, "name"),
    ("Post", {"handler": "noop", "timeout_ms": -1}, "timeout_ms"),
    ("Post", {"handler": "noop", "timeout_ms": 2**53 - 1}, "timeout_ms"),
    ("Post", {"handler": "noop", "timeout_ms": 1.5}, "timeout_ms"),
    ("Post", {"handler": "noop", "timeout_ms": "100"}, "timeout_ms"),
    ("Post", {"handler": "noop", "timeout_ms": True}, "timeout_ms"),
    ("Post", {"handler": "noop", "wait": "yes"}, "wait"),
    ("Post", {"handler": "noop", "wait": 1}, "wait"),
    ("Post", {"handler": "sleep"}, "args.ms"),
    ("Post", {"handler": "sleep", "args": {}}, "args.ms"),
    ("Post", {"handler": "sleep", "args": {"ms": "10"}}, "args.ms"),
    ("Post", {"handler": "sleep", "args": {"ms": -1}}, "args.ms"),
    ("Post", {"handler": "sleep", "args": {"ms": 1e3}}, "args.ms"),
    ("Post", {"handler": "sleep", "args": {"ms": 86400001}}, "args.ms"),
    ("Post", {"handler": "sleep", "args": {"ms": 1, "s": 1}}, "args.s"),
    ("Post", {"handler": "fail", "args": {"error": 1}}, "args.error"),
    ("Stats", {"pool": 1}, "pool"),
    ("Stats", {"interval_ms": 0}, "interval_ms"),
    ("Stats", {"interval_ms": 86400001}, "interval_ms"),
    ("Handlers", {"pool": "default"}, "pool"),
    ("Resize", {}, "workers"),
    ("Resize", {"pool": "default"}, "workers"),
    ("Resize", {"workers": 0}, "workers"),
    ("Resize", {"workers": 1025}, "workers"),
    ("Resize", {"workers": -5}, "workers"),
    ("Resize", {"workers": None}, "workers"),
    ("Resize", {"capacity": -1}, "capacity"),
    ("Resize", {"capacity": 10000001}, "capacity"),
    ("Pause", {"pools": "default"}, "pools"),
    ("Drain", {"timeout_ms": -1}, "timeout_ms"),
    ("Drain", {"timeout_ms": 86400001}, "timeout_ms"),
    ("Shutdown", {"mode": "later"}, "mode"),
    ("Shutdown", {"mode": ""}, "mode"),
    ("Shutdown", {"mode": "finish now"}, "mode"),
    ("Shutdown", {"timeout_ms": -1}, "timeout_ms"),
    ("Show", {}, "id"),
    ("Show", {"id": 1}, "id"),
    ("Show", {"id": ""}, "id"),
    ("List", {"state": "running"}, "state"),
    ("List", {"limit": 0}, "limit"),
    ("List", {"limit": 1001}, "limit"),
    ("List", {"mine": 0}, "mine"),
    ("Wait", {}, "ids"),
    ("Wait", {"ids": []}, "ids"),
    ("Wait", {"ids": "1"}, "ids"),
    ("Wait", {"ids": [1]}, "ids"),
    ("Wait", {"ids": ["1"] * 1001}, "ids"),
    ("ResetMarks", {"pool": {}}, "pool"),
    ("org.varlink.service.GetInfo", {"x": 1}, "x"),
    ("org.varlink.service.GetInterfaceDescription", {}, "interface"),
]


def test_wrong_parameter_is_named_and_explained(start):
    """One daemon and one connection for the whole table: no row ends either."""
    daemon = start()
    client = daemon.client()
    for method, params, name in WRONG:
        error = client.refused(method, params)
        where = f"{method} {str(params)[:80]} -> {error}"
        assert error.name == "org.varlink.service.InvalidParameter", where
        assert error.params["parameter"] == name and error.params["reason"], where
    pool = client.pool()
    assert pool["posted"] == 0 and not pool["paused"] and pool["capacity"] == 100
    assert client.run("echo", {"n": 3})["result"] == {"n": 3}


NOT_THERE = [
    ("Post", {"handler": "nobody"}, "NoSuchHandler", {"handler": "nobody"}),
    ("Post", {"handler": "noop", "pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("Stats", {"pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("Resize", {"pool": "nowhere", "workers": 1}, "NoSuchPool", {"pool": "nowhere"}),
    ("Pause", {"pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("Resume", {"pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("Drain", {"pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("ResetMarks", {"pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("List", {"pool": "nowhere"}, "NoSuchPool", {"pool": "nowhere"}),
    ("List", {"handler": "nobody"}, "NoSuchHandler", {"handler": "nobody"}),
    ("Show", {"id": "1"}, "NoSuchTask", {"id": "1"}),
    ("Show", {"id": "x"}, "NoSuchTask", {"id": "x"}),
    ("Show", {"id": "-1"}, "NoSuchTask", {"id": "-1"}),
    ("Show", {"id": "99999999999999999999999"}, "NoSuchTask", {"id": "99999999999999999999999"}),
    ("Wait", {"ids": ["1"]}, "NoSuchTask", {"id": "1"}),
]


def test_what_is_not_there_is_named(start):
    client = start().client()
    for method, params, name, answer in NOT_THERE:
        error = client.refused(method, params)
        assert error.name == "org.workpool." + name and error.params == answer, f"{method} {params} -> {error}"
    assert client.pool()["posted"] == 0
    assert client.run("noop")["state"] == "done"


def test_an_id_has_one_spelling(start):
    client = start().client()
    assert client.run("noop")["id"] == "1"
    for spelling in ("01", "+1", " 1", "1 ", "0x1", "1.0"):
        assert client.refused("Show", {"id": spelling}).short == "NoSuchTask"


def test_client_gone_in_the_middle_of_a_message_costs_nothing(start):
    daemon = start()
    for cut in (1, 10, 40, 60):
        client = daemon.client()
        client.sock.sendall(encode_call("Post", {"handler": "noop", "name": "half"})[:cut])
        client.close()
    daemon.check_serves()
    with daemon.client() as client:
        assert client.pool()["posted"] == 1


def test_urgent_reset_of_a_connection_with_replies_in_flight(start):
    """Closed with unread replies: the kernel tells the daemon ECONNRESET."""
    daemon = start()
    for _ in range(20):
        client = daemon.client()
        client.sock.sendall(encode_call("Stats") * 50)
        client.sock.recv(10)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.close()
    daemon.check_serves()


def test_very_many_tiny_messages(start):
    """20,000 of the shortest wrong lines: 20,000 answers, and the others do not wait for it."""
    daemon = start()
    n = 20000
    client, other = daemon.client(line=True), daemon.client()
    client.sock.settimeout(0)
    left, answers = memoryview(b"0\n" * n), 0
    while answers < n:
        try:
            left = left[client.sock.send(left):] if left else left
        except BlockingIOError:
            pass
        if answers % 100 == 0:
            assert other.call("Handlers")
        message = json.loads(client.recv_bytes())
        assert message["error"] == "org.workpool.MalformedMessage"
        answers += 1
    daemon.check_serves()


def test_the_checker_of_replies_sees_what_is_wrong(start):
    """The tests lean on it: a missing, an unknown and a wrongly typed field, an unknown error."""
    daemon = start()
    client = daemon.client()
    good = {"parameters": {"id": "1", "state": "queued"}}
    check = client.interfaces.check_reply
    check("org.workpool.Post", good)
    for params in ({"id": "1"}, {"id": 1, "state": "queued"}, {"id": "1", "state": "odd"}, {"id": "1", "state": "queued", "x": 1}):
        with pytest.raises(Mismatch):
            check("org.workpool.Post", {"parameters": params})
    for message in ({"error": "org.workpool.Odd"}, good | {"continues": True}, good | {"x": 1},
                    {"error": "org.workpool.AtCapacity", "parameters": {"pool": "x", "queued": 1}}):
        with pytest.raises(Mismatch):
            check("org.workpool.Post", message)
