"""isolation = task: a host a worker. A crash costs the task that was in it and no other, whatever is resized, killed, reloaded or
stopped meanwhile; and a pool, of either isolation, whose host program does not start keeps its queue and says why."""
import contextlib
import os
import random
import re
import shutil
import signal
import time

import pytest

from kit import cli, plugins, proc, procs
from kit.client import DEADLINE
from kit.daemon import program
from kit.senders import Sender, join_all
from test_host import QUIET

pytestmark = pytest.mark.host
POOL = "[pool default]\nworkers = {}\ncapacity = 100000\nisolation = task\n"
# A crash is tried again soon, as often as it takes.
FORGIVING = "[daemon]\nhistory_max = 100000\n[handler sleep]\ncrash_max = 1000\nbackoff_min = 1ms\nbackoff_max = 10ms\n"
EIGHT = FORGIVING + POOL.format(8)
MINUTE = {"ms": 60000}
N_STORM = 3000


def active(client):
    """{id: task} of those that are in a host now."""
    return {task["id"]: task for task in client.call("List", {"state": "active", "limit": 1000})["tasks"] if "host_pid" in task}


def is_up(pool):
    return pool["host"] == "up"


@pytest.mark.short
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL], ids=lambda number: number.name)
def test_crash_of_one_of_eight_leaves_the_seven_others_in_the_same_attempt(start, number):
    daemon = start(EIGHT, env=QUIET)
    client = daemon.client()
    ids = [client.post("sleep", MINUTE)["id"] for _ in range(8)]
    daemon.until(lambda pool: pool["active"] == 8)
    before = active(client)
    assert sorted(before) == sorted(ids) and len({task["host_pid"] for task in before.values()}) == 8
    assert {task["worker"] for task in before.values()} == set(range(8))
    os.kill(before[ids[3]]["host_pid"], number)
    pool = daemon.until(lambda pool: pool["retried"] == 1 and pool["active"] == 8 and is_up(pool))
    after = active(client)
    for task in ids:
        was, now = before[task], after[task]
        if task == ids[3]:
            assert (now["attempt"], now["crashes"], now["suspect"]) == (2, 1, False) and now["host_pid"] != was["host_pid"]
        else:
            assert all(now.get(key) == was.get(key) for key in ("attempt", "crashes", "started_at", "host_pid", "worker"))
    assert (pool["crashed"], pool["returned"], pool["host_restarts"], pool["hosts"], pool["hosts_up"]) == (1, 0, 1, 8, 8)
    assert len(procs.host_pids(daemon)) == 8, "there is one for suspects"
    for task in ids:
        client.call("Cancel", {"ids": [task]})
    daemon.until(lambda pool: pool["active"] == 0)


@pytest.mark.short
def test_pool_says_what_it_has(start):
    daemon = start(POOL.format(3) + "[pool mail]\nworkers = 5\n")
    client = daemon.client()
    own, shared = client.pool(), client.pool("mail")
    assert (own["isolation"], own["host"], own["hosts"], own["hosts_up"], own["host_restarts"]) == ("task", "up", 3, 3, 0)
    assert (shared["isolation"], shared["host"], shared["hosts"], shared["hosts_up"]) == ("shared", "up", 1, 1)
    assert "host_pid" not in own and shared["host_pid"] in procs.host_pids(daemon)
    assert not any("host_error" in pool or "host_retry_ms" in pool for pool in (own, shared))
    assert len(procs.host_pids(daemon)) == 4
    ctl = cli.Ctl(daemon.path)
    assert re.search(r"^default\trunning\t3\t3\t3\t3\t", ctl("status"), re.M)  # workers, their rule, hosts that are up, hosts
    assert re.search(r"^mail\trunning\t5\t5\t1\t1\t", ctl("status"), re.M)
    rows = {row["pool"]: row for row in ctl.rows("pools")}
    assert (rows["default"]["isolation"], rows["default"]["hosts"], rows["default"]["hosts_up"]) == ("task", "3", "3")
    task = client.post("sleep", MINUTE)["id"]
    daemon.until(lambda pool: pool["active"] == 1)
    assert ctl.fields("show", task)["host_pid"] == str(active(client)[task]["host_pid"])


