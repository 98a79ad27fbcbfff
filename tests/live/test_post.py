"""Post: what comes of a task, its answer with and without wait, capacity, order, time limits, names, pools."""
import pytest

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"
MINUTE = {"ms": 60000}


def test_answer_names_the_id_and_the_state(start):
    client = start(ONE).client()
    assert client.post("sleep", MINUTE) == {"id": "1", "state": "active"}
    assert client.post("sleep", MINUTE) == {"id": "2", "state": "queued"}


@pytest.mark.parametrize("handler,args,state,result", [
    ("noop", None, "done", None),
    ("noop", {"any": ["thing", 1.5, None]}, "done", None),
    ("echo", {"a": {"b": [1, "zwei", None, True, 2.5]}}, "done", {"a": {"b": [1, "zwei", None, True, 2.5]}}),
    ("echo", {}, "done", {}),
    ("sleep", {"ms": 0}, "done", None),
    ("sleep", {"ms": 20}, "done", None),
    ("fail", None, "failed", None),
    ("fail", {}, "failed", None),
    ("fail", {"error": "the printer burns: \"ä\""}, "failed", None)])
def test_builtin_handlers(start, handler, args, state, result):
    task = start().client().run(handler, args)
    assert task["state"] == state and task.get("result") == result
    assert task.get("args") == args
    assert task["attempt"] == 1 and task["handler"] == handler and task["pool"] == "default"
    if handler == "fail":
        assert task["reason"] == "failed"
        assert task["error"] == (args or {}).get("error", "failed as asked")
    else:
        assert "reason" not in task and "error" not in task


def test_times_of_a_task_fit_together(start):
    task = start(ONE).client().run("sleep", {"ms": 50})
    assert task["posted_at"] <= task["started_at"] <= task["ended_at"]
    assert 50000 <= task["run_us"] < 5_000_000
    assert abs(task["ended_at"] - task["started_at"] - task["run_us"] / 1e6) < 0.01
    assert abs(task["started_at"] - task["posted_at"] - task["wait_us"] / 1e6) < 0.01


def test_wait_answers_the_ended_task_and_id(start):
    answer = start().client().post("echo", {"x": 1}, wait=True, name="named")
    assert answer["state"] == "done"
    assert answer["id"] == answer["task"]["id"] and answer["task"]["name"] == "named"


def test_task_while_it_waits_and_runs(start):
    client = start(ONE).client()
    client.post("sleep", MINUTE)
    client.post("echo", {"a": 1}, name="later")
    running, queued = (client.call("Show", {"id": i})["task"] for i in "12")
    assert running["state"] == "active" and running["worker"] == 0 and running["started_at"]
    assert queued["state"] == "queued" and queued["attempt"] == 0 and "started_at" not in queued and "worker" not in queued
    assert queued["args"] == {"a": 1} and queued["name"] == "later"


@pytest.mark.parametrize("name", ["n", "a name", "ünïcödé 𝄞", "x" * 128, '"quoted" \\ and\ttab', "%s%n", "../../etc/passwd"])
def test_names_come_back_as_they_were(start, name):
    client = start().client()
    task = client.run("noop", name=name)
    assert task["name"] == name
    assert [one["id"] for one in client.call("List", {"name": name})["tasks"]] == [task["id"]]


def test_ids_ascend_over_connections(start):
    daemon = start()
    ids = [int(daemon.client().post("noop")["id"]) for _ in range(5)]
    assert ids == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("capacity", [0, 1, 10])
@pytest.mark.parametrize("workers", [1, 3])
def test_capacity_bounds_what_waits(start, capacity, workers):
    """workers run, capacity wait, the next is refused with the numbers; room again as soon as one has ended."""
    daemon = start(f"[pool default]\nworkers = {workers}\ncapacity = {capacity}\n")
    client = daemon.client()
    ids = [client.post("sleep", MINUTE, timeout_ms=0)["id"] for _ in range(workers + capacity)]
    for _ in range(3):
        error = client.refused("Post", {"handler": "noop"})
        assert error.name == "org.workpool.AtCapacity"
        assert error.params == {"pool": "default", "queued": capacity, "capacity": capacity, "retry_after_ms": 1000}
    pool = client.pool()
    assert (pool["active"], pool["queued"], pool["posted"], pool["refused"]) == (workers, capacity, len(ids), 3)
    assert pool["max_queued"] == capacity and pool["max_active"] == workers
    client.call("Resize", {"workers": workers + 1})
    assert client.post("noop") if capacity == 0 else client.pool()["queued"] == capacity - 1


@pytest.mark.parametrize("capacity", [0, 1, 10])
def test_burst_in_one_write_finds_the_free_workers_too(start, capacity):
    daemon = start(f"[pool default]\nworkers = 4\ncapacity = {capacity}\n")
    client = daemon.client()
    n = 4 + capacity + 5
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "sleep", "args": MINUTE}) for _ in range(n)))
    messages = [client.recv_message() for _ in range(n)]
    assert ["error" in message for message in messages] == [False] * (4 + capacity) + [True] * 5
    assert all(message["parameters"]["queued"] <= capacity + 4 for message in messages if "error" in message)
    pool = client.pool()
    assert (pool["active"], pool["queued"], pool["refused"], pool["max_queued"]) == (4, capacity, 5, capacity)


