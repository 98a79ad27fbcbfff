"""The sandbox of programs (workpoold(8), SANDBOX; reliability.md, "Who may do what"): what a program of a task could do to the
daemon, to other tasks and to the system is refused, or `wpctl status` names it as not available on this kernel."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest

from kit import acts, cli, no_landlock, proc, procs
from kit.daemon import program

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = "[pool default]\nworkers = 1\n"
NOBODY = 65534
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable  # one that every user may run
WITHOUT = {"wrapper": (PYTHON, no_landlock.__file__)}
KERNELS = {"this kernel": {}, "no landlock": WITHOUT}
USERS = {"root": 0, "nobody": NOBODY}


@pytest.fixture
def place():
    """place(name): a folder in which everybody may look up names; outside of /tmp, which is hidden as a whole."""
    with contextlib.ExitStack() as stack:
        def make(uid=None):
            path = tempfile.mkdtemp(prefix="wp-", dir="/var/tmp")
            stack.callback(shutil.rmtree, path)
            os.chmod(path, 0o755)
            if uid is not None:
                os.chown(path, uid, uid)
            return path
        yield make


@pytest.fixture
def as_nobody(place, monkeypatch):
    """The programs under test where every user may run them: the build may be in a folder that only its owner may enter."""
    folder = place()
    for name in ("workpoold", "workpool-host"):
        shutil.copy(program(name), folder)
    os.symlink(program("wpctl"), os.path.join(folder, "wpctl"))
    monkeypatch.setenv("WORKPOOL_BUILD", folder)
    return NOBODY


@pytest.fixture(params=USERS)
def uid(request, lacks):
    """The user of the daemon and its programs: root, who is refused by no mode, and one who owns what the daemon has."""
    if os.geteuid() != 0:
        if request.param == "root":
            lacks("root")
        return None
    return request.getfixturevalue("as_nobody") if USERS[request.param] else None


def write(path, text, uid=None, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    if uid is not None:
        os.chown(path, uid, uid)
    return path


def sandbox_of(client):
    return client.call("Stats")["daemon"]["sandbox"]


class Scene:
    """A daemon with everything that a program could be after, a task that runs, and one that tries."""

    def __init__(self, start, place, uid, stack, sandbox="yes", kernel="this kernel", more=""):
        self.open, state, secret = place(), place(uid), place(uid)
        program = write(os.path.join(self.open, "acts.py"), f"#!{PYTHON}\n" + open(acts.__file__, encoding="utf-8").read(), mode=0o755)
        shutil.copy("/usr/bin/id", os.path.join(self.open, "id"))
        os.chmod(os.path.join(self.open, "id"), 0o4755)
        system = place(uid)
        write(os.path.join(system, "file"), "x", uid)
        home = place(uid)
        fifo = stack.enter_context(procs.fifo(self.open))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0workpoold-test-{os.getpid()}")
        abstract.listen()
        config = (f"[daemon]\nstate_dir = {state}/store\n[store]\ntype = sqlite\n[pool default]\nworkers = 2\n"
                  + procs.handler("acts", program, open_files_max="128", sandbox=sandbox, max_output="1M")
                  + procs.handler("other", "/bin/sh", "-c", f"echo x >secret; echo $$ $PWD >{fifo.path}; exec sleep 600",
                                  write_paths=fifo.path, stdin="none") + more)
        self.daemon = start(config, uid=uid, env={"CREDENTIALS_DIRECTORY": secret, "HOME": home}, **KERNELS[kernel])
        self.client = self.daemon.client()
        self.client.post("other")
        other_pid, other = fifo.line()
        host = self.client.pool()["host_pid"]
        spawners = [pid for pid in proc.children(host) if procs.is_ours(pid)]
        self.at = {
            "store": f"{state}/store/tasks.db", "state": f"{state}/store", "config": self.daemon.config,
            "credential": write(os.path.join(secret, "mongodb-uri"), "mongodb://u:secret@h", uid), "socket": self.daemon.path,
            "spare": write(f"{state}/store/spare", "x", uid), "other": other, "other_pid": int(other_pid), "system": system,
            "home": home, "tmp": self.daemon.dir, "setuid": os.path.join(self.open, "id"), "abstract": f"workpoold-test-{os.getpid()}",
            "daemon": self.daemon.pid, "host": host, "spawner": spawners[0],
        }

    def end(self):
        self.client.call("Cancel", {"ids": ["1"]})

    def attempt(self, names):
        """{name: what came of it}"""
        task = self.client.run("acts", {"acts": list(names)} | self.at)
        assert task["state"] == "done", (task.get("error"), task.get("result"))
        return json.loads(task["result"]["stdout"])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("free", [False, True], ids=["", "beside free programs"])
def test_forbidden_acts_are_refused_or_named_as_not_available(place, start, uid, kernel, free):
    """Also where the process that starts programs must not be confined itself, for the sake of others that are free."""
    with contextlib.ExitStack() as stack:
        scene = Scene(start, place, uid, stack, kernel=kernel, more=procs.handler("free", "/bin/true", sandbox="no") if free else "")
        sandbox = sandbox_of(scene.client)
        told = scene.attempt(acts.ACTS)
        could = [name for name, how in told.items() if how["could"]]
        wrong = [f"{name} ({acts.ACTS[name][1]})" for name in could if acts.ACTS[name][1] not in sandbox["off"]]
        n = len(told)
        print(f"{n} tried, {n - len(could)} refused, {len(could)} not available: {', '.join(could)}")
        assert not wrong, f"done though the kernel has what refuses it: {wrong}"
        # No act failed for want of what it acts on.
        vain = {name: how for name, how in told.items() if not how["could"] and how["errno"] not in ("EPERM", "EACCES", "EXDEV")}
        assert not vain, vain
        assert sandbox["landlock"] > 0 and n - len(could) >= 90 or "files" in sandbox["off"] and n - len(could) >= 10
        assert scene.client.run("echo", {"still": "up"})["state"] == "done"
        scene.end()


def test_acts_can_be_done_without_the_sandbox(place, start, lacks):
    """So that a refusal is the sandbox's, and not the act's. As root, whom nothing else stops; those of acts that only privileges
    forbid are left out: some would change this system."""
    if os.geteuid() != 0:
        lacks("root")
    with contextlib.ExitStack() as stack:
        scene = Scene(start, place, None, stack, sandbox="no")
        told = scene.attempt(name for name, (_, feature) in acts.ACTS.items() if feature)
        refused = {name: how for name, how in told.items() if not how["could"]}
        refused = {name: how for name, how in refused.items() if how["errno"] != "EXDEV"}  # where /tmp is a file system of its own
        assert set(refused) <= {"reads_raw_disk"}, refused
        print(f"{len(told)} tried, {len(told) - len(refused)} done")
        scene.end()


def test_what_programs_need_is_there(place, start, uid):
    """Its directory, devices, libraries, /proc of its own, its children; TMPDIR is where it may write."""
    text = r"""
