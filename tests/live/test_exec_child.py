"""What a program of type exec is born with: environment, descriptors, session, signals, rights and limits (reliability.md,
"children"). A probe, itself such a program, tells what it finds."""
import json
import os
import signal
import sys
import tempfile
import time

import pytest

from kit import procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = "[pool default]\nworkers = 1\n"
PROBE = r"""
import ctypes, json, os, resource, sys
def fds():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink("/proc/self/fd/" + name)
        except FileNotFoundError:
            pass
    return found
umask = os.umask(0)
os.umask(umask)
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number), 0, 0, 0)  # PR_GET_PDEATHSIG
limits = {name[7:].lower(): resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
json.dump({
    "argv": sys.argv, "environ": dict(os.environ), "raw_environ": open("/proc/self/environ").read().split("\0")[:-1], "fds": fds(),
    "pid": os.getpid(), "ppid": os.getppid(), "sid": os.getsid(0), "pgid": os.getpgid(0), "umask": umask, "cwd": os.getcwd(),
    "nice": os.nice(0), "limits": limits, "death_signal": number.value, "files": sorted(os.listdir(".")),
    "mode": os.stat(".").st_mode & 0o7777, "owner": os.stat(".").st_uid, "uid": os.getuid(),
}, sys.stdout)
"""
UNLIMITED = -1
LIBC_SIGNALS = 3 << 31  # 32 and 33 are the C library's own: its posix_spawn(3) leaves them ignored


@pytest.fixture
def probe(start, tmp_path):
    """probe(keys of the handler…): what the probe found. probe.task is its task, probe.daemon the daemon."""
    path = procs.script(tmp_path, "probe.py", PROBE, sys.executable)

    def run_probe(words=(), post=None, env=None, workers=1, **keys):
        run_probe.daemon = start(f"[pool default]\nworkers = {workers}\n" + procs.handler("probe", path, *words, **keys), env=env)
        run_probe.task = run_probe.daemon.client().run("probe", **(post or {}))
        assert run_probe.task["state"] == "done", run_probe.task
        return json.loads(run_probe.task["result"]["stdout"])

    return run_probe


@pytest.mark.short
def test_environment_is_exactly_what_is_promised(probe):
    all_of_it = probe(timeout="0", env={"SECRET_OF_THE_DAEMON": "1"})
    found = all_of_it["environ"]
    assert set(found) - {"LC_CTYPE"} == {"PATH", "LANG", "TMPDIR", "WORKPOOL_TASK_ID", "WORKPOOL_ATTEMPT", "WORKPOOL_WORKER"}
    assert found["WORKPOOL_TASK_ID"] == probe.task["id"]
    assert found["WORKPOOL_ATTEMPT"] == str(probe.task["attempt"]) == "1"
    assert found["WORKPOOL_WORKER"] == "0"
    assert found["TMPDIR"] == all_of_it["cwd"]
    assert found["LANG"] == "C.UTF-8" and "/usr/bin" in found["PATH"].split(":")


def test_environment_holds_no_name_twice(probe):
    words = [line.partition("=")[0] for line in probe(environment="PATH=/bin LANG=C A=1")["raw_environ"]]
    assert len(words) == len(set(words)), words


@pytest.mark.parametrize("how", ["configured", "posted"])
def test_deadline_is_told_as_a_time_of_the_calendar(probe, how):
    before = time.time()
    found = probe(timeout="100s") if how == "configured" else probe(post={"timeout_ms": 100_000}, timeout="0")
    assert before + 99 < float(found["environ"]["WORKPOOL_DEADLINE"]) < time.time() + 101
    assert abs(float(found["environ"]["WORKPOOL_DEADLINE"]) - probe.task["started_at"] - 100) < 1