@pytest.mark.short
@pytest.mark.exec
def test_programs_know_their_worker_and_end_with_their_host_only(start, has_exec, tmp_path):
    del has_exec
    with procs.fifo(tmp_path) as fifo:
        handler = procs.shell_handler(tmp_path, "tell", f'echo $WORKPOOL_WORKER $$ >"{fifo.path}"\nexec sleep 60\n')
        daemon = start(POOL.format(4) + handler + "crash_max = 1\n", env=QUIET)
        client = daemon.client()
        ids = [client.post("tell")["id"] for _ in range(4)]
        pids = fifo.pids(4)
        assert sorted(pids) == ["0", "1", "2", "3"]
        victim = active(client)[ids[0]]
        os.kill(victim["host_pid"], signal.SIGKILL)
        daemon.until(lambda pool: pool["failed"] == 1 and is_up(pool))
        assert proc.wait_gone(pids[str(victim["worker"])], DEADLINE), "the program outlives its host"
        assert sorted(active(client)) == sorted(ids[1:])
        assert all(proc.is_alive(pid) for worker, pid in pids.items() if int(worker) != victim["worker"])
        client.call("Cancel", {"ids": ids[1:]})
        daemon.until(lambda pool: pool["active"] == 0)


def post_all(client, n, handler="sleep", ms=3):
    """n posts, 100 a write; their ids."""
    ids = []
    for at in range(0, n, 100):
        client.sock.sendall(b"".join(client.encode("Post", {"handler": handler, "args": {"ms": ms}}) for _ in range(min(100, n - at))))
        ids += [client.recv()["id"] for _ in range(min(100, n - at))]
    return ids


def wait_all(client, ids):
    tasks = []
    for at in range(0, len(ids), 500):
        tasks += client.call("Wait", {"ids": ids[at:at + 500]})["tasks"]
    return tasks


@pytest.mark.short
def test_resized_up_and_down_under_load(start):
    daemon = start(EIGHT)
    client, admin = daemon.client(), daemon.client()
    rng = random.Random(5)
    ids = []
    posting = Sender(lambda: ids.extend(post_all(client, 2000)))
    n, sizes = 0, set()
    for reply in daemon.watch("default"):
        pool = reply["pools"][0]
        sizes.add(pool["hosts_up"])
        n += 1
        if n % 3 == 0:
            admin.call("Resize", {"workers": rng.randint(1, 20)})
        if not posting.is_alive() and pool["done"] == 2000:
            break
    join_all([posting])
    tasks = wait_all(client, ids)
    assert {(task["state"], task["attempt"]) for task in tasks} == {("done", 1)} and len(tasks) == 2000
    admin.call("Resize", {"workers": 8})
    pool = daemon.until(lambda pool: is_up(pool) and pool["leaving"] == 0 and len(procs.host_pids(daemon)) == 8)
    assert (pool["crashed"], pool["returned"], pool["host_restarts"], pool["done"]) == (0, 0, 0, 2000)
    print(f"2000 tried, 0 lost; hosts that were up at one time: {sorted(sizes)}")
    assert len(sizes) > 3


@pytest.mark.short
@pytest.mark.parametrize("mode", ["drain", "finish", "now"])
def test_stop_leaves_no_process(start, mode):
    daemon = start(POOL.format(12))
    client = daemon.client()
    for _ in range(30):
        client.post("sleep", {"ms": 50 if mode == "drain" else 300})
    daemon.until(lambda pool: pool["active"] == 12)
    everyone = proc.descendants(daemon.pid)
    assert len(everyone) >= 12
    client.send("Shutdown", {"mode": mode})
    daemon.wait_exit()
    left = procs.all_gone(everyone, time.monotonic() + 5)
    assert not left, [proc.command_line(pid) for pid in left]


@pytest.mark.short
def test_killed_daemon_takes_its_hosts_with_it(start):
    daemon = start(POOL.format(12), env=QUIET)
    daemon.client().post("sleep", MINUTE)
    daemon.until(lambda pool: pool["active"] == 1)
    everyone = proc.descendants(daemon.pid)
    daemon.signal(signal.SIGKILL)
    daemon.expect_status = -signal.SIGKILL
    daemon.wait_exit()
    left = procs.all_gone(everyone, time.monotonic() + 5)
    assert not left, [proc.command_line(pid) for pid in left]


@pytest.mark.slow
def test_hosts_killed_at_random_in_a_storm_lose_nothing(start):
    """kill -9 of whatever host, with a task in it or not; posted = ended, and each crash is one task's."""
    daemon = start(EIGHT, env=QUIET)
    client = daemon.client()
    rng = random.Random(7)
    ids, kills = [], 0
    posting = Sender(lambda: ids.extend(post_all(client, N_STORM, ms=5)))
    for reply in daemon.watch("default"):
        pool = reply["pools"][0]
        if not posting.is_alive() and pool["done"] == N_STORM:
            break
        pids = procs.host_pids(daemon)
        if len(pids) >= 6:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(pids), signal.SIGKILL)
                kills += 1
    join_all([posting])
    tasks = wait_all(client, ids)
    assert len(set(ids)) == N_STORM and {task["state"] for task in tasks} == {"done"}
    pool = daemon.until(is_up, seconds=3 * DEADLINE)
    again = sum(task["attempt"] - 1 for task in tasks)
    print(f"{N_STORM} tried, {kills} hosts killed, {pool['crashed']} crashed, 0 lost")
    assert kills > 20 and pool["crashed"] > 0
    assert pool["crashed"] == sum(task["crashes"] for task in tasks) == pool["retried"]
    assert again == pool["retried"] + pool["returned"] and pool["crashed"] <= kills
    assert not any(task["suspect"] for task in tasks)
    assert proc.zombies(daemon.pid) == []


