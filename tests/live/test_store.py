"""The store in a file (reliability.md, workpoold(8)): what was acknowledged outlives the daemon however that ends; and what happens
when there is no room, another daemon, or damage."""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import threading

import pytest

from kit import cli
from kit.client import CallError, Client
from kit.daemon import run_workpoold

EX_DATAERR, EX_UNAVAILABLE = 65, 69


def config(folder, store="", pool="workers = 4\ncapacity = 100000\n", more="", daemon=""):
    return f"[daemon]\nstate_dir = {folder}\n{daemon}[store]\ntype = sqlite\n{store}[pool default]\n{pool}{more}"


def kill(daemon):
    """As the kernel would when memory is out."""
    daemon.expect_status = -signal.SIGKILL
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()


def tasks_of(client, **filters):
    """{id: task} with payloads."""
    tasks = client.call("List", {"limit": 1000} | filters)["tasks"]
    return {task["id"]: client.call("Show", {"id": task["id"]})["task"] for task in tasks}


def store_of(client):
    return client.call("Stats")["daemon"]["store"]


def test_a_killed_daemon_loses_nothing(start, tmp_path):
    text = config(tmp_path)
    daemon = start(text)
    client = daemon.client()
    client.call("Pause", {"pool": "default"})
    posted = [client.call("Post", {"handler": "echo", "args": {"n": n}, "priority": n % 10, "name": f"t{n}"})["id"]
              for n in range(50)]
    delayed = client.call("Post", {"handler": "echo", "delay_ms": 3_600_000, "unique": "later"})["id"]
    cancelled = client.call("Post", {"handler": "echo"})["id"]
    client.call("Cancel", {"ids": [cancelled]})
    before = tasks_of(client)
    kill(daemon)

    daemon = start(text)
    client = daemon.client()
    after = tasks_of(client)  # not paused any more: what was queued may have run
    assert after.keys() == before.keys()
    for n, task in enumerate(posted):
        assert (after[task]["name"], after[task]["args"], after[task]["priority"]) == (f"t{n}", {"n": n}, n % 10)
        assert after[task]["posted_at"] == pytest.approx(before[task]["posted_at"], abs=0.001)
    assert after[delayed]["state"] == "delayed" and after[delayed]["due_at"] == pytest.approx(before[delayed]["due_at"], abs=0.01)
    assert after[cancelled]["state"] == "cancelled"
    daemon.until(lambda pool: pool["done"] == 50)
    joined = client.call("Post", {"handler": "echo", "unique": "later"})
    assert (joined["id"], joined["joined"]) == (delayed, True)
    assert int(client.call("Post", {"handler": "echo"})["id"]) == int(cancelled) + 1
    assert all(task["result"] == task["args"] for id, task in tasks_of(client, state="done").items() if id in posted)


def test_what_ran_runs_again_and_what_may_not_is_lost(start, tmp_path):
    text = config(tmp_path, more="[handler fail]\non_crash = lost\n[handler sleep]\nkill_after = 0\n")
    text += "[handler once]\ntype = exec\ncommand = /bin/sleep 60\non_crash = lost\nkill_after = 0\n"
    daemon = start(text)
    client = daemon.client()
    again = client.call("Post", {"handler": "sleep", "args": {"ms": 60_000}})["id"]
    once = client.call("Post", {"handler": "once"})["id"]
    daemon.until(lambda pool: pool["active"] == 2)
    kill(daemon)

    daemon = start(text)
    client = daemon.client()
    daemon.until(lambda pool: pool["active"] == 1)
    tasks = tasks_of(client)
    assert (tasks[again]["state"], tasks[again]["attempt"]) == ("active", 2)
    assert (tasks[once]["state"], tasks[once]["reason"]) == ("lost", "crashed") and "daemon died" in tasks[once]["error"]
    client.call("Cancel", {"ids": [again]})
    daemon.until(lambda pool: pool["active"] == 0)


