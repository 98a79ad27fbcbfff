"""Many programs at once, while their processes and their host are killed at random: every task ends exactly once, no zombie and
no orphan is left, and nobody else gets a signal. Prints what it did."""
import collections
import os
import random
import signal
import threading
import time

import pytest

from kit import proc, procs
from kit.client import DEADLINE, CallError

pytestmark = [pytest.mark.exec, pytest.mark.slow, pytest.mark.usefixtures("has_exec")]
N_TASKS, N_WORKERS = 200, 8
HOST_KILLS = (60, 120)  # after so many ends
HOLD = ["/bin/sleep", "601"]

# Some end at once, some fail, some leave children behind; each lives a few milliseconds.
PROGRAM = """
case $(($WORKPOOL_TASK_ID % 5)) in
0) cat >/dev/null ;;
1) sleep 0.05 & sleep 0.02 ;;
2) setsid sleep 600 & sleep 0.02; exit 3 ;;
3) sh -c 'env -i setsid sh -c "sleep 600; :" &'; sleep 0.03 ;;
4) trap '' TERM; sleep 0.01 ;;
esac
"""


def kill_at_random(rng, daemon):
    """One of the programs that end by themselves, or what it started; answers whether there was one."""
    pids = [pid for pid in procs.task_pids(daemon) if proc.command_line(pid) != " ".join(HOLD)]
    if not pids:
        return False
    try:
        os.kill(rng.choice(pids), rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV]))
    except ProcessLookupError:
        return False
    return True


CROWD, WAVE = 5000, 1000
BYSTANDERS = 250  # one for every so many ends

# Each says who it is; most leave somebody behind, in their group, in a session of their own, or daemonised by two forks, with
# their environment and without it.
MEMBER = """
echo $WORKPOOL_TASK_ID $$ >{fifo}
case $(($WORKPOOL_TASK_ID % 8)) in
0) ;;
1) sleep 600 & ;;
2) setsid sleep 600 & exit 3 ;;
3) sh -c 'env -i setsid sh -c "sleep 600; :" &' ;;
4) sh -c 'setsid sh -c "trap : TERM HUP; setsid sleep 600 & sleep 600; :" &' ;;
5) trap '' TERM; sleep 0.01 ;;
6) sh -c 'sleep 600 & exit' & sleep 0.02 ;;
7) sleep 0.05 ;;
esac
echo $$
"""


