"""What happens to a task between post and end: order, delay, expiry, retries, Cancel, Retry, unique keys, waiting for room, and
what Explain says of all that."""
import random
import time

import pytest

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"
MINUTE = {"ms": 60000}


def show(client, task):
    return client.call("Show", {"id": task})["task"]


def until_task(daemon, client, task, state):
    """The task's fields as soon as it is in that state."""
    for _ in daemon.watch():
        found = show(client, task)
        if found["state"] == state:
            return found
        assert found["state"] in ("queued", "delayed", "active"), f"it ended: {found}"
    raise AssertionError("Stats ended")


# Order.


def test_priority_then_first_in_first_out(start):
    daemon = start("[pool default]\nworkers = 1\ncapacity = 500\npaused = yes\n[handler echo]\npriority = 3\n")
    client = daemon.client()
    rng = random.Random(6)
    posted = []
    for i in range(300):
        priority = rng.choice([None, *range(10)])
        params = {} if priority is None else {"priority": priority}
        task = client.post("echo", {"n": i}, **params)["id"]
        posted.append((3 if priority is None else priority, int(task)))
    client.send("Wait", {"ids": [str(task) for _, task in posted]}, more=True)
    daemon.client().call("Resume")
    ended = [(reply["task"]["priority"], int(reply["task"]["id"])) for reply in client.recv_stream()]
    assert ended == sorted(posted)


def test_task_with_a_delay_starts_behind_it_and_not_before(start):
    daemon = start(ONE)
    client = daemon.client()
    posts = {ms: client.post("noop", delay_ms=ms)["id"] for ms in (400, 100, 200)}
    delayed = show(client, posts[400])
    assert delayed["state"] == "delayed" and delayed["wait_us"] == 0 and "started_at" not in delayed
    assert delayed["due_at"] == pytest.approx(delayed["posted_at"] + 0.4, abs=0.001)
    assert client.pool()["delayed"] == 3 and client.pool()["active"] == 0
    client.send("Wait", {"ids": [posts[ms] for ms in (100, 200, 400)]}, more=True)
    tasks = [reply["task"] for reply in client.recv_stream()]
    assert [task["id"] for task in tasks] == [posts[100], posts[200], posts[400]]
    for task, ms in zip(tasks, (100, 200, 400)):
        assert task["started_at"] >= task["posted_at"] + ms / 1000 and "due_at" not in task
        assert task["wait_us"] < 5_000_000


def test_delayed_tasks_take_room(start):
    client = start("[pool default]\nworkers = 4\ncapacity = 1\n").client()
    assert client.post("noop", delay_ms=60000)["state"] == "delayed"
    assert client.refused("Post", {"handler": "noop", "delay_ms": 1}).short == "AtCapacity"
    assert client.run("noop")["state"] == "done", "what can start at once needs no room"


@pytest.mark.parametrize("config,params", [("", {"expires_ms": 150}), ("[handler noop]\nexpires = 150ms\n", {}),
                                           ("[handler noop]\nexpires = 100ms\n", {"delay_ms": 50})])
def test_task_that_no_worker_takes_in_time_expires(start, config, params):
    daemon = start(ONE + config)
    client = daemon.client()
    client.post("sleep", MINUTE)
    task = client.run("noop", **params)
    assert (task["state"], task["reason"], task["attempt"]) == ("expired", "expired", 0)
    assert task["expires_at"] == pytest.approx(task["posted_at"] + 0.15, abs=0.001)
    assert task["ended_at"] - task["posted_at"] == pytest.approx(0.15, abs=2) and task["ended_at"] >= task["expires_at"] - 0.001
    assert client.pool()["expired"] == 1


def test_task_that_started_in_time_does_not_expire(start):
    client = start(ONE + "[handler sleep]\nexpires = 100ms\n").client()
    assert client.run("sleep", {"ms": 300})["state"] == "done"
    assert "expires_at" not in client.run("sleep", {"ms": 0}, expires_ms=0)
    # The handler's own counts from the end of the delay.
    assert client.run("sleep", {"ms": 0}, delay_ms=300)["state"] == "done"


# Failing.


