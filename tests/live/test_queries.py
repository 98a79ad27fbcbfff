"""Looking at tasks and waiting for them: Show, List with filters and pages, Wait with and without more; the history's bounds."""
import pytest

from kit.client import CallError

pytestmark = pytest.mark.short
CONFIG = "[pool default]\nworkers = 1\ncapacity = 1000\n[pool mail]\nworkers = 1\n"
MINUTE = {"ms": 60000}


def names(reply):
    return [task.get("name") for task in reply["tasks"]]


@pytest.fixture
def filled(start):
    """One of each: done, failed, active, queued; two pools."""
    daemon = start(CONFIG)
    client = daemon.client()
    client.run("echo", {"secret": 1}, name="a")
    client.run("fail", name="b")
    client.run("noop", name="m", pool="mail")
    client.post("sleep", MINUTE, name="c")
    client.post("sleep", MINUTE, name="d")
    return client


@pytest.mark.parametrize("params,wanted", [
    ({}, ["a", "b", "m", "c", "d"]), ({"state": "done"}, ["a", "m"]), ({"state": "failed"}, ["b"]), ({"state": "active"}, ["c"]),
    ({"state": "queued"}, ["d"]), ({"state": "lost"}, []), ({"pool": "mail"}, ["m"]),
    ({"handler": "sleep"}, ["c", "d"]), ({"name": "b"}, ["b"]), ({"name": "nobody"}, []),
    ({"mine": True}, ["a", "b", "m", "c", "d"]), ({"mine": False}, ["a", "b", "m", "c", "d"]),
    ({"handler": "sleep", "state": "queued"}, ["d"]), ({"pool": "mail", "state": "failed"}, []), ({"limit": 2}, ["a", "b"]),
    ({"after": "2"}, ["m", "c", "d"]), ({"after": "5"}, []), ({"after": "999"}, []),
    ({"pool": None, "state": None}, ["a", "b", "m", "c", "d"])])
def test_list_filters(filled, params, wanted):
    assert names(filled.call("List", params)) == wanted


def test_list_leaves_payloads_out_and_show_has_them(filled):
    assert all("args" not in task and "result" not in task for task in filled.call("List")["tasks"])
    task = filled.call("Show", {"id": "1"})["task"]
    assert task["args"] == {"secret": 1} == task["result"]


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_pages_hold_each_task_once_in_order(start, limit):
    daemon = start(CONFIG)
    client = daemon.client()
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "noop"}) for _ in range(150)))
    for _ in range(150):
        client.recv()
    found, params = [], {"limit": limit}
    while True:
        reply = client.call("List", params)
        assert len(reply["tasks"]) <= limit
        found += [int(task["id"]) for task in reply["tasks"]]
        if "next" not in reply:
            break
        params["after"] = reply["next"]
    assert found == list(range(1, 151))


def test_pages_with_a_filter(start):
    daemon = start(CONFIG)
    client = daemon.client()
    for i in range(60):
        client.run("fail" if i % 3 == 0 else "noop")
    found, params = [], {"state": "failed", "limit": 7}
    while True:
        reply = client.call("List", params)
        found += [int(task["id"]) for task in reply["tasks"]]
        if "next" not in reply:
            break
        params["after"] = reply["next"]
    assert found == list(range(1, 61, 3))


def test_history_keeps_at_most_history_max_ended_tasks(start):
    client = start("[daemon]\nhistory_max = 5\n[pool default]\nworkers = 1\n").client()
    for i in range(12):
        client.run("noop", name=str(i))
    assert names(client.call("List")) == [str(i) for i in range(7, 12)]
    assert client.refused("Show", {"id": "1"}).short == "NoSuchTask"
    assert names(client.call("List", {"after": "3"})) == [str(i) for i in range(7, 12)], "after a forgotten task"
    assert client.pool()["done"] == 12