class Killer(threading.Thread):
    """Reads what the members of the crowd say, and ends some of them: alone, with their group, or by a cancel."""

    def __init__(self, daemon, fifo, rng):
        super().__init__()
        self.client, self.fifo, self.rng = daemon.client(), fifo, rng
        self.done = collections.Counter()

    def end(self):
        with open(self.fifo.path, "w", encoding="utf-8") as file:
            file.write("0 0\n")
        self.join()

    def run(self):
        while True:
            task, pid = self.fifo.line(6 * DEADLINE)
            if task == "0":
                return
            how = self.rng.choices(["", "program", "group", "cancel"], [6, 2, 1, 1])[0]
            if how == "cancel":
                self.client.call("Cancel", {"ids": [task]})
                self.done[how] += 1
            elif how and self.kill(how, int(pid), f"WORKPOOL_TASK_ID={task}\0"):
                self.done[how] += 1

    def kill(self, how, pid, mark):
        """Only who is still the one that spoke."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark.encode() not in file.read():
                    return False
            if how == "program":
                signal.pidfd_send_signal(fd, self.rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV]))
            else:
                os.killpg(pid, self.rng.choice([signal.SIGKILL, signal.SIGTERM]))
            return True
        except (ProcessLookupError, FileNotFoundError):
            return False
        finally:
            os.close(fd)


def start_bystander(pid):
    """Who is hit by what was meant for a program that has ended: the leader of a group, with its number if that can be had."""
    try:
        return proc.start_with_pid(pid, HOLD), True
    except OSError:  # taken again already; or only root may
        return os.posix_spawn(HOLD[0], HOLD, {}, setpgroup=0), False


def run_crowd(client, waiter):
    """Yields each task as it ends; as many at a time as a Wait takes."""
    for _ in range(CROWD // WAVE):
        waiter.send("Wait", {"ids": [client.post("member")["id"] for _ in range(WAVE)]}, more=True)
        for reply in waiter.recv_stream(20 * DEADLINE):
            yield reply["task"]


def test_crowd_leaves_nobody_and_hits_nobody_else(start, tmp_path):
    rng = random.Random(seed := random.randrange(1 << 32))
    with procs.fifo(tmp_path) as fifo:
        daemon = start(f"[pool default]\nworkers = {N_WORKERS}\ncapacity = {WAVE}\n"
                       + procs.shell_handler(tmp_path, "member", MEMBER.format(fifo=fifo.path), kill_after="100ms", crash_max=1))
        client, waiter = daemon.client(), daemon.client()
        host = client.pool()["host_pid"]
        killer = Killer(daemon, fifo, rng)
        bystanders, n_same, ends = [], 0, []
        killer.start()
        try:
            for task in run_crowd(client, waiter):
                ends.append(task)
                said = (task.get("result") or {}).get("stdout", "").strip()
                if len(ends) % (CROWD // BYSTANDERS) == 0 and said:
                    pid, is_same = start_bystander(int(said))
                    bystanders.append(pid)
                    n_same += is_same
            until = time.monotonic() + 2
            hit = [pid for pid in bystanders if not proc.is_alive(pid)]
            pool = client.pool()
            procs.check_none_left(daemon, until)
            n_zombies = len(proc.zombies(daemon.pid))
        finally:
            killer.end()
            for pid in bystanders:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    told = f"seed {seed}: {CROWD} tried, 0 orphans, {n_zombies} zombies, {len(hit)} of {len(bystanders)} bystanders hit ({n_same} with the " \
           f"number of a program that had ended); killed {dict(killer.done)}"
    print(told)
    assert len({task["id"] for task in ends}) == len(ends) == CROWD, told
    assert n_zombies == 0 and not hit, told
    assert len(bystanders) > BYSTANDERS // 4 and (n_same > 0 or os.geteuid() != 0), told
    assert pool["host_pid"] == host and pool["host_restarts"] == 0, told
    reasons = collections.Counter(task.get("reason", task["state"]) for task in ends)
    assert set(reasons) <= {"done", "exit", "crashed", "cancelled", "cancel"}, (told, reasons)
    assert min(killer.done.values()) > 0 and len(killer.done) == 3, told


def test_each_of_many_tasks_ends_once_whatever_is_killed(start, tmp_path):
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    config = f"[pool default]\nworkers = {N_WORKERS}\ncapacity = {N_TASKS}\n"
    daemon = start(config + procs.shell_handler(tmp_path, "program", PROGRAM, kill_after="200ms", timeout="20s", backoff_min="1ms")
                   + procs.handler("hold", *HOLD, on_crash="lost"))
    client = daemon.client()
    # The last task that has begun for certain when a host is killed runs until then: also if this test is far behind the daemon.
    # It is not tried again, or it would run for ever.
    ids = [client.post("hold" if n + 1 in HOST_KILLS else "program", {"n": n})["id"] for n in range(N_TASKS)]
    assert len(set(ids)) == N_TASKS
    waiter = daemon.client()
    waiter.send("Wait", {"ids": ids}, more=True)
    ends, n_kills, host_kills = [], 0, list(HOST_KILLS)
    for reply in waiter.recv_stream(6 * DEADLINE):
        ends.append(reply["task"])
        n_kills += rng.random() < 0.3 and kill_at_random(rng, daemon)
        if host_kills and len(ends) >= host_kills[0]:
            host_kills.pop(0)
            daemon.until(lambda pool: pool["host"] == "up", seconds=3 * DEADLINE)
            os.kill(client.pool()["host_pid"], signal.SIGKILL)
    until = time.monotonic() + 2
    told = f"seed {seed}: {N_TASKS} tried, {n_kills} programs and {len(HOST_KILLS)} hosts killed"
    assert sorted(task["id"] for task in ends) == sorted(ids), told
    pool = daemon.until(lambda pool: pool["host"] == "up", seconds=3 * DEADLINE)
    assert pool["done"] + pool["failed"] + pool["lost"] == pool["posted"] == N_TASKS, (told, pool)
    assert pool["host_restarts"] >= len(HOST_KILLS), (told, pool)
    procs.check_none_left(daemon, until)
    assert proc.zombies(daemon.pid) == [], told
    reasons = collections.Counter(task.get("reason", "done") for task in ends)
    assert set(reasons) <= {"done", "exit", "crashed"}, (told, reasons)
    assert reasons["exit"] > 0 and reasons["done"] > 0, (told, reasons)
    assert pool["crashed"] > 0 and pool["returned"] + pool["retried"] > 0, (told, pool)
    print(f"{told}, ends {dict(reasons)}, 0 zombies, 0 orphans")


def test_each_task_is_run_by_at_most_as_many_programs_as_workers(start, tmp_path):
    """No program runs beside the ones that are counted as active, and each of the tasks is run once."""
    log = tmp_path / "log"
    daemon = start(f"[pool default]\nworkers = {N_WORKERS}\ncapacity = {N_TASKS}\n"
                   + procs.shell_handler(tmp_path, "program", f"echo + $WORKPOOL_TASK_ID $WORKPOOL_WORKER >>{log}; "
                                                              f"sleep 0.005; echo - $WORKPOOL_TASK_ID $WORKPOOL_WORKER >>{log}"))
    client = daemon.client()
    ids = [client.post("program")["id"] for _ in range(N_TASKS)]
    daemon.until(lambda pool: pool["done"] == N_TASKS, seconds=6 * DEADLINE)
    running, begun = {}, []
    for line in log.read_text().splitlines():
        sign, task, worker = line.split()
        if sign == "+":
            assert worker not in running, f"worker {worker} runs {running[worker]} and {task}"
            running[worker] = task
            begun.append(task)
        else:
            assert running.pop(worker) == task
    assert sorted(begun) == sorted(ids) and not running
    assert client.pool()["max_active"] == N_WORKERS


def test_programs_fail_in_order_while_the_host_cannot_be_replaced(start, tmp_path):
    """Kills of the host one after the other: posts are taken or refused, never lost."""
    daemon = start("[pool default]\nworkers = 4\ncapacity = 50\n" + procs.handler("program", "/bin/sleep", "0.01"))
    client, accepted = daemon.client(), []
    for _ in range(5):
        for _ in range(20):
            try:
                accepted.append(client.post("program")["id"])
            except CallError as error:
                assert error.short in ("AtCapacity", "NotReady"), error
        pid = client.pool().get("host_pid")
        if pid:
            os.kill(pid, signal.SIGKILL)
    tasks = client.call("Wait", {"ids": accepted}, seconds=6 * DEADLINE)["tasks"]
    assert sorted(task["id"] for task in tasks) == sorted(accepted)
    assert {task["state"] for task in tasks} <= {"done", "failed"}
    daemon.until(lambda pool: pool["host"] == "up", seconds=3 * DEADLINE)
    assert procs.task_pids(daemon) == [] and proc.zombies(daemon.pid) == []
