"""Programs for handlers of type exec, and what is left of them: children that tell of themselves through a FIFO, and a look at
everything that runs below a daemon."""
import contextlib
import os
import select
import shlex
import stat
import time

from kit import proc
from kit.client import DEADLINE, Timeout, remaining


def handler(name, *words, type="exec", **keys):  # pylint: disable=redefined-builtin
    """A section of the configuration: a handler that runs this command."""
    lines = [f"[handler {name}]", f"type = {type}", "command = " + " ".join(shlex.quote(str(word)) for word in words)]
    return "\n".join(lines + [f"{key} = {value}" for key, value in keys.items()]) + "\n"


def script(directory, name, text, interpreter="/bin/sh"):
    """An executable file; answers its path."""
    path = os.path.join(os.fspath(directory), name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!{interpreter}\n{text}")
    os.chmod(path, 0o755)
    return path


def shell_handler(directory, name, text, **keys):
    """A shell's text, in a file in this directory, in which it may write, too: it has to tell the test what it does."""
    if "sandbox" not in keys:
        keys.setdefault("write_paths", shlex.quote(os.fspath(directory)))
    return handler(name, script(directory, name + ".sh", text), **keys)


class Fifo:
    """Where children say words, a line each: echo ready $$ >"$fifo". Opening it never blocks a child."""

    def __init__(self, directory, name="fifo"):
        self.path = os.path.join(os.fspath(directory), name)
        os.mkfifo(self.path, 0o622)
        os.chmod(self.path, 0o622)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.bytes = b""

    def close(self):
        os.close(self.fd)

    def line(self, seconds=DEADLINE):
        """The next line, as a list of words."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.bytes:
            if not select.select([self.fd], [], [], remaining(deadline))[0]:
                raise Timeout(f"no child said anything; in hand: {self.bytes!r}")
            self.bytes += os.read(self.fd, 65536)
        line, self.bytes = self.bytes.split(b"\n", 1)
        return line.decode().split()

    def pids(self, n, seconds=DEADLINE):
        """From n lines "role pid": {role: pid}."""
        said = [self.line(seconds) for _ in range(n)]
        return {role: int(pid) for role, pid in said}


@contextlib.contextmanager
def fifo(directory, name="fifo"):
    one = Fifo(directory, name)
    try:
        yield one
    finally:
        one.close()


def command_name(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return "(gone)"


def is_ours(pid):
    """One of workpoold's own processes: hosts, and their spawners."""
    try:
        target = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False
    return target.split(" ")[0] in ("workpoold", "workpool-host")


def host_pids(daemon):
    """The host processes, direct children of the daemon."""
    return [pid for pid in proc.children(daemon.pid) if proc.is_alive(pid)]


def task_pids(daemon):
    """Everything below the daemon that is no process of its own: programs of tasks and what these started."""
    return [pid for pid in proc.descendants(daemon.pid) if proc.is_alive(pid) and not is_ours(pid)]


def all_gone(pids, until):
    """Waits until all of these have ended, at most until this time; answers those that live on."""
    return [pid for pid in pids if not proc.wait_gone(pid, max(0.0, until - time.monotonic()))]


def check_gone(pids, until, what):
    left = all_gone(pids, until)
    told = [(pid, proc.command_line(pid), (proc.stat_fields(pid) or ["gone"])[0]) for pid in left]
    assert not left, f"{what}: {told} live on"


def check_none_left(daemon, until):
    """No program of a task runs, also none that was started meanwhile."""
    while left := task_pids(daemon):
        check_gone(left, until, "programs of tasks")


def names_of(directory):
    return sorted(os.listdir(directory))


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def texts_of_proc(pid):
    """What others can read about a process: its arguments and environment, as bytes."""
    found = b""
    for name in ("cmdline", "environ", "comm"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                found += file.read() + b"\0"
    return found
