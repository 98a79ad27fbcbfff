"""Faults of the store, from outside: kills, system-call traces, full disks, calls that fail. The live tests' kit and fixtures; each
test prints "N tried, n crashed, n lost".

    FAULT_KILLS   kills of the daemon (default 60)
    FAULT_NTH     up to which call each kind of failure goes (default 60); FAULT_STEP: only each so-many-th of them (default 1)
    FAULT_SEED    of what is random; printed
"""
import importlib.util
import os
import random
import sys

import pytest

LIVE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "live")
sys.path[:0] = [LIVE, os.path.dirname(os.path.abspath(__file__))]

import victim  # noqa: E402

_spec = importlib.util.spec_from_file_location("live_conftest", os.path.join(LIVE, "conftest.py"))
live_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(live_conftest)

pytest_configure = live_conftest.pytest_configure
start = live_conftest.start
lacks = live_conftest.lacks


@pytest.fixture(autouse=True)
def no_survivors():
    yield
    victim.end_all()


@pytest.fixture
def dice():
    seed = os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def tell(capfd):
    """Prints past pytest, so that figures stand in a record of a run that passed."""
    def say(text):
        with capfd.disabled():
            print(f"\n      {text}", flush=True)
    return say