def test_configured_environment_is_added_and_wins_over_path_and_lang(probe):
    found = probe(environment="A=1 B='two words' C= PATH=/opt/bin LANG=de_DE.UTF-8")["environ"]
    assert {name: found[name] for name in ("A", "B", "C", "PATH", "LANG")} == {
        "A": "1", "B": "two words", "C": "", "PATH": "/opt/bin", "LANG": "de_DE.UTF-8"}


def test_worker_number_is_the_one_that_runs_it(start, tmp_path):
    """Two programs at the same time have two numbers, both below the number of workers."""
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "go") as gate:
        text = f"echo worker $WORKPOOL_WORKER >{told.path}; read line <{gate.path}"
        daemon = start("[pool default]\nworkers = 2\n" + procs.shell_handler(tmp_path, "program", text))
        client = daemon.client()
        for _ in range(2):
            client.post("program")
        numbers = {told.line()[1] for _ in range(2)}
        os.write(gate.fd, b"go\ngo\n")
        daemon.until(lambda pool: pool["done"] == 2)
    assert numbers == {"0", "1"}


@pytest.mark.short
def test_program_has_descriptors_0_to_2_only(start, tmp_path):
    """With connections, FIFOs and the sockets of daemon and host open: none of these is inherited."""
    daemon = start("[pool default]\nworkers = 4\n" + procs.handler("list", "/bin/ls", "/proc/self/fd"))
    clients = [daemon.client() for _ in range(8)]
    for client in clients:
        client.send("Post", {"handler": "list", "wait": True})
    for client in clients:
        # 3 is the folder that ls itself reads.
        assert client.recv()["task"]["result"]["stdout"].split() == ["0", "1", "2", "3"]


def test_descriptors_are_pipes_of_its_own(probe):
    found = probe()["fds"]
    assert set(found) == {"0", "1", "2"}
    assert all(target.startswith("pipe:") for target in found.values()) and len(set(found.values())) == 3, found


@pytest.mark.short
def test_program_leads_a_session_and_a_group_of_its_own(probe):
    found = probe()
    assert found["pid"] == found["sid"] == found["pgid"]
    assert found["death_signal"] == 9


@pytest.mark.short
def test_program_gains_no_privileges_and_has_clean_signals(start):
    daemon = start(ONE + procs.handler("status", "/bin/cat", "/proc/self/status"))
    text = daemon.client().run("status")["result"]["stdout"]
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"):
        assert int(fields[name], 16) & ~LIBC_SIGNALS == 0, (name, fields[name])


@pytest.mark.short
def test_core_files_are_off_for_every_program(probe):
    assert probe()["limits"]["core"] == [0, 0]


def test_program_that_crashes_leaves_no_core_file(start, tmp_path):
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", "kill -SEGV $$", working_directory=tmp_path))
    assert daemon.client().run("program")["result"]["signal"] == 11
    assert procs.names_of(tmp_path) == ["program.sh"]


@pytest.mark.parametrize("key, value, limit, expected", [
    ("open_files_max", "64", "nofile", 64), ("file_size_max", "1M", "fsize", 1 << 20), ("memory_max", "512M", "as", 512 << 20),
    ("cpu_time", "7s", "cpu", 7), ("cpu_time", "1.5s", "cpu", 2),
])
def test_limit_is_set_hard_and_soft(probe, key, value, limit, expected):
    found = probe(**{key: value})["limits"]
    assert found[limit] == [expected, expected]


def test_limits_that_are_off_are_the_hosts(probe):
    found = probe(open_files_max="0", file_size_max="0", memory_max="0", cpu_time="0")["limits"]
    assert found["fsize"] == found["as"] == found["cpu"] == [UNLIMITED, UNLIMITED]


def python_handler(tmp_path, text, **keys):
    return ONE + procs.handler("program", procs.script(tmp_path, "program.py", text, sys.executable), **keys)


def test_memory_beyond_memory_max_is_not_given(start, tmp_path):
    text = "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('refused')\n"
    assert start(python_handler(tmp_path, text, memory_max="512M")).client().run("program")["result"]["stdout"] == "refused\n"


