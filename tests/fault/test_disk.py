"""A disk that is full and has room again, and one that does not work: the right word, everything but posts goes on, posts come back
by themselves, and what was acknowledged is there, what was refused is not. Under load, with kills in between.

Planted faults that turn it red: ENOSPC taken for EIO, a flush that says 0 after an error, a log that is not cut after one, or cut to
nothing."""
import contextlib
import ctypes
import errno
import os

import pytest

import shim as faults
from crowd import Crowd, Line
from kit.client import Client
from oracle import Oracle
from test_kills import list_all
from victim import Victim

MIB = 1 << 20
CLONE_NEWNS, MS_PRIVATE, MS_REC, MNT_DETACH = 0x20000, 1 << 18, 0x4000, 2
_libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def make_mounts_private():
    """All that can be seen. In a changed root that is no mount itself "/" cannot be named: each mount below it then."""
    if _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0:
        return
    with open("/proc/self/mountinfo", "rb") as mounts:
        for mount in [line.split()[4] for line in mounts]:
            if os.path.isdir(mount):
                _libc.mount(b"none", mount, None, MS_PRIVATE, None)


@pytest.fixture
def small_disk(tmp_path, lacks):
    """8 MB, which nobody sees but this process and its children: it goes with them."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    try:
        checked(_libc.unshare(CLONE_NEWNS))
        make_mounts_private()
        checked(_libc.mount(b"tmpfs", os.fsencode(tmp_path), b"tmpfs", 0, b"size=8M,mode=700"))
    except OSError as error:
        lacks(f"a small file system cannot be mounted: {error}")
    yield tmp_path
    checked(_libc.umount2(os.fsencode(tmp_path), MNT_DETACH))


def config(folder, reserve):
    return (f"[daemon]\nstate_dir = {folder}\nhistory_max = 1000000\n[store]\ntype = sqlite\nreserve = {reserve}\n"
            "[pool default]\nworkers = 4\ncapacity = 100000\n")


class Load:
    """Posters that go on until they are refused `enough` times in a row. Most of what they post waits, some of it runs."""
    WAITS = {"handler": "echo", "args": {"pad": "x" * 700}, "delay_ms": 3_600_000}
    KINDS = ({"handler": "noop"}, {"handler": "echo", "args": {"pad": "x" * 1500}}, WAITS)
    WITHOUT_RESULTS = ({"handler": "noop"}, {"handler": "echo", "args": {"pad": "x" * 2000}, "delay_ms": 3_600_000})

    def __init__(self, daemon, oracle, dice, word, kinds=KINDS):
        self.kinds = kinds
        self.daemon, self.oracle, self.dice, self.word = daemon, oracle, dice, word
        self.n_refused = self.n_posts = 0
        self.accepted = []

    def post(self, line):
        params = self.dice.choice(self.kinds)
        post = self.oracle.attempt(params["handler"])
        self.n_posts += 1
        line.call("Post", params | {"name": post.name}, lambda reply: self.on_post(post, reply))

    def on_post(self, post, reply):
        task = self.oracle.posted(post, reply)
        if task:
            self.accepted.append(task)
            self.n_refused = 0
        else:
            self.n_refused += 1
            if not reply["error"].endswith("." + self.word):
                self.oracle.fault("wrong word", f"{reply}, and not {self.word}")

    def run(self, enough=30, at_most=6000):
        with Crowd() as crowd:
            lines = [Line(crowd, self.daemon.path) for _ in range(4)]
            while self.n_refused < enough:
                assert self.n_posts < at_most, f"no post of {at_most} was refused"
                for line in lines:
                    while len(line.waiting) < 4:
                        self.post(line)
                crowd.turn()
            while any(line.waiting for line in lines):
                crowd.turn()


def look(daemon, oracle):
    oracle.check(list_all(daemon.path), 0)


def store_of(daemon):
    return daemon.client().call("Stats")["daemon"]["store"]


def until_it_posts(daemon, oracle, seconds=10):
    """By itself: nobody tells the daemon that there is room."""
    with Client(daemon.path) as client:
        for _ in range(int(seconds / 0.1)):
            post = oracle.attempt("noop")
            client.send("Post", {"handler": "noop", "name": post.name, "wait": True})
            reply = client.recv_message()
            oracle.posted(post, reply)
            if "error" not in reply:
                return
            daemon.pass_time(0.1)
    oracle.fault("not back", f"no post in {seconds} s; {store_of(daemon)}; {daemon.stderr()[-500:]}")


def cancel_some(daemon, oracle, load, what):
    """Of those that wait; what of them was cancelled by somebody who was told so."""
    waiting = [task for task in load.accepted if task.end is None][-20:]
    if not waiting:
        return
    with Client(daemon.path) as client:
        outcomes = client.call("Cancel", {"ids": [str(task.id) for task in waiting]})["tasks"]
    for task, outcome in zip(waiting, outcomes):
        oracle.cancelled(task, outcome)
    assert all(outcome["result"] in ("cancelled", "ended", "asked") for outcome in outcomes), f"{what}: {outcomes}"


def fill(path, left):
    """All but so many bytes of the disk."""
    with open(path, "wb", buffering=0) as ballast:
        with contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(65536))
        with contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        ballast.truncate(max(0, ballast.tell() - left))


def report(tell, oracle, what):
    tell(f"{oracle.n['tried']} tried, {oracle.n['crash']} crashed, {oracle.n_lost} lost ({what}; {oracle.n['acknowledged']} posts acknowledged, "
         f"{oracle.n['refused']} refused, {oracle.n['refused but there']} of them there)")
    assert not oracle.wrong, "\n".join(oracle.wrong)


def check_full(daemon, oracle, load):
    """All that is no post still works, in the reserve."""
    store = store_of(daemon)
    assert "reserve" in store.get("error", ""), store
    look(daemon, oracle)
    cancel_some(daemon, oracle, load, "a full disk with its reserve")
    ended = next(task for task in oracle.tasks.values() if task.end)
    assert daemon.client().call("Show", {"id": str(ended.id)})["task"]["state"] == ended.end[0]


@pytest.mark.parametrize("kills", [False, True])
def test_a_full_disk_and_room_again(small_disk, dice, tell, kills):
    oracle, text = Oracle(), config(small_disk, "1M")
    daemon = Victim(text)
    for _ in range(4):
        fill(small_disk / "ballast", dice.randrange(3 * MIB // 2, 2 * MIB))
        load = Load(daemon, oracle, dice, "StorageFull")
        load.run()
        daemon.until(lambda pool: pool["queued"] == pool["active"] == 0)  # ends have room, and their results
        check_full(daemon, oracle, load)
        if kills:
            daemon.kill()
            daemon = Victim(text)
            check_full(daemon, oracle, load)
        os.unlink(small_disk / "ballast")
        until_it_posts(daemon, oracle)
        look(daemon, oracle)
    daemon.kill()
    daemon = Victim(text)
    look(daemon, oracle)
    daemon.kill()
    report(tell, oracle, f"a disk that was full 4 times{', with kills' * kills}")


@pytest.mark.parametrize("kills", [False, True])
def test_a_disk_without_one_byte_left(small_disk, dice, tell, kills):
    """No reserve: ends have no room either. They come through when there is some."""
    oracle, text = Oracle(), config(small_disk, "0")
    daemon = Victim(text)
    for _ in range(4):
        fill(small_disk / "ballast", dice.randrange(MIB // 2))
        load = Load(daemon, oracle, dice, "StorageFull")
        load.run()
        assert "error" in store_of(daemon)
        look(daemon, oracle)
        if kills:
            daemon.kill()
            daemon = Victim(text)
            look(daemon, oracle)
        os.unlink(small_disk / "ballast")
        until_it_posts(daemon, oracle)
        daemon.until(lambda pool: pool["queued"] == pool["active"] == 0)
        look(daemon, oracle)
    daemon.kill()
    daemon = Victim(text)
    look(daemon, oracle)
    daemon.kill()
    report(tell, oracle, f"a disk without a byte left 4 times{', with kills' * kills}")


@pytest.mark.parametrize("kinds, what", [(faults.PWRITE, "write"), (faults.SYNC, "flush"), (faults.PWRITE | faults.SYNC, "write or flush"),
                                         (faults.SYNC | faults.TRUNCATE, "flush or cut")])
def test_a_disk_that_does_not_work(tmp_path, dice, tell, kinds, what):
    oracle, shim, text = Oracle(), faults.Shim(tmp_path), config(tmp_path, "0")
    is_flush = bool(kinds & faults.SYNC)
    n_broken = 0
    for _ in range(12):
        daemon = Victim(text, env=shim.env)
        look(daemon, oracle)
        shim.arm(kinds, dice.randrange(1, 100), errno.EIO, forever=True)
        load = Load(daemon, oracle, dice, "StorageFailed")
        load.run()
        store = store_of(daemon)
        if "error" not in store:
            oracle.fault("not said", f"Stats has no error: {store}")
        look(daemon, oracle)  # it can be read
        shim.disarm()
        store = store_of(daemon)  # what a checkpoint met meanwhile, too
        if "until a restart" in store.get("error", ""):
            n_broken += 1
            load.n_refused = 0
            load.run(enough=8, at_most=100 + load.n_posts)
        elif not is_flush or kinds & faults.PWRITE:
            until_it_posts(daemon, oracle)
        else:
            oracle.fault("not said", f"a flush has failed, and the store still writes: {store}")
        daemon.kill()
    daemon = Victim(text, env=shim.env)
    look(daemon, oracle)
    daemon.kill()
    report(tell, oracle, f"12 disks with EIO for each {what}, {n_broken} closed until a restart")


def test_a_flush_that_fails_takes_nothing_else_along(tmp_path, tell):
    """The first one of a daemon whose log is full of what an earlier one wrote; the second, the third."""
    oracle, shim, text = Oracle(), faults.Shim(tmp_path), config(tmp_path, "0")
    for nth in (6, 5, 4, 3, 2, 1, 1):
        n_refused = 0
        daemon = Victim(text, env=shim.env)
        look(daemon, oracle)
        with Client(daemon.path) as client:
            shim.arm(faults.SYNC, nth, errno.EIO)
            for n in range(20):
                post = oracle.attempt("echo")
                client.send("Post", {"handler": "echo", "name": post.name, "delay_ms": 3_600_000})
                reply = client.recv_message()
                oracle.posted(post, reply)
                n_refused += "error" in reply
                assert ("error" in reply) == (n_refused > 0), f"flush {nth} fails, and post {n} is taken again: {reply}"
        assert shim.disarm() == 1
        assert n_refused > 0
        daemon.kill()
    daemon = Victim(text, env=shim.env)
    look(daemon, oracle)
    daemon.kill()
    report(tell, oracle, "the 6th … 1st flush of a daemon failed")


def test_the_folder_is_flushed_before_anything_is_promised(tmp_path, tell):
    """A log whose name is not on the disk is none after a power cut, with all that is in it."""
    oracle, shim, folder = Oracle(), faults.Shim(tmp_path), None
    starts = (("new", 1), ("new", 2), ("new", 3), ("new", 4), ("old", 1), ("old", 2))
    for n, (what, nth) in enumerate(starts):
        if what == "new":  # the folder is made, too
            folder = tmp_path / f"new{n}"
            oracle.begin_anew()
        shim.arm(faults.SYNC_FOLDER, nth, errno.EIO, forever=True)
        daemon = Victim(config(folder, "0"), env=shim.env, ready=False)
        status = daemon.wait_exit()
        hits = shim.disarm()
        assert status > 0 and hits > 0 and "folder" in daemon.stderr(), f"{status}, {hits} flushes of a folder failed: {daemon.stderr()}"
        daemon.expect_status = status
        daemon.finish()
        daemon = Victim(config(folder, "0"), env=shim.env)
        look(daemon, oracle)
        shim.arm(faults.SYNC_FOLDER, 1, errno.EIO, forever=True)
        with Client(daemon.path) as client:
            for _ in range(20):
                post = oracle.attempt("echo")
                client.send("Post", {"handler": "echo", "name": post.name})
                oracle.posted(post, client.recv_message())
        assert shim.disarm() == 0  # the names are there for good
        daemon.kill()
    report(tell, oracle, f"{len(starts)} starts on a folder that does not flush")


def test_the_log_does_not_eat_the_reserve(small_disk, dice, tell):
    """However often something changes while there is no room for posts. Results of a long queue might."""
    oracle, text = Oracle(), config(small_disk, "1M")
    daemon = Victim(text)
    load = Load(daemon, oracle, dice, "StorageFull", Load.WITHOUT_RESULTS)
    load.run(enough=1)
    daemon.until(lambda pool: pool["queued"] == pool["active"] == 0)
    waiting = [task for task in load.accepted if task.end is None]
    with Client(daemon.path) as client:
        for task in waiting[:1000]:
            client.send("Cancel", {"ids": [str(task.id)]})
            reply = client.recv_message()
            assert "error" not in reply, f"{task.id}: {reply}\n{daemon.stderr()[-1000:]}"
            oracle.cancelled(task, reply["parameters"]["tasks"][0])
    daemon.kill()
    daemon = Victim(text)
    look(daemon, oracle)
    daemon.kill()
    report(tell, oracle, f"{oracle.n['cancels']} cancels on a full disk")