set -e
umask 022
echo x >file; mkdir -p a/b; mv file a/b/; ln -s a link; ln a/b/file a/hard; mkfifo pipe; rm -r a link pipe
cat /dev/stdin; echo x >/dev/stdout; echo x >/dev/stderr; echo x >/dev/fd/2
echo x >/dev/null; head -c 4 /dev/zero /dev/urandom >/dev/null
test "$TMPDIR" = "$PWD"; t=$(mktemp); echo x >"$t"; chmod 700 "$t"
cp /bin/true run; ./run
cat /etc/passwd /proc/self/status >/dev/null; ls /usr /etc /proc/self/fd >/dev/null
sleep 600 & kill $!; wait $! || test $? = 143
python3 -c 'import subprocess, socket, tempfile, threading
a, b = socket.socketpair(); tempfile.TemporaryFile().write(b"x"); subprocess.run(["true"], check=True)
s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect("sock")
t = threading.Thread(target=print); t.start(); t.join()'
ulimit -n 32
echo fine"""
    script = write(os.path.join(place(), "need.sh"), text, mode=0o755)
    task = start(ONE + procs.handler("need", "/bin/sh", script), uid=uid).client().run("need")
    assert task["state"] == "done" and task["result"]["stdout"].endswith("fine\n"), task


@pytest.mark.short
def test_write_paths_may_be_written_and_nothing_beside_them(place, start):
    top = place()
    for name in ("one", "two words", "three"):
        os.mkdir(os.path.join(top, name))
    write(os.path.join(top, "file"), "")
    write(os.path.join(top, "other"), "")
    text = "for f in one/x 'two words/x' three/x file other; do echo y >>\"$f\" && echo \"$f\"; done"
    daemon = start(ONE + procs.handler("writes", "/bin/sh", "-c", f"cd {top}; {text}", write_paths=f"{top}/one '{top}/two words' {top}/file"))
    task = daemon.client().run("writes")
    assert task["result"]["stdout"].splitlines() == ["one/x", "two words/x", "file"], task["result"]


def test_working_directory_is_writable(place, start):
    top = place()
    task = start(ONE + procs.handler("writes", "/bin/sh", "-c", "echo x >x && echo $TMPDIR", working_directory=top)).client().run("writes")
    assert task["result"]["stdout"] == top + "\n" and os.listdir(top) == ["x"]


def test_root_as_working_directory_makes_nothing_writable(place, start):
    top = place()
    task = start(ONE + procs.handler("writes", "/bin/sh", "-c", f"pwd; echo ${{TMPDIR-none}}; echo x >{top}/x", working_directory="/")).client().run("writes")
    assert task["result"]["stdout"] == "/\nnone\n" and task["result"]["exit"] != 0 and os.listdir(top) == []


def test_sandbox_no_leaves_files_signals_and_privileges(place, start):
    top = place()
    text = f"echo x >{top}/x && kill -WINCH $PPID && ls / >/dev/null && grep -h ^Cap.*: /proc/self/status | sort >{top}/mine && echo fine"
    daemon = start(ONE + procs.handler("free", "/bin/sh", "-c", text, sandbox="no"))
    task = daemon.client().run("free")
    assert task["result"]["stdout"] == "fine\n", task
    with open("/proc/self/status", encoding="utf-8") as file:
        own = sorted(line for line in file if line.startswith("Cap"))
    with open(f"{top}/mine", encoding="utf-8") as file:
        assert file.readlines() == own


@pytest.mark.short
@pytest.mark.parametrize("key", ["working_directory", "write_paths"])
def test_writable_path_that_holds_the_daemons_own_is_refused_at_the_start(start, key):
    daemon = start(procs.handler("x", "/bin/true", **{key: "/tmp"}), ready=False)
    daemon.expect_status = 78
    assert daemon.wait_exit() == 78
    assert "[handler x] /tmp holds /tmp, which no program may see" in daemon.stderr()


def test_what_is_replaced_or_comes_later_is_seen(place, start):
    """Beside the daemon's own files: rulesets know files, not names."""
    top = place()
    os.mkdir(f"{top}/state")
    write(f"{top}/data", "old\n", mode=0o644)
    config = f"[daemon]\nstate_dir = {top}/state\n[store]\ntype = sqlite\n" + ONE
    daemon = start(config + procs.handler("read", "/bin/sh", "-c", f"cat {top}/data {top}/new; cat {top}/state/tasks.db"))
    client = daemon.client()
    for n in range(5):
        write(f"{top}/data.new", f"{n}\n", mode=0o644)
        os.rename(f"{top}/data.new", f"{top}/data")
        result = client.run("read")["result"]
        assert result["stdout"] == f"{n}\n" + ("new\n" if n else ""), result
        assert "tasks.db: Permission denied" in result["stderr"]
        write(f"{top}/new", "new\n", mode=0o644)


