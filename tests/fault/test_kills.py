"""kill -9 at random moments (workpoold(8), "Delivery"): posters, waiters, cancels and retries; and after each restart the oracle counts.

Planted faults that turn it red: a commit that says 0 and rolls back, an end, a start or a cancel that is not written down, unique keys that a
restart forgets, ids that begin one too low."""
import contextlib
import os
import signal

from crowd import Crowd, Line
from kit import proc, procs
from kit.client import Client
from oracle import ENDS, Oracle
from victim import Victim

KILLS = int(os.environ.get("FAULT_KILLS", 60))
KILLS_A_ROUND = 60  # then with a fresh store: what is looked at each time stays small
POSTS_A_KILL = 1000  # at most; half of it on average
PIPELINE = 24
PROGRAMS, ONCE = ("mark", "once", "slow"), ("once",)


def config(folder):
    """Programs tell by themselves that they run, in a file that no daemon knows of."""
    own = os.path.join(folder, "programs")
    text = f'echo "$WORKPOOL_TASK_ID $WORKPOOL_ATTEMPT" >>{own}/runs\n'
    return (f"[daemon]\nstate_dir = {folder}/state\nhistory_max = 1000000\n[store]\ntype = sqlite\n"
            "[pool default]\nworkers = 6\ncapacity = 1000000\n"
            + procs.shell_handler(own, "mark", text) + procs.shell_handler(own, "once", text, on_crash="lost")
            + procs.shell_handler(own, "slow", text + "trap '' TERM\nexec sleep 0.2\n"))  # it does not end when asked


class Posters:
    """Everything that clients do between two kills."""

    def __init__(self, crowd, path, oracle, dice):
        self.oracle, self.dice = oracle, dice
        self.slow = []  # tasks that run long enough to be cancelled meanwhile
        self.recent = []  # tasks to be waited for, cancelled, retried
        self.n_acknowledged = 0
        self.lines = [Line(crowd, path) for _ in range(4)]
        self.waiter, self.other = Line(crowd, path), Line(crowd, path)

    def feed(self):
        for line in self.lines:
            while len(line.waiting) < PIPELINE:
                self.post(line)
        if self.recent and len(self.waiter.waiting) < 4:
            self.wait()
        if self.recent and len(self.other.waiting) < 4:
            self.cancel_or_retry()

    def post(self, line):
        dice = self.dice
        kind = dice.random()
        params = {"handler": "noop"}
        if kind < 0.05:
            params = {"handler": dice.choice(PROGRAMS)}
        elif kind < 0.25:
            params = {"handler": "echo", "args": {"n": dice.randrange(1 << 40), "pad": "x" * dice.choice((1, 50, 3000))}}
        elif kind < 0.35:
            params = {"handler": "noop", "unique": f"k{dice.randrange(20)}", "delay_ms": dice.choice((0, 1, 30))}
        elif kind < 0.36:
            params = {"handler": "echo", "unique": f"long{dice.randrange(4)}", "delay_ms": 3_600_000}  # outlives all kills
        elif kind < 0.40:
            params = {"handler": "fail", "args": {"error": "as it was told to"}}
        elif kind < 0.45:
            params = {"handler": "noop", "delay_ms": dice.choice((5, 60_000))}
        elif kind < 0.50:
            params = {"handler": "noop", "priority": dice.randrange(10), "retries": 1}
        if "unique" not in params and dice.random() < 0.03:
            params["wait"] = params.get("delay_ms", 0) < 1000
        post = self.oracle.attempt(params["handler"], params.get("unique"))
        line.call("Post", params | {"name": post.name}, lambda reply: self.on_post(post, reply))

    def on_post(self, post, reply):
        task = self.oracle.posted(post, reply)
        assert "error" not in reply, reply
        self.n_acknowledged += 1
        if task is not None:
            self.recent.append(task)
            if post.handler == "slow":
                self.slow.append(task)
            if len(self.recent) > 400:
                del self.recent[:200]

    def wait(self):
        task = self.dice.choice(self.recent)
        if task.end is None:
            task.waited += 1
            self.waiter.call("Wait", {"ids": [str(task.id)], "timeout_ms": 20}, lambda reply: self.on_wait(task, reply))

    def on_wait(self, task, reply):
        task.waited -= 1
        for shown in reply["parameters"].get("tasks", ()):
            self.oracle.told(shown)

    def cancel_or_retry(self):
        failed = [task for task in self.recent[-50:] if task.end and task.end[0] in ("failed", "cancelled")]
        task = self.dice.choice(failed if failed and self.dice.random() < 0.5 else self.recent)
        if self.slow and self.dice.random() < 0.2:
            task = self.slow.pop(0)  # the oldest: it is active, if any
        if task.post.key or task.waited or task.retrying:
            return
        if task.end is None:
            self.other.call("Cancel", {"ids": [str(task.id)]}, lambda reply: self.on_cancel(task, reply))
            task.cancelling = True
            task.waited += 1
        elif task.end[0] in ("failed", "cancelled") and task.post.handler not in ONCE:
            task.retrying = True
            self.other.call("Retry", {"ids": [str(task.id)]}, lambda reply: self.on_retry(task, reply))

    def on_cancel(self, task, reply):
        task.waited -= 1
        self.oracle.cancelled(task, reply["parameters"]["tasks"][0])

    def on_retry(self, task, reply):
        self.oracle.retried(task, reply["parameters"]["tasks"][0])


