"""Events: what is told, in which order, with which filters; a reader that is slow; a reader that is gone."""
import pytest

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n[pool other]\nworkers = 1\n"


def listen(daemon, **params):
    """A client that hears all that happens from here on, and the generator of what it hears."""
    client = daemon.client()
    replies = client.more("Events", params)
    assert next(replies) == {"missed": 0}
    return (reply["event"] for reply in replies)


def take(events, n):
    return [next(events) for _ in range(n)]


def test_life_of_a_task_is_told_in_order(start):
    daemon = start(ONE)
    events = listen(daemon)
    client = daemon.client()
    done = client.post("echo", {"secret": 1}, name="mine", wait=True)["id"]
    failed = client.post("fail", wait=True)["id"]
    told = take(events, 6)
    assert [(event["kind"], event["id"]) for event in told] == [
        ("posted", done), ("started", done), ("done", done), ("posted", failed), ("started", failed), ("failed", failed)]
    assert {event["pool"] for event in told} == {"default"}
    assert [event["handler"] for event in told[2:4]] == ["echo", "fail"]
    assert told[0]["name"] == "mine" and "name" not in told[3]
    assert told[1]["worker"] == 0 and told[1]["attempt"] == 1
    assert told[5]["reason"] == "failed" and "reason" not in told[2]
    assert "secret" not in str(told)
    assert all(a["at"] <= b["at"] for a, b in zip(told, told[1:]))


def test_retry_of_an_attempt_and_of_a_task(start):
    daemon = start("[handler fail]\nretries = 1\nbackoff_min = 1ms\n")
    events = listen(daemon)
    client = daemon.client()
    task = client.post("fail", wait=True)["id"]
    kinds = ["posted", "started", "returned", "started", "failed"]
    assert [event["kind"] for event in take(events, 5)] == kinds
    client.call("Retry", {"ids": [task]})
    told = take(events, 4)
    assert [event["kind"] for event in told] == ["retried", "started", "returned", "started"]
    assert [event["attempt"] for event in told][1:] == [3, 3, 4]


def test_filters(start):
    daemon = start(ONE)
    other = listen(daemon, pool="other")
    ends = listen(daemon, kinds=["done", "paused"])
    client = daemon.client()
    client.post("noop", wait=True)
    client.post("noop", pool="other", wait=True)
    client.call("Pause", {"pool": "other"})
    assert [(e["kind"], e["pool"]) for e in take(other, 4)] == [
        ("posted", "other"), ("started", "other"), ("done", "other"), ("paused", "other")]
    assert [(e["kind"], e["pool"]) for e in take(ends, 3)] == [("done", "default"), ("done", "other"), ("paused", "other")]


def test_pools_tell_what_is_done_to_them(start):
    daemon = start(ONE)
    events = listen(daemon, kinds=["resized", "paused", "resumed"])
    client = daemon.client()
    client.call("Resize", {"workers": 5})
    client.call("Pause", {"pool": "default"})
    client.call("Pause", {"pool": "default"})  # it is: nothing happens
    client.call("Resume", {"pool": "default"})
    told = take(events, 3)
    assert [event["kind"] for event in told] == ["resized", "paused", "resumed"]
    assert told[0]["workers"] == 5


def test_cancelled_and_expired(start):
    daemon = start(ONE)
    client = daemon.client()
    running = client.post("sleep", {"ms": 60000})["id"]
    events = listen(daemon)
    late = client.post("noop", expires_ms=1)["id"]
    queued = client.post("noop")["id"]
    client.call("Cancel", {"ids": [queued, running]})
    told = take(events, 5)
    assert [(e["kind"], e["id"]) for e in told if e["id"] == queued] == [("posted", queued), ("cancelled", queued)]
    assert [(e["kind"], e["id"]) for e in told if e["id"] == late][0] == ("posted", late)
    kinds = {(e["kind"], e["id"]) for e in told}
    assert ("expired", late) in kinds or ("started", late) in kinds


def test_progress_is_told(start):
    daemon = start(ONE)
    events = listen(daemon, kinds=["progress"])
    client = daemon.client()
    task = client.post("sleep", {"ms": 1000})["id"]
    event = next(events)
    assert event["id"] == task and 0 < event["permille"] < 1000
    assert client.call("Show", {"id": task})["task"]["progress"]["permille"] >= event["permille"]
    client.call("Cancel", {"ids": [task]})


def test_without_more_it_is_refused(start):
    error = start().client().refused("Events")
    assert error.name == "org.varlink.service.ExpectedMore" and error.params == {}


@pytest.mark.parametrize("params,field", [({"kinds": ["dnoe"]}, "kinds"), ({"kinds": "done"}, "kinds"), ({"pools": "x"}, "pools")])
def test_wrong_parameters(start, params, field):
    client = start().client()
    client.send("Events", params, more=True)
    assert client.recv_error().params["parameter"] == field


def test_unknown_pool(start):
    client = start().client()
    client.send("Events", {"pool": "nope"}, more=True)
    assert client.recv_error().short == "NoSuchPool"


def test_slow_reader_misses_some_and_is_told_how_many(start):
    daemon = start("[daemon]\nmax_output = 4K\n[pool default]\nworkers = 1\ncapacity = 100000\n")
    slow = daemon.client()
    replies = slow.more("Events", {"kinds": ["posted"]})
    assert next(replies) == {"missed": 0}
    client = daemon.client()
    client.call("Pause", {"pool": "default"})
    total, heard, missed = 0, 0, 0
    while total < 20000:  # far more than the socket and max_output hold
        client.send_raw(b"".join(client.encode("Post", {"handler": "noop"}) for _ in range(1000)))
        for _ in range(1000):
            client.recv()
        total += 1000
    last = None
    while heard + missed < total:
        if not slow.has_input():
            client.post()  # one more event, for which there is room by now
            total += 1
        last = next(replies)
        heard += "event" in last
        missed += last["missed"]
    assert heard + missed == total and 0 < heard < total and missed > 0


def test_reader_that_goes_costs_nothing(start):
    daemon = start()
    for _ in range(20):
        client = daemon.client()
        client.send("Events", more=True)
        assert client.recv() == {"missed": 0}
        client.close()
    daemon.check_serves()