@pytest.mark.short
def test_stuck_task_s_host_goes_and_nobody_else_notices(start):
    daemon = start(FORGIVING + plugins.handler(pool="default", kill_after=0) + POOL.format(4), env=QUIET)
    client = daemon.client()
    others = [client.post("sleep", MINUTE)["id"] for _ in range(3)]
    stuck = client.post("t", {"do": "hang"}, timeout_ms=200)["id"]
    daemon.until(lambda pool: pool["active"] == 4)
    tasks = active(client)
    task = client.call("Wait", {"ids": [stuck]})["tasks"][0]
    assert (task["state"], task["reason"]) == ("failed", "timeout")
    pool = daemon.until(is_up)
    assert (pool["timed_out"], pool["crashed"], pool["returned"], pool["host_restarts"], pool["active"]) == (1, 1, 0, 1, 3)
    now = active(client)
    assert all(now[task]["attempt"] == 1 and now[task]["host_pid"] == tasks[task]["host_pid"] for task in others)
    assert client.run("noop")["state"] == "done"


@pytest.mark.slow
def test_sixty_four_workers_start(start):
    began = time.monotonic()
    daemon = start(POOL.format(64))
    seconds = time.monotonic() - began
    client = daemon.client()
    pool = client.pool()
    assert (pool["hosts"], pool["hosts_up"], pool["host_restarts"]) == (64, 64, 0)
    pids = procs.host_pids(daemon)
    assert len(pids) == 64
    ids = [client.post("sleep", {"ms": 200})["id"] for _ in range(64)]
    daemon.until(lambda pool: pool["active"] == 64)
    assert len({task["host_pid"] for task in active(client).values()}) == 64
    assert {task["state"] for task in wait_all(client, ids)} == {"done"}
    private = []
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            private.append(sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", file.read(), re.M)))
    print(f"64 hosts up after {seconds:.2f} s; each: VmRSS {proc.rss_bytes(pids[0]) // 1024} kB, "
          f"of which its own {sum(private) // len(private)} kB, {len(os.listdir(f'/proc/{pids[0]}/task'))} threads")


@pytest.mark.short
def test_reload_changes_the_isolation_under_load(start):
    daemon = start(EIGHT)
    client, admin = daemon.client(), daemon.client()
    ids = []
    posting = Sender(lambda: ids.extend(post_all(client, 1500)))
    isolation, n = "task", 0
    for reply in daemon.watch("default"):
        pool = reply["pools"][0]
        if not posting.is_alive() and pool["done"] == 1500:
            break
        if is_up(pool) and pool["isolation"] == isolation:
            n += 1
            isolation = "shared" if isolation == "task" else "task"
            daemon.write("conf", EIGHT.replace("isolation = task", f"isolation = {isolation}"))
            assert admin.call("Reload")["changes"][0]["effect"] == "live"
    join_all([posting])
    assert {(task["state"], task["attempt"]) for task in wait_all(client, ids)} == {("done", 1)}
    daemon.write("conf", EIGHT)
    admin.call("Reload")
    pool = daemon.until(lambda pool: is_up(pool) and len(procs.host_pids(daemon)) == 8)
    assert (pool["isolation"], pool["crashed"], pool["returned"], pool["host_restarts"]) == ("task", 0, 0, 0)
    print(f"1500 tried, {n} changes of isolation, 0 lost")
    assert n > 3


# --- host programs that do not start; of both isolations ----------------------------------------------------------------------

@pytest.fixture
def moved(tmp_path, monkeypatch):
    """Copies of the programs, so that a test can spoil the host's; answers the path of that one."""
    for name in ("workpoold", "workpool-host", "wpctl"):
        shutil.copy(program(name), tmp_path / name)
    monkeypatch.setenv("WORKPOOL_BUILD", os.fspath(tmp_path))
    return os.fspath(tmp_path / "workpool-host")


def install(path, text, mode=0o755):
    """In one step: nobody starts half of it."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


SPOILED = {
    "missing": (os.unlink, r"/workpool-host: No such file or directory"),
    "not executable": (lambda path: os.chmod(path, 0o644), r"/workpool-host: (No such file or directory|Permission denied)"),
    "no program": (lambda path: install(path, "no program"), r"workpool-host: Exec format error"),
    "status": (lambda path: install(path, "#!/bin/sh\nexit 3\n"), r"^it (died|ended) \(status 3\)$"),
    "signal": (lambda path: install(path, "#!/bin/sh\nkill -SEGV $$\n"), r"^it (died|ended) \(SIGSEGV\)$"),
    "nonsense": (lambda path: install(path, "#!/bin/sh\nhead -c 4096 /dev/zero >&3; exec sleep 60\n"), r"^it sent what makes no sense \("),
}


@pytest.mark.short
@pytest.mark.parametrize("isolation", ["shared", "task"])
@pytest.mark.parametrize("spoil, why", SPOILED.values(), ids=SPOILED)
def test_pool_whose_host_program_does_not_start_keeps_its_queue(start, moved, isolation, spoil, why):
    daemon = start(f"[pool default]\nworkers = 3\nisolation = {isolation}\ncapacity = 5\n", env=QUIET)
    client, ctl = daemon.client(), cli.Ctl(daemon.path)
    shutil.copy(moved, moved + ".good")
    spoil(moved)
    for pid in procs.host_pids(daemon):
        os.kill(pid, signal.SIGKILL)
    pool = daemon.until(lambda pool: pool["host"] == "down" and pool["host_restarts"] >= 5 and "host_error" in pool)
    assert pool["hosts_up"] == 0
    ids = [client.post("echo", {"n": n})["id"] for n in range(5)]
    assert client.refused("Post", {"handler": "noop"}).short == "AtCapacity"
    pool = daemon.until(lambda pool: pool["host"] == "down" and re.search(why, pool.get("host_error", "")), seconds=2 * DEADLINE)
    assert (pool["queued"], pool["active"], pool["failed"]) == (5, 0, 0) and 0 <= pool["host_retry_ms"] <= 5000
    text = ctl("status")
    assert re.search(r'^wrong\tthe host of pool "default": .+; next try in \d+ ms$', text, re.M), text
    assert client.call("Explain", {"id": ids[0]})["waits_for"] == "host"
    restarts = pool["host_restarts"]
    os.rename(moved + ".good", moved)
    tasks = client.call("Wait", {"ids": ids})["tasks"]
    assert {task["id"]: task["result"] for task in tasks} == {ids[n]: {"n": n} for n in range(5)}
    pool = daemon.until(is_up, seconds=2 * DEADLINE)
    assert "host_error" not in pool and pool["host_restarts"] <= restarts + 6
    assert "wrong" not in ctl("status")


@pytest.mark.short
@pytest.mark.parametrize("isolation", ["shared", "task"])
def test_daemon_whose_hosts_do_not_start_serves_and_says_why(start, moved, isolation):
    """From its start on: the socket is served after a while, READY waits."""
    shutil.copy(moved, moved + ".good")
    install(moved, "#!/bin/sh\nexit 3\n")
    daemon = start(f"[pool default]\nworkers = 3\nisolation = {isolation}\n", env=QUIET, ready=False)
    deadline = time.monotonic() + DEADLINE
    while "listening on" not in daemon.stderr():
        assert time.monotonic() < deadline and not proc.wait_readable([daemon.pidfd], 0.02), daemon.stderr()
    client = daemon.client()
    assert client.refused("Post", {"handler": "echo"}).short == "NotReady"  # no host has told of its parameters yet
    pool = daemon.until(lambda pool: pool.get("host_error", "").endswith("(status 3)"))
    assert pool["hosts_up"] == 0
    client.close()
    os.rename(moved + ".good", moved)
    daemon.wait_ready()
    client = daemon.client()
    assert client.run("echo", {"n": 1})["result"] == {"n": 1}
    daemon.fds_at_ready = None  # READY with the first of them: the others' descriptors come later


@pytest.mark.short
def test_many_hosts_that_do_not_start_are_not_started_at_full_speed(start, moved):
    daemon = start(POOL.format(32), env=QUIET)
    shutil.copy(moved, moved + ".good")
    log = moved + ".log"
    install(moved, f'#!/bin/sh\necho >>"{log}"\nexit 1\n')
    for pid in procs.host_pids(daemon):
        os.kill(pid, signal.SIGKILL)
    daemon.until(lambda pool: pool["host"] == "down")
    began, cpu = time.monotonic(), proc.cpu_seconds(daemon.pid)
    daemon.pass_time(5)
    seconds, cpu = time.monotonic() - began, proc.cpu_seconds(daemon.pid) - cpu
    with open(log, encoding="utf-8") as file:
        n = len(file.readlines())
    print(f"32 workers: {n} starts that failed within {seconds:.1f} s, the daemon's CPU {100 * cpu / seconds:.1f} %")
    assert n <= 20
    os.rename(moved + ".good", moved)
    pool = daemon.until(is_up, seconds=2 * DEADLINE)
    assert pool["hosts_up"] == 32