def test_an_end_that_was_told_is_never_run_again(start, tmp_path):
    text = config(tmp_path)
    ended = []
    for _ in range(4):
        daemon = start(text)
        client = daemon.client()
        assert all(tasks_of(client)[task]["attempt"] == 1 for task in ended)
        assert client.pool()["done"] == len(ended)
        ended += [client.run("echo", {"n": n})["id"] for n in range(10)]
        kill(daemon)


def poster(path, acknowledged):
    with contextlib.suppress(OSError, AssertionError, TypeError), Client(path) as client:
        while True:
            acknowledged.append(client.call("Post", {"handler": "noop"})["id"])


def test_acknowledged_posts_survive_kills_under_load(start, tmp_path):
    text = config(tmp_path, pool="workers = 4\ncapacity = 1000000\n", daemon="history_max = 1000000\n")
    acknowledged = []
    for _ in range(5):
        daemon = start(text)
        before = len(acknowledged)
        threads = [threading.Thread(target=poster, args=(daemon.path, acknowledged)) for _ in range(4)]
        for thread in threads:
            thread.start()
        daemon.until(lambda pool: len(acknowledged) >= before + 500)
        kill(daemon)
        for thread in threads:
            thread.join()
    assert len(set(acknowledged)) == len(acknowledged), "an id was given twice"
    daemon = start(text)
    client = daemon.client()
    daemon.until(lambda pool: pool["queued"] == pool["active"] == 0)
    assert client.pool()["posted"] == client.pool()["done"] >= len(acknowledged)
    known = set()
    after = None
    while True:
        page = client.call("List", {"limit": 1000} | ({"after": after} if after else {}))["tasks"]
        if not page:
            break
        known |= {task["id"] for task in page}
        after = page[-1]["id"]
    lost = set(acknowledged) - known
    print(f"{len(acknowledged)} acknowledged in 5 kills, {len(lost)} lost")
    assert not lost


def test_a_stop_keeps_what_waits(start, tmp_path):
    text = config(tmp_path, pool="workers = 1\n")
    daemon = start(text)
    client = daemon.client()
    running = client.call("Post", {"handler": "sleep", "args": {"ms": 200}})["id"]
    waiting = [client.call("Post", {"handler": "echo", "args": {"n": n}})["id"] for n in range(20)]
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    daemon = start(text)
    daemon.until(lambda pool: pool["done"] == 21)
    tasks = tasks_of(daemon.client())
    assert all(tasks[task]["attempt"] == 1 for task in [running, *waiting])


def test_a_stop_now_returns_what_runs(start, tmp_path):
    text = config(tmp_path, pool="workers = 1\n", more="[handler sleep]\nkill_after = 0\n")
    daemon = start(text)
    running = daemon.client().call("Post", {"handler": "sleep", "args": {"ms": 60_000}})["id"]
    daemon.client().call("Shutdown", {"mode": "now"})
    assert daemon.wait_exit() == 0
    daemon = start(text)
    daemon.until(lambda pool: pool["active"] == 1)
    task = tasks_of(daemon.client())[running]
    assert (task["attempt"], task["failures"], task["crashes"]) == (2, 0, 0)


def test_a_drain_runs_all(start, tmp_path):
    text = config(tmp_path, pool="workers = 1\n")
    daemon = start(text)
    client = daemon.client()
    for n in range(20):
        client.call("Post", {"handler": "echo", "args": {"n": n}})
    client.call("Shutdown", {"mode": "drain"})
    assert daemon.wait_exit() == 0
    assert start(text).client().pool()["done"] == 20


def test_tasks_of_a_handler_that_is_gone_are_kept(start, tmp_path):
    handler = "[handler later]\ntype = exec\ncommand = /bin/true\n"
    daemon = start(config(tmp_path, pool="paused = yes\n", more=handler))
    task = daemon.client().call("Post", {"handler": "later"})["id"]
    kill(daemon)
    daemon = start(config(tmp_path))
    assert store_of(daemon.client())["unknown_tasks"] == 1
    assert "1 tasks are kept whose pool or handler is not in the configuration" in daemon.stderr()
    kill(daemon)
    daemon = start(config(tmp_path, more=handler))
    daemon.until(lambda pool: pool["done"] == 1)
    assert tasks_of(daemon.client())[task]["handler"] == "later"