def test_file_beyond_file_size_max_ends_the_program(start, tmp_path):
    text = f"head -c 3000000 /dev/zero >{tmp_path}/file"
    daemon = start(ONE + procs.handler("program", "/bin/sh", "-c", "exec " + text, file_size_max="1M", write_paths=tmp_path))
    task = daemon.client().run("program")
    assert task["state"] == "failed" and task["result"]["signal"] == 25  # SIGXFSZ
    assert os.stat(tmp_path / "file").st_size == 1 << 20


def test_processor_time_beyond_cpu_time_ends_the_program(start, tmp_path):
    daemon = start(ONE + procs.handler("program", "/bin/sh", "-c", "while :; do :; done", cpu_time="1s"))
    client = daemon.client()
    client.send("Post", {"handler": "program", "wait": True})
    task = client.recv(seconds=3 * DEADLINE)["task"]
    assert task["state"] == "failed" and task["result"]["signal"] in (9, 24)  # KILL, XCPU
    # The kernel counts for the limit by ticks, for the usage exactly.
    assert 300_000 < task["result"]["user_us"] + task["result"]["system_us"] < 2_500_000


def test_open_files_beyond_open_files_max_are_refused(start, tmp_path):
    text = "import os\nn = 3\ntry:\n    while True:\n        n = os.dup(0)\nexcept OSError as error:\n    print(n, error.errno)\n"
    found = start(python_handler(tmp_path, text, open_files_max="32")).client().run("program")["result"]["stdout"]
    assert found == "31 24\n"


@pytest.mark.parametrize("nice", ["5", "19"])
def test_nice_is_set(probe, nice):
    assert probe(nice=nice)["nice"] == int(nice)


@pytest.mark.parametrize("umask", [None, "022", "000", "777"])
def test_umask_is_set(probe, umask):
    expected = 0o77 if umask is None else int(umask, 8)
    assert probe(**({"umask": umask} if umask else {}))["umask"] == expected


def test_working_directory_is_where_it_starts(probe, tmp_path):
    place = tmp_path / "place with blank"
    place.mkdir()
    (place / "thing").write_text("x")
    found = probe(working_directory=place)
    assert found["cwd"] == str(place) and found["files"] == ["thing"]
    assert (place / "thing").exists(), "the configured directory is not the task's to be removed"


@pytest.mark.short
def test_without_working_directory_each_task_has_an_empty_private_one(probe, tmp_path):
    found = probe(env={"TMPDIR": str(tmp_path)})
    assert found["files"] == [] and found["mode"] == 0o700 and found["owner"] == found["uid"]
    assert os.path.commonpath([found["cwd"], tmp_path]) == str(tmp_path) != found["cwd"]
    check_empty_at_the_end(probe.daemon, tmp_path, but=["probe.py"])


def folders_of_tasks(place):
    """What is left of tasks: a host has a folder of its own, in which these are."""
    return sorted(str(path.relative_to(place)) for host in place.iterdir() for path in host.iterdir())


def check_empty_at_the_end(daemon, place, but=()):
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert procs.names_of(place) == list(but)


@pytest.mark.parametrize("mark, is_kept", [
    ("true", True), ("touch x", False), ("touch x; rm x", True), ("mkdir x", False), ("chmod 755 .", False),
    ("python3 -c 'import os; os.setxattr(\".\", \"user.x\", b\"x\")'", False), ("sleep 600 &", False), ("setsid sleep 600 &", False),
    ("cd ..; mkdir x; rmdir $TMPDIR; mv x $TMPDIR", False), ("cd ..; rmdir $TMPDIR; ln -s /tmp $TMPDIR", False), ("kill -KILL $$", True),
], ids=lambda value: value if isinstance(value, str) else None)
def test_directory_is_used_again_only_if_nothing_is_left_of_the_task(start, mark, is_kept):
    """Outside of the sandbox, where a program can do more to it."""
    with tempfile.TemporaryDirectory(prefix="wp-", dir="/var/tmp") as place:
        daemon = start(ONE + procs.handler("mark", "/bin/sh", "-c", f"pwd; {mark}", sandbox="no", crash_max=1), env={"TMPDIR": place})
        first, second = (daemon.client().run("mark")["result"]["stdout"] for _ in range(2))
        assert (first == second) == is_kept, (first, second)
        check_empty_at_the_end(daemon, place)