def test_history_of_nothing_still_answers_who_waits(start):
    client = start("[daemon]\nhistory_max = 0\n").client()
    task = client.run("echo", {"x": 1})
    assert task["result"] == {"x": 1}
    assert client.call("List")["tasks"] == []


def test_history_forgets_by_age(start):
    daemon = start("[daemon]\nhistory_age = 1s\n")
    client = daemon.client()
    client.run("noop")
    assert client.call("List")["tasks"]
    for _ in daemon.watch():
        if not client.call("List")["tasks"]:
            break
    assert client.pool()["done"] == 1


def test_wait_for_ended_and_running_tasks(start):
    daemon = start(CONFIG)
    client = daemon.client()
    done = client.run("noop")["id"]
    running = client.post("sleep", MINUTE)["id"]
    queued = client.post("fail")["id"]
    client.send("Wait", {"ids": [queued, done, running]})
    daemon.client().call("Cancel", {"ids": [running]})
    reply = client.recv()
    assert "timed_out" not in reply
    assert [(task["id"], task["state"]) for task in reply["tasks"]] == [(done, "done"), (running, "cancelled"), (queued, "failed")]


def test_wait_with_more_tells_each_as_it_ends(start):
    daemon = start("[pool default]\nworkers = 3\n")
    client, other = daemon.client(), daemon.client()
    ids = [client.post("sleep", MINUTE)["id"] for _ in range(3)]
    client.send("Wait", {"ids": ids}, more=True)
    for task in ids[::-1]:
        other.call("Cancel", {"ids": [task]})
        assert client.recv()["task"]["id"] == task
    assert [reply["task"]["id"] for reply in client.more("Wait", {"ids": ids})] == ids, "all ended: in the order of the ids"


def test_wait_for_the_same_task_twice(start):
    client = start(CONFIG).client()
    task = client.post("sleep", {"ms": 50})["id"]
    assert len(client.call("Wait", {"ids": [task, task]})["tasks"]) == 2
    assert len(list(client.more("Wait", {"ids": [task] * 3}))) == 3


def test_several_clients_wait_for_the_same_task(start):
    daemon = start(CONFIG)
    client = daemon.client()
    task = client.post("sleep", {"ms": 200})["id"]
    others = [daemon.client() for _ in range(10)]
    for i, other in enumerate(others):
        other.send("Wait", {"ids": [task]}, more=i % 2 == 0)
    others.pop(3).close()
    for i, other in enumerate(others):
        message = other.recv_message()
        assert "error" not in message and not message.get("continues")


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("timeout", [0, 100])
def test_wait_that_takes_too_long_says_so(start, more, timeout):
    client = start(CONFIG).client()
    done, slow = client.run("noop")["id"], client.post("sleep", MINUTE)["id"]
    client.send("Wait", {"ids": [done, slow], "timeout_ms": timeout}, more=more)
    if more:
        assert client.recv()["task"]["id"] == done
    last = client.recv_message()
    assert last["parameters"]["timed_out"] is True and "continues" not in last
    if not more:
        assert [task["id"] for task in last["parameters"]["tasks"]] == [done]
    assert client.pool()["active"] == 1, "the task goes on"


def test_wait_for_one_that_is_not_there_waits_for_none(start):
    client = start(CONFIG).client()
    slow = client.post("sleep", MINUTE)["id"]
    with pytest.raises(CallError) as error:
        client.call("Wait", {"ids": [slow, "99"]})
    assert error.value.short == "NoSuchTask" and error.value.params == {"id": "99"}


def test_wait_for_a_thousand(start):
    daemon = start("[pool default]\nworkers = 4\ncapacity = 2000\n")
    client = daemon.client()
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "noop"}) for _ in range(1000)))
    ids = [client.recv()["id"] for _ in range(1000)]
    assert len(client.call("Wait", {"ids": ids})["tasks"]) == 1000
    assert len(list(client.more("Wait", {"ids": ids}))) == 1000