def test_a_second_daemon_on_the_same_store_is_refused(start, tmp_path):
    daemon = start(config(tmp_path))
    ended = run_workpoold("-c", daemon.config, "-s", daemon.file("other"))
    assert ended.returncode == EX_UNAVAILABLE
    assert ended.stderr == f"workpoold: error: start: {tmp_path}/tasks.db: another process has it\n"
    daemon.check_serves()


def test_a_damaged_store_is_never_replaced_silently(start, tmp_path):
    daemon = start(config(tmp_path, pool="paused = yes\ncapacity = 1000\n"))
    client = daemon.client()
    for n in range(300):
        client.call("Post", {"handler": "echo", "args": {"n": n}})
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    with open(tmp_path / "tasks.db", "r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xa5" * 4096)
    path = daemon.file("conf")
    for wanted in ("is damaged (", "a damaged one is: ", "a damaged one is: "):
        ended = run_workpoold("-c", path, "-s", daemon.file("other"))
        assert ended.returncode == EX_DATAERR and ended.stderr.count("\n") == 1 and wanted in ended.stderr, ended.stderr
    aside = [name for name in os.listdir(tmp_path) if name.startswith("tasks.db.damaged-") and not name.endswith("-wal")]
    assert len(aside) == 1
    ended = cli.run(None, "store", "check", tmp_path / aside[0])
    assert ended.returncode == EX_DATAERR and "damaged" in ended.stdout + ended.stderr
    saved = cli.run(None, "store", "export", tmp_path / aside[0]).stdout
    assert all(json.loads(line) for line in saved.splitlines())


def test_args_that_a_file_holds_are_told_as_json_whatever_they_are(start, tmp_path):
    text = config(tmp_path, pool="workers = 1\npaused = yes\n")
    daemon = start(text)
    client = daemon.client()
    ids = [client.call("Post", {"handler": "echo", "args": {"n": 1}})["id"] for _ in range(3)]
    daemon.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "tasks.db")) as file, file:
        for task, args in zip(ids, ['no "json"', ' { "n" : 2 } ']):
            file.execute("UPDATE task SET args = ? WHERE id = ?", (args, int(task)))

    client = start(text).client()
    assert [client.call("Show", {"id": task})["task"]["args"] for task in ids] == ['no "json"', {"n": 2}, {"n": 1}]


def test_a_store_goes_out_and_in_as_lines(start, tmp_path):
    daemon = start(config(tmp_path, pool="paused = yes\n"))
    client = daemon.client()
    ids = [client.call("Post", {"handler": "echo", "args": {"n": n, "ä": "\n"}})["id"] for n in range(20)]
    busy = cli.run(None, "store", "export", tmp_path / "tasks.db")
    assert busy.returncode == 75 and "a daemon has it" in busy.stderr
    kill(daemon)
    text = cli.run(None, "store", "export", tmp_path / "tasks.db").stdout
    assert [json.loads(line)["id"] for line in text.splitlines()][:20] == [int(task) for task in ids]
    other = tmp_path / "other"
    other.mkdir()
    ended = cli.run(None, "store", "import", other / "tasks.db", stdin=text)
    assert ended.returncode == 0 and "20 tasks were imported" in ended.stderr
    daemon = start(config(other))
    daemon.until(lambda pool: pool["done"] == 20)
    assert tasks_of(daemon.client())[ids[3]]["result"] == {"n": 3, "ä": "\n"}


def test_status_shows_the_store(start, tmp_path):
    daemon = start(config(tmp_path, store="max_size = 64M\n", pool="paused = yes\n"))
    client = daemon.client()
    ids = [client.call("Post", {"handler": "echo"})["id"] for _ in range(10)]
    store = store_of(client)
    assert store["type"] == "sqlite" and store["path"] == f"{tmp_path}/tasks.db" and store["max_size"] == 64 << 20
    assert (store["posts"], store["commits"], store["flushes"], store["flushes_per_post"]) == (10, 10, 10, 1.0)
    assert store["oldest"]["id"] == ids[0] and store["flush_us"]["count"] == 10 and store["last_flush_us"] >= 0
    assert 0 < store["used"] <= store["size"]
    fields = dict(line.split("\t") for line in cli.Ctl(daemon.path)("status", code=3).splitlines() if line.count("\t") == 1)
    assert (fields["store"], fields["oldest_task"], fields["flushes"]) == ("sqlite", ids[0], "10")