def test_task_that_fails_is_tried_again_after_growing_pauses(start):
    daemon = start("[handler fail]\nbackoff_min = 100ms\nbackoff_max = 10s\n")
    client = daemon.client()
    task = client.run("fail", {"error": "no paper"}, retries=3)
    assert (task["state"], task["reason"], task["error"]) == ("failed", "failed", "no paper")
    assert (task["attempt"], task["failures"], task["retries"]) == (4, 3, 3)
    pauses = 0.1 + 0.2 + 0.4
    assert task["ended_at"] - task["posted_at"] >= 0.79 * pauses
    pool = client.pool()
    assert (pool["failed"], pool["retried"], pool["posted"]) == (1, 3, 1)
    assert pool["run_us"]["count"] == 4 and pool["total_us"]["count"] == 1


def test_last_attempts_reason_is_there_while_the_next_is_waited_for(start):
    daemon = start("[handler fail]\nbackoff_min = 1min\nretries = 5\n")
    client = daemon.client()
    task = client.post("fail", {"error": "no ink"})["id"]
    waiting = until_task(daemon, client, task, "delayed")
    assert (waiting["reason"], waiting["error"], waiting["failures"], waiting["retries"]) == ("failed", "no ink", 1, 5)
    assert 47 < waiting["due_at"] - waiting["posted_at"] < 62 and "started_at" not in waiting
    why = client.call("Explain", {"id": task})
    assert why["waits_for"] == "delay" and why["until"] == pytest.approx(waiting["due_at"], abs=0.01)
    assert 47000 < why["estimate_ms"] <= 60000
    assert client.call("Cancel", {"ids": [task]})["cancelled"] == 1
    assert show(client, task)["reason"] == "cancelled"


def test_without_retries_a_failure_is_the_end(start):
    client = start("[handler fail]\nretries = 2\nbackoff_min = 10ms\n").client()
    assert client.run("fail", retries=0)["attempt"] == 1
    assert client.run("fail")["attempt"] == 3


def test_time_limit_is_tried_again_too(start):
    client = start("[handler sleep]\nbackoff_min = 10ms\n").client()
    task = client.run("sleep", MINUTE, timeout_ms=50, retries=1)
    assert (task["reason"], task["attempt"]) == ("timeout", 2)
    assert client.pool()["timed_out"] == 2


# Cancel and Retry.


def test_cancel_of_waiting_active_and_ended_tasks(start):
    daemon = start(ONE)
    client = daemon.client()
    ended = client.run("noop")["id"]
    active, queued = (client.post("sleep", MINUTE)["id"] for _ in range(2))
    delayed = client.post("noop", delay_ms=60000)["id"]
    waiter = daemon.client()
    waiter.send("Wait", {"ids": [queued, delayed, active]}, more=True)
    assert client.call("Cancel", {"ids": [ended, active, queued, delayed, "99"]}) == {
        "cancelled": 2, "asked": 1, "tasks": [
            {"id": ended, "was": "done", "result": "ended"}, {"id": active, "was": "active", "result": "asked"},
            {"id": queued, "was": "queued", "result": "cancelled"}, {"id": delayed, "was": "delayed", "result": "cancelled"},
            {"id": "99", "result": "unknown"}]}
    tasks = {reply["task"]["id"]: reply["task"] for reply in waiter.recv_stream()}
    assert {task["state"] for task in tasks.values()} == {"cancelled"} == {task["reason"] for task in tasks.values()}
    assert tasks[active]["attempt"] == 1 and tasks[queued]["attempt"] == 0 and "started_at" not in tasks[queued]
    assert client.run("noop")["state"] == "done", "the worker is free again"
    assert client.pool()["cancelled"] == 3


@pytest.mark.parametrize("history_max", [0, 50, 10000])
def test_cancel_of_thousands_by_filter_holds_nobody_up(start, history_max):
    daemon = start(f"[pool default]\nworkers = 1\ncapacity = 100000\npaused = yes\n[daemon]\nhistory_max = {history_max}\n")
    client = daemon.client()
    for _ in range(20):
        client.sock.sendall(b"".join(client.encode("Post", {"handler": "noop" if i % 2 else "echo"}) for i in range(1000)))
        for _ in range(1000):
            client.recv()
    other = daemon.client()
    client.send("Cancel", {"handler": "echo", "state": "queued"})
    began = time.monotonic()
    assert other.pool()["queued"] <= 20000, "an answer in between"
    assert time.monotonic() - began < 2
    assert client.recv() == {"cancelled": 10000, "asked": 0}
    pool = client.pool()
    assert (pool["queued"], pool["cancelled"]) == (10000, 10000)
    assert client.call("Cancel", {"state": "queued"})["cancelled"] == 10000