def test_directory_of_a_task_is_removed_with_all_that_is_in_it(start, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    place = tmp_path / "place"
    place.mkdir()
    text = f"""mkdir -p a/b/c; echo x >a/b/c/file; ln -s {outside} link; ln -s /no/where dangling; mkfifo pipe
touch -- '-rf' 'new
line'; mkdir locked; touch locked/in; chmod 000 locked; pwd"""
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", text, write_paths=""), env={"TMPDIR": str(place)})
    task = daemon.client().run("program")
    assert task["state"] == "done" and task["result"]["stdout"].startswith(str(place)), task
    assert folders_of_tasks(place) == []
    assert procs.names_of(outside) == ["kept"]
    check_empty_at_the_end(daemon, place)


def test_directory_is_removed_also_after_a_failure_and_a_time_limit(start, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    config = (ONE + procs.handler("missing", tmp_path / "missing") + procs.shell_handler(tmp_path, "crash", "touch x; kill -KILL $$", crash_max=1, write_paths="")
              + procs.shell_handler(tmp_path, "long", "touch x; exec sleep 600", write_paths=""))
    daemon = start(config, env={"TMPDIR": str(place)})
    client = daemon.client()
    assert client.run("missing")["reason"] == "start"
    assert client.run("crash")["reason"] == "crashed"
    assert client.run("long", timeout_ms=100)["reason"] == "timeout"
    assert folders_of_tasks(place) == []
    check_empty_at_the_end(daemon, place)


def test_directories_are_removed_also_when_the_host_is_killed(start, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    with procs.fifo(tmp_path) as told:
        long = procs.shell_handler(tmp_path, "long", f"touch x; echo {place} >{told.path}; exec sleep 600", on_crash="lost", sandbox="no")
        daemon = start("[pool default]\nworkers = 3\n" + long, env={"TMPDIR": str(place)})
        client = daemon.client()
        for _ in range(3):
            client.post("long")
        for _ in range(3):
            told.line()
        assert len(folders_of_tasks(place)) == 3
        os.kill(client.pool()["host_pid"], signal.SIGKILL)
        daemon.until(lambda pool: pool["host"] == "up" and pool["host_restarts"] == 1)
        deadline = time.monotonic() + DEADLINE
        for _ in daemon.watch():
            if not folders_of_tasks(place):
                break
            assert time.monotonic() < deadline, folders_of_tasks(place)
    check_empty_at_the_end(daemon, place)


def test_args_are_in_no_argument_and_no_environment(start, tmp_path):
    """Not of the program, its host, its spawner or the daemon, while it runs."""
    secret = "s3cr3t-of-a-client"
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "go") as gate:
        text = f"read args; echo \"$args\" | grep -c {secret[:6]} >{told.path}; read line <{gate.path}; tr '\\0' '\\n' </proc/$$/environ"
        daemon = start(ONE + procs.shell_handler(tmp_path, "program", text))
        client = daemon.client()
        client.send("Post", {"handler": "program", "args": {"secret": secret}, "wait": True})
        assert told.line() == ["1"]  # it has come to the program
        looked = 0
        for pid in [daemon.pid, *procs.proc.descendants(daemon.pid)]:
            assert secret.encode() not in procs.texts_of_proc(pid), procs.proc.command_line(pid)
            looked += 1
        assert looked >= 4, "daemon, host, spawner and program"
        os.write(gate.fd, b"go\n")
        task = client.recv()["task"]
    assert task["state"] == "done" and secret not in task["result"]["stdout"]
    assert secret not in daemon.stderr()
