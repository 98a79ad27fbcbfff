"""The one fixture of the live tests: `start(configuration)` starts a daemon of the test's own (kit/daemon.py). At the end each
one must have right numbers and its old descriptors, end by SIGTERM with status 0, and leave no process behind.

    WORKPOOL_BUILD   folder of workpoold and workpool-host (default: the current one)
    CI=true          a test that cannot run here fails instead of being skipped
"""
import os
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from kit import proc  # noqa: E402
from kit.daemon import Daemon, program, run_workpoold  # noqa: E402


def pytest_configure(config):
    proc.become_subreaper()
    if os.getpgrp() <= 1:  # in a PID namespace: no signal can be sent to that group alone, kill(2) takes 0 and -1 for others
        os.setpgid(0, 0)
    # nohup(1) and shells' background jobs leave signals ignored, which every program would inherit.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def skip_loudly(why):
    """For what this machine lacks: a skip for a person, a failure in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI this is no reason to skip: {why}")
    pytest.skip(why)


@pytest.fixture
def lacks():
    return skip_loudly


def end_all(daemons, known):
    """Every daemon gets its end, also when an earlier one's was wrong."""
    errors = []
    for daemon in reversed(daemons):
        try:
            daemon.finish()
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)
    strays = proc.take_orphans(known)
    if strays:
        errors.append(AssertionError(f"processes were left behind: {strays}"))
    if errors:
        raise errors[0]


@pytest.fixture
def start():
    """start(configuration text, env=…, args=…): a daemon that is ready."""
    daemons = []
    known = set(proc.children(os.getpid()))

    def start_one(config="", **options):
        ready = options.pop("ready", True)
        daemon = Daemon(config, ready=False, **options)
        daemons.append(daemon)
        if ready:
            daemon.wait_ready()
        return daemon

    yield start_one
    end_all(daemons, known)


@pytest.fixture(scope="session")
def has_exec():
    """Tests of the exec handler: a host that lacks it says so at its start."""
    with open(os.devnull, "rb") as null:
        text = subprocess.run(["grep", "-c", "h_exec\\|working_directory", program("workpool-host")], stdin=null,
                              capture_output=True, text=True, check=False).stdout
    if text.strip() in ("", "0"):
        skip_loudly("this workpool-host has no exec handler")


@pytest.fixture
def workpoold():
    """Runs the daemon's program with arguments, for starts that fail."""
    return run_workpoold