def test_retry_runs_what_ended_badly_once_more(start):
    daemon = start(ONE)
    client = daemon.client()
    failed = client.run("fail", retries=0)["id"]
    active = client.post("sleep", {"ms": 200})["id"]
    cancelled = client.post("noop")["id"]
    client.call("Cancel", {"ids": [cancelled]})
    expired = client.run("noop", expires_ms=20)["id"]
    done = client.call("Wait", {"ids": [active]})["tasks"][0]["id"]
    rows = client.call("Retry", {"ids": [failed, cancelled, expired, done]})["tasks"]
    assert [(row["was"], row["result"]) for row in rows] == [
        ("failed", "queued"), ("cancelled", "queued"), ("expired", "queued"), ("done", "done")]
    tasks = client.call("Wait", {"ids": [failed, cancelled, expired]})["tasks"]
    assert {task["id"]: (task["state"], task["attempt"]) for task in tasks} == {
        failed: ("failed", 2), cancelled: ("done", 1), expired: ("done", 1)}
    pool = client.pool()
    assert (pool["done"], pool["failed"], pool["expired"], pool["cancelled"], pool["posted"]) == (3, 1, 0, 0, 4)


# Unique keys.


def test_posts_with_the_same_key_are_one_task(start):
    daemon = start(ONE)
    client, other = daemon.client(), daemon.client()
    client.post("sleep", {"ms": 200})
    client.send("Post", {"handler": "echo", "args": {"n": 1}, "unique": "k", "wait": True})
    daemon.until(lambda pool: pool["queued"] == 1)
    other.send("Post", {"handler": "echo", "args": {"n": 2}, "unique": "k", "wait": True})
    assert daemon.client().post("echo", {"n": 3}, unique="k") == {"id": "2", "state": "queued", "joined": True}
    first, second = client.recv(), other.recv()
    assert "joined" not in first and second["joined"] is True
    assert first["task"] == second["task"] and first["task"]["result"] == {"n": 1} and first["task"]["unique"] == "k"
    again = client.post("echo", {"n": 4}, unique="k", wait=True)
    assert again["id"] == "3" and again["task"]["result"] == {"n": 4}, "the key is free after the end"
    pool = client.pool()
    assert (pool["joined"], pool["posted"], pool["refused"]) == (2, 3, 0)


def test_key_is_of_one_handler(start):
    client = start(ONE).client()
    tasks = [client.post(handler, {"ms": 60000} if handler == "sleep" else {}, unique="k") for handler in ("sleep", "noop", "echo")]
    assert [task["id"] for task in tasks] == ["1", "2", "3"] and not any("joined" in task for task in tasks)


def test_handler_that_refuses_a_key_twice(start):
    client = start(ONE + "[handler sleep]\nunique = refuse\n").client()
    first = client.post("sleep", MINUTE, unique="k")
    for params in ({}, {"wait": True}):
        error = client.refused("Post", {"handler": "sleep", "args": MINUTE, "unique": "k", **params})
        assert error.name == "org.workpool.Duplicate" and error.params == {"id": first["id"]}
    client.call("Cancel", {"ids": [first["id"]]})
    client.call("Wait", {"ids": [first["id"]]})
    second = client.post("sleep", MINUTE, unique="k")
    assert second["id"] == "2"
    assert client.call("Retry", {"ids": ["1"]})["tasks"][0]["result"] == "duplicate"
    assert client.pool()["refused"] == 2


# Room.

FULL = "[pool default]\nworkers = 1\ncapacity = 1\n"


@pytest.fixture
def full(start):
    """A pool whose worker has a task of 300 ms, and whose queue is full."""
    daemon = start(FULL)
    client = daemon.client()
    client.post("sleep", {"ms": 300})
    client.post("noop")
    return daemon, client


