"""Handlers of type coprocess for tests, and what can be seen of their programs."""
import os
import sys
import time

from kit import proc, procs
from kit.client import DEADLINE

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "coproc_program.py")
ONE = "[pool default]\nworkers = 1\n"


def handler(name="c", *, birth=(), command=None, **keys):
    """A section of the configuration. birth: Python that coproc_program.py runs first; command: words instead of it."""
    texts = [f"exec({text!r})" for text in birth]  # a line of the configuration holds no newline
    words = command or (sys.executable, "-IS", PROGRAM, *texts)
    if "write_paths" not in keys:
        keys.setdefault("sandbox", "no")  # it has to tell the test what it does
    return procs.handler(name, *words, type="coprocess", **keys)


def wait_for_programs(daemon, n, seconds=DEADLINE):
    """Until so many programs are below the daemon; answers their numbers."""
    deadline = time.monotonic() + seconds
    for _ in daemon.watch():
        pids = procs.task_pids(daemon)
        if len(pids) == n:
            return pids
        assert time.monotonic() < deadline, [(pid, proc.command_line(pid)) for pid in pids]
    raise AssertionError("Stats ended")


def wait_for_line(daemon, words, seconds=DEADLINE):
    """Until the daemon's log has a line with all of these; answers it."""
    deadline = time.monotonic() + seconds
    for _ in daemon.watch():
        for line in daemon.stderr().splitlines():
            if all(word in line for word in words):
                return line
        assert time.monotonic() < deadline, f"{words} are not in the log:\n{daemon.stderr()}"
    raise AssertionError("Stats ended")


def wait_gone(daemon, pid, seconds=DEADLINE):
    """Until the process is no more, not even as a zombie."""
    deadline = time.monotonic() + seconds
    for _ in daemon.watch():
        if proc.stat_fields(pid) is None:
            return
        assert time.monotonic() < deadline, f"{pid} ({proc.command_line(pid)}) is still there"
    raise AssertionError("Stats ended")