def list_all(path, above=0):
    rows, after = [], str(above) if above else None
    with Client(path) as client:
        while True:
            page = client.call("List", {"limit": 1000} | ({"after": after} if after else {}))
            rows += page["tasks"]
            after = page.get("next")
            if after is None:
                return rows


class Round:
    """Kills of daemons on one store."""

    def __init__(self, folder, dice):
        self.folder, self.dice, self.oracle = folder, dice, Oracle()
        os.mkdir(os.path.join(folder, "programs"))
        self.config = config(folder)
        self.n_read = 0
        self.n_kills = self.n_bad_starts = 0

    def start(self, ready=True):
        self.oracle.life += 1
        try:
            return Victim(self.config, ready=ready)
        except AssertionError as error:
            self.n_bad_starts += 1
            self.oracle.fault("start failed", str(error))
            raise

    def read_runs(self):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.folder, "programs", "runs"), encoding="ascii") as file:
            file.seek(self.n_read)
            text = file.read()
            end = text.rfind("\n") + 1
            self.n_read += end
            self.oracle.check_runs(text[:end].splitlines())

    def look(self, daemon, everything):
        above = 0 if everything else self.oracle.floor
        self.oracle.check(list_all(daemon.path, above), above)
        self.read_runs()
        self.oracle.raise_floor()

    def kill_once(self, everything):
        if self.dice.random() < 0.1:  # before it is ready
            daemon = self.start(ready=False)
            proc.wait_readable([daemon.notify], self.dice.random() * 0.05)
        else:
            daemon = self.start()
            self.look(daemon, everything)
            with Crowd() as crowd:
                posters = Posters(crowd, daemon.path, self.oracle, self.dice)
                enough = self.dice.randrange(POSTS_A_KILL)
                while posters.n_acknowledged < enough and not daemon.has_died():
                    posters.feed()
                    crowd.turn()
                posters.feed()
                crowd.turn(seconds=self.dice.random() * 0.003)
                daemon.signal(signal.SIGKILL)
                crowd.drain()
            for task in posters.recent:
                task.waited = 0
        if daemon.has_died() and daemon.wait_exit() != -signal.SIGKILL:
            self.oracle.fault("crash", daemon.stderr()[-1000:])
            daemon.expect_status = daemon.process.returncode
            daemon.finish()
        else:
            daemon.kill()
        self.n_kills += 1

    def end(self):
        daemon = self.start()
        try:
            self.look(daemon, everything=True)
            daemon.client().call("Cancel", {"state": "delayed", "pool": "default"})
            daemon.until(lambda pool: pool["queued"] == pool["delayed"] == pool["active"] == 0, seconds=60)
            rows = list_all(daemon.path)
            for task in self.oracle.tasks.values():
                task.cancelling = True  # by the last Cancel
            self.oracle.check(rows, 0)
            self.read_runs()
            self.oracle.check_all_runs(PROGRAMS, ONCE)
            numbers = daemon.client().pool()
            if numbers["posted"] != len(rows) or sum(numbers[state] for state in ENDS) != len(rows):
                self.oracle.fault("numbers", f"{len(rows)} tasks are there, and the pool says {numbers}")
        finally:
            daemon.finish()


def test_kills(tmp_path, dice, tell):
    total, kills, bad = {}, 0, []
    while kills < KILLS:
        folder = tmp_path / f"round{kills}"
        folder.mkdir()
        one = Round(folder, dice)
        for _ in range(min(KILLS_A_ROUND, KILLS - kills)):
            one.kill_once(everything=one.n_kills % 20 == 19)
        one.end()
        kills += one.n_kills
        for kind, n in (one.oracle.n | {"lost": one.oracle.n_lost}).items():
            total[kind] = total.get(kind, 0) + n
        bad += one.oracle.wrong
        if bad:
            break
    again, unknown = total.get("run again", 0), total.get("unknown", 0)
    tell(f"{total['tried']} tried, {total.get('crash', 0)} crashed, {total['lost']} lost ({kills} kills; {total['acknowledged']} posts acknowledged, "
         f"{total['ends']} ends, {total['runs']} runs of programs, {total['cancels']} cancels, {total['asked']} of active tasks, {total['retries']} retries; "
         f"{again} run again, {unknown} unknown, {total.get('start failed', 0)} failed starts)")
    assert not bad, "\n".join(bad)
    assert total["acknowledged"] >= KILLS * POSTS_A_KILL / 3