def test_posts_wait_for_room_in_their_order(full):
    daemon, client = full
    waiting = []
    for i in range(5):
        waiting.append(daemon.client())
        waiting[-1].send("Post", {"handler": "noop", "wait_room_ms": 60000, "wait": i % 2 == 1})
        daemon.until(lambda pool, i=i: pool["room"] == i + 1)
    assert client.refused("Post", {"handler": "noop"}).short == "AtCapacity", "nobody overtakes them"
    for other in waiting:
        other.expect_silence()
    assert [int(other.recv()["id"]) for other in waiting] == [3, 4, 5, 6, 7]
    pool = client.pool()
    assert (pool["room"], pool["posted"], pool["refused"]) == (0, 7, 1)
    assert pool["max_queued"] <= 1


def test_post_gives_up_waiting_for_room_in_time(full):
    daemon, client = full
    client.send("Post", {"handler": "noop", "wait_room_ms": 100})
    began = time.monotonic()
    error = client.recv_error()
    assert error.short == "AtCapacity" and 0.09 <= time.monotonic() - began < 5
    assert error.params["queued"] == 1 and 1 <= error.params["retry_after_ms"] <= 60000
    assert client.run("noop", wait_room_ms=5000)["state"] == "done"


def test_pool_says_whether_posts_wait_for_room(start):
    daemon = start(FULL + "on_full = wait\nwait_max = 100ms\n")
    client = daemon.client()
    client.post("sleep", MINUTE)
    client.post("noop")
    assert client.refused("Post", {"handler": "noop", "wait_room_ms": 0}).short == "AtCapacity"
    began = time.monotonic()
    assert client.refused("Post", {"handler": "noop"}).short == "AtCapacity"
    assert time.monotonic() - began >= 0.09
    client.call("Resize", {"capacity": 5})
    assert client.post("noop")["state"] == "queued"


def test_client_that_goes_takes_its_post_back(full):
    daemon, client = full
    first, second, third = (daemon.client() for _ in range(3))
    for other, key in ((first, "a"), (second, "b"), (third, "b")):
        other.send("Post", {"handler": "noop", "wait_room_ms": 60000, "unique": key})
        daemon.until(lambda pool, n=1 if key == "a" else 2: pool["room"] == n)
    first.close()
    daemon.until(lambda pool: pool["room"] == 1)
    second.close()
    assert third.recv() == {"id": "3", "state": "queued", "joined": True}
    pool = daemon.until(lambda pool: pool["done"] == 3)
    assert (pool["posted"], pool["room"], pool["refused"]) == (3, 0, 0)


def test_posts_that_wait_for_room_hear_of_a_stop(full):
    daemon, client = full
    client.send("Post", {"handler": "noop", "wait_room_ms": 60000, "wait": True})
    daemon.until(lambda pool: pool["room"] == 1)
    daemon.client().send("Shutdown", {"mode": "drain"})
    assert client.recv_error().params == {"mode": "drain"}
    assert daemon.wait_exit() == 0


def test_refusal_tells_when_to_come_again(start):
    daemon = start("[pool default]\nworkers = 2\ncapacity = 4\n")
    client = daemon.client()
    for _ in range(4):
        client.run("sleep", {"ms": 100})
    for _ in range(6):
        client.post("sleep", {"ms": 100})
    after = client.refused("Post", {"handler": "noop"}).params["retry_after_ms"]
    assert 20 <= after <= 2000, "from run times and ends of that length"


# Explain.


def explain(client, task):
    why = client.call("Explain", {"id": task})
    assert why["id"] == task
    return why


def test_explain_busy_workers_with_position_and_estimate(start):
    daemon = start("[pool default]\nworkers = 2\ncapacity = 50\n")
    client = daemon.client()
    client.run("sleep", {"ms": 100})
    first = client.post("sleep", MINUTE)["id"]
    client.post("sleep", MINUTE)
    tasks = [client.post("sleep", {"ms": 100})["id"] for _ in range(10)]
    urgent = client.post("noop", priority=0)["id"]
    assert explain(client, first) == {
        "id": first, "state": "active", "pool": "default", "handler": "sleep", "waits_for": "nothing"}
    rows = [explain(client, task) for task in [urgent] + tasks]
    assert [row["position"] for row in rows] == list(range(1, 12))
    assert {row["waits_for"] for row in rows} == {"workers"} and not any("until" in row for row in rows)
    mean = client.pool()["run_us"]["mean"] / 1000
    for row in rows:
        assert row["estimate_ms"] == pytest.approx(mean * row["position"] / 2, abs=1)
    client.call("Pause")
    assert explain(client, tasks[0])["waits_for"] == "paused"
    assert client.refused("Explain", {"id": "99"}).short == "NoSuchTask"