def test_hundred_posts_for_24_workers(start):
    daemon = start("[pool default]\nworkers = 24\ncapacity = 100\n")
    client = daemon.client()
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "sleep", "args": {"ms": 100}}) for _ in range(100)))
    for _ in range(100):
        client.recv()
    pool = daemon.until(lambda pool: pool["done"] == 100)
    assert (pool["max_queued"], pool["max_active"]) == (76, 24)


def test_paused_pool_takes_posts_up_to_its_capacity(start):
    client = start("[pool default]\nworkers = 4\ncapacity = 3\npaused = yes\n").client()
    for _ in range(3):
        assert client.post("noop")["state"] == "queued"
    assert client.refused("Post", {"handler": "noop"}).params == {"pool": "default", "queued": 3, "capacity": 3, "retry_after_ms": 1000}


def test_one_worker_starts_in_the_order_of_posts(start):
    daemon = start("[pool default]\nworkers = 1\ncapacity = 500\npaused = yes\n")
    clients = [daemon.client() for _ in range(4)]
    ids = [clients[i % 4].post("noop", name=str(i))["id"] for i in range(300)]
    clients[0].send("Wait", {"ids": ids[::-1]}, more=True)
    clients[1].call("Resume")
    tasks = [reply["task"] for reply in clients[0].recv_stream()]
    assert [task["name"] for task in tasks] == [str(i) for i in range(300)]
    assert {task["worker"] for task in tasks if "worker" in task} <= {0}


def test_time_limit_ends_a_sleep(start):
    daemon = start(ONE)
    client = daemon.client()
    task = client.run("sleep", MINUTE, timeout_ms=100)
    assert (task["state"], task["reason"], task["timeout_ms"]) == ("failed", "timeout", 100)
    assert 100_000 <= task["run_us"] < 5_000_000
    assert client.pool()["timed_out"] == 1
    assert client.run("noop")["state"] == "done", "the worker is free again"


def test_time_limit_counts_from_the_start_not_from_the_post(start):
    client = start(ONE).client()
    client.post("sleep", {"ms": 400})
    task = client.run("sleep", {"ms": 50}, timeout_ms=300)
    assert task["state"] == "done" and task["wait_us"] > 300_000


def test_time_limit_of_the_handler_is_the_default_and_zero_is_none(start):
    client = start("[handler sleep]\ntimeout = 100ms\n").client()
    task = client.run("sleep", MINUTE)
    assert (task["reason"], task["timeout_ms"]) == ("timeout", 100)
    task = client.run("sleep", {"ms": 300}, timeout_ms=0)
    assert task["state"] == "done" and "timeout_ms" not in task


def test_many_time_limits_at_once(start):
    daemon = start("[pool default]\nworkers = 50\n")
    client = daemon.client()
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "sleep", "args": MINUTE, "timeout_ms": 50 + i}) for i in range(50)))
    for _ in range(50):
        client.recv()
    pool = daemon.until(lambda pool: pool["failed"] == 50)
    assert pool["timed_out"] == 50 and pool["active"] == 0


POOLS = "[pool default]\nworkers = 1\n[pool mail]\nworkers = 2\ncapacity = 1\n[handler sleep]\npool = mail\n"


def test_pool_of_the_handler_and_of_the_post(start):
    client = start(POOLS).client()
    assert client.run("noop")["pool"] == "default"
    assert client.run("sleep", {"ms": 0})["pool"] == "mail"
    assert client.run("sleep", {"ms": 0}, pool="default")["pool"] == "default"
    assert client.run("noop", pool="mail")["pool"] == "mail"
    rows = {row["name"]: row for row in client.call("Handlers")["handlers"]}
    assert rows["sleep"]["pool"] == "mail" and rows["sleep"]["done"] == 2
    assert rows["noop"]["pool"] == "default" and rows["noop"]["done"] == 2


def test_pools_do_not_share_workers_capacity_or_counters(start):
    client = start(POOLS).client()
    for _ in range(3):
        client.post("sleep", MINUTE)
    assert client.refused("Post", {"handler": "sleep", "args": MINUTE}).params == {
        "pool": "mail", "queued": 1, "capacity": 1, "retry_after_ms": 1000}
    assert client.run("noop")["state"] == "done"
    mail, default = client.pool("mail"), client.pool()
    assert (mail["active"], mail["queued"], mail["refused"], mail["done"]) == (2, 1, 1, 0)
    assert (default["active"], default["queued"], default["refused"], default["done"]) == (0, 0, 0, 1)
    assert mail["host_pid"] != default["host_pid"]


def test_handlers_tell_their_parameters(start):
    rows = {row["name"]: row for row in start().client().call("Handlers")["handlers"]}
    assert set(rows) == {"noop", "echo", "sleep", "fail"}
    assert [param["name"] for param in rows["sleep"]["params"]] == ["ms"]
    ms = rows["sleep"]["params"][0]
    assert (ms["type"], ms["required"], ms["min"], ms["max"]) == ("int", True, 0, 86400000)
    assert rows["fail"]["params"][0]["required"] is False
    assert all(row["type"] == "builtin" and row["text"] for row in rows.values())


def test_args_that_look_like_something_else_stay_data(start):
    args = {"$where": "1", "a.b": 1, "__proto__": {}, "</script>": "<b>", "\u2028": "\u2029", "0": -0.0, "e": 1e-7}
    assert start().client().run("echo", args)["result"] == args