def test_directory_is_used_again_only_if_nothing_is_left_of_the_task(start):
    """And with it the ruleset, in which it is: tasks that leave nothing have one after the other, those that do one each."""
    daemon = start(ONE + procs.handler("clean", "/bin/sh", "-c", "pwd; echo x >x; rm x") + procs.handler("messy", "/bin/sh", "-c", "pwd; ls; echo x >x"))
    client = daemon.client()
    clean = {client.run("clean")["result"]["stdout"] for _ in range(10)}
    messy = {client.run("messy")["result"]["stdout"] for _ in range(10)}
    assert len(clean) == 1 and len(messy) == 10 and all(told.count("\n") == 1 for told in messy)


def test_mount_that_comes_later_is_seen(place, start, lacks):
    top = place()
    os.mkdir(f"{top}/state")
    os.mkdir(f"{top}/mnt")
    config = f"[daemon]\nstate_dir = {top}/state\n[store]\ntype = sqlite\n" + ONE
    daemon = start(config + procs.handler("read", "/bin/cat", f"{top}/mnt/file"))
    client = daemon.client()
    assert client.run("read")["state"] == "failed"
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{top}/mnt"], check=False).returncode != 0:
        lacks("mount(8)")
    try:
        write(f"{top}/mnt/file", "mounted\n")
        assert client.run("read")["result"]["stdout"] == "mounted\n"
    finally:
        subprocess.run(["umount", f"{top}/mnt"], check=True)


@pytest.mark.short
@pytest.mark.parametrize("kernel", KERNELS)
def test_status_names_what_the_kernel_has(start, kernel):
    daemon = start(ONE + procs.handler("true", "/bin/true"), **KERNELS[kernel])
    assert daemon.client().run("true")["state"] == "done"
    sandbox = sandbox_of(daemon.client())
    assert set(sandbox["on"]).isdisjoint(sandbox["off"]) and "sockets by path" in sandbox["off"]
    assert {name for _, name in acts.ACTS.values() if name} <= set(sandbox["on"]) | set(sandbox["off"])
    text = cli.run(daemon.path, "status").stdout
    how = f"landlock {sandbox['landlock']}" if sandbox["landlock"] else "no landlock"
    assert sandbox["landlock"] == 0 or kernel == "this kernel"
    assert ("files" in sandbox["on"]) == (sandbox["landlock"] > 0) and "limits" in sandbox["on"]
    assert f"sandbox\t{how} ({', '.join(sandbox['on'])})\n" in text
    assert f"not_available\t{', '.join(sandbox['off'])}\n" in text


def test_task_of_a_user_of_its_own_has_no_role_in_a_service(place, start, lacks, request):
    """What connects_to_the_socket comes to: with [access] configured, nothing."""
    if os.geteuid() != 0:
        lacks("root")
    nobody = request.getfixturevalue("as_nobody")
    top = place()
    text = """import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(json.load(sys.stdin)["socket"])
s.sendall(b'{"method":"org.workpool.Stats"}\\n')
print(s.makefile().readline())
"""
    script = write(os.path.join(top, "call.py"), text, mode=0o755)
    daemon = start("[access]\nadmin = root\n" + ONE + procs.handler("call", PYTHON, script), uid=nobody)
    told = json.loads(daemon.client().run("call", {"socket": daemon.path})["result"]["stdout"])
    assert told["error"] == "org.varlink.service.PermissionDenied", told