@pytest.mark.parametrize("config,wanted", [
    ("[handler sleep]\nmax_active = 1\n", {"waits_for": "handler"}), ("[daemon]\nmax_active = 1\n", {"waits_for": "daemon"}),
    ("[resource db]\nmax_active = 3\n[handler sleep]\nresources = db\nweight = 2\n", {"waits_for": "resource", "resource": "db"}),
    ("[resource db]\nrate = 1\nburst = 1\n[handler sleep]\nresources = db\n", {"waits_for": "rate", "resource": "db"})])
def test_explain_what_holds_a_task_back_though_workers_are_free(start, config, wanted):
    client = start("[pool default]\nworkers = 8\n" + config).client()
    client.post("sleep", MINUTE)
    task = client.post("sleep", MINUTE)["id"]
    why = explain(client, task)
    assert {name: why[name] for name in wanted} == wanted and why["position"] == 1
    assert ("until" in why) == (wanted["waits_for"] == "rate")
    if "daemon" not in config:
        assert client.run("noop")["state"] == "done", "the others go on"


def test_explain_and_stats_tell_of_an_open_breaker(start):
    client = start("[resource db]\nbreaker_failures = 2\nbreaker_pause = 1min\nmax_active = 3\n"
                   "[handler fail]\nresources = db\n").client()
    assert client.call("Stats")["resources"] == [{
        "name": "db", "max_active": 3, "active": 0, "rate": 0, "burst": 1, "breaker": "closed", "failures": 0}]
    for _ in range(2):
        client.run("fail")
    task = client.post("fail")["id"]
    why, resource = explain(client, task), client.call("Stats")["resources"][0]
    assert (why["waits_for"], why["resource"], resource["breaker"]) == ("breaker", "db", "open")
    assert why["until"] == pytest.approx(resource["until"], abs=0.01) and 50000 < why["estimate_ms"] <= 60000


# Names.


def test_names_stand_for_the_newest_task(start):
    daemon = start(ONE)
    client = daemon.client()
    for i in range(3):
        client.run("echo", {"n": i}, name="report")
    assert client.call("Show", {"name": "report"})["task"]["result"] == {"n": 2}
    slow = client.post("sleep", {"ms": 100}, name="slow")["id"]
    reply = client.call("Wait", {"names": ["slow", "report", "slow"], "ids": ["1"]})
    assert sorted(task["id"] for task in reply["tasks"]) == ["1", "3", slow, slow]
    error = client.refused("Show", {"name": "nobody"})
    assert error.short == "NoSuchTask" and error.params == {"id": "nobody"}
    assert client.refused("Wait", {"names": ["slow", "nobody"]}).params == {"id": "nobody"}


def test_handlers_tell_their_limits_and_times(start):
    client = start("[handler echo]\nretries = 7\npriority = 2\nmax_active = 3\nexpires = 1min\nunique = refuse\n").client()
    for _ in range(5):
        client.run("echo", {})
    rows = {row["name"]: row for row in client.call("Handlers")["handlers"]}
    echo = rows["echo"]
    assert [echo[key] for key in ("retries", "priority", "max_active", "expires_ms", "unique", "weight", "crash_max")] == [
        7, 2, 3, 60000, "refuse", 1, 2]
    assert echo["run_us"]["count"] == echo["wait_us"]["count"] == echo["total_us"]["count"] == 5
    assert rows["noop"]["run_us"] == {"count": 0, "mean": 0, "p50": 0, "p90": 0, "p99": 0, "max": 0}
    client.call("ResetMarks")
    assert client.call("Handlers")["handlers"][1]["run_us"]["count"] == 0
    task = client.run("echo", {}, retries=1)
    assert (task["retries"], task["priority"]) == (1, 2)