def test_many_posts_of_one_turn_are_one_flush(start, tmp_path):
    daemon = start(config(tmp_path, pool="paused = yes\ncapacity = 1000\n"))
    client = daemon.client()
    client.send_raw(b"".join(client.encode("Post", {"handler": "echo"}) for _ in range(64)))
    for _ in range(64):
        client.recv()
    store = store_of(daemon.client())
    assert store["posts"] == 64 and store["flushes"] <= 4


@pytest.fixture
def small_disk(tmp_path, lacks):
    """A file system of 8 MB; unmounted at the end, after the daemons (it was made before them)."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,mode=700", "tmpfs", tmp_path], check=False,
                                           capture_output=True).returncode != 0:
        lacks("a small file system cannot be mounted")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def refusal(client, **params):
    with pytest.raises(CallError) as caught:
        client.call("Post", {"handler": "echo"} | params)
    return caught.value


def test_a_full_disk_refuses_posts_and_takes_all_else(small_disk, start):
    daemon = start(config(small_disk, store="reserve = 2M\n", pool="workers = 2\ncapacity = 100000\n"))
    client = daemon.client()
    running = client.call("Post", {"handler": "sleep", "args": {"ms": 3_000}})["id"]
    waiting = client.call("Post", {"handler": "echo", "delay_ms": 3_600_000})["id"]
    with open(small_disk / "ballast", "wb") as ballast:
        with contextlib.suppress(OSError):
            while True:
                ballast.write(b"\0" * 65536)
                ballast.flush()
        ballast.truncate(max(0, ballast.tell() - (1 << 20)))  # a megabyte is left, less than the reserve
    error = None
    for _ in range(50):
        try:
            client.call("Post", {"handler": "echo", "delay_ms": 3_600_000})
        except CallError as caught:
            error = caught
            break
    assert error is not None and error.short == "StorageFull" and error.params["size"] > 0 and "reserve" in error.params["reason"]
    assert refusal(client).short == "StorageFull"
    assert "error" in store_of(client)
    assert client.call("Cancel", {"ids": [waiting]})["tasks"][0]["result"] == "cancelled"
    daemon.until(lambda pool: pool["done"] >= 1)  # what ran has ended, and its result fits
    assert tasks_of(client)[running]["state"] == "done"
    os.unlink(small_disk / "ballast")
    daemon.pass_time(1.5)
    assert client.run("echo", {"n": 1})["result"] == {"n": 1}  # by itself
    assert "error" not in store_of(client)
    kill(daemon)
    daemon = start(config(small_disk, store="reserve = 2M\n"))
    tasks = tasks_of(daemon.client())
    assert tasks[running]["state"] == "done" and tasks[waiting]["state"] == "cancelled"


def test_posts_stop_at_max_size(start, tmp_path):
    daemon = start(config(tmp_path, store="max_size = 8M\nreserve = 1M\n", pool="paused = yes\ncapacity = 100000\n",
                          daemon="history_max = 0\n"))
    client = daemon.client()
    ids = []
    with pytest.raises(CallError) as caught:
        while True:
            ids.append(client.call("Post", {"handler": "echo", "args": {"pad": "x" * 20_000}})["id"])
    assert caught.value.short == "StorageFull" and caught.value.params["max_size"] == 8 << 20
    assert os.path.getsize(tmp_path / "tasks.db") <= 8 << 20
    client.call("Cancel", {"ids": ids[:100]})
    daemon.until(lambda pool: pool["cancelled"] == 100)
    daemon.pass_time(2)
    assert client.call("Post", {"handler": "echo"})["state"] == "queued"
