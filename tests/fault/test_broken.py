"""A flush fails, and the store takes nothing until a restart: whoever waits is told at once, what needs no store goes on, a stop
ends, and the next start has all that was acknowledged.

Planted faults that turn it red: a commit after the flush that failed, a Wait that is not told, a stop that waits for ends that
cannot be written."""
import errno
import os

import pytest

import shim as faults
from kit import procs
from kit.client import CallError, Client
from oracle import Oracle
from test_kills import list_all
from victim import Victim


def config(folder):
    """`gate` tells that it runs, and ends when the test says so."""
    own = os.path.join(folder, "programs")
    return (f"[daemon]\nstate_dir = {folder}/state\nhistory_max = 1000000\nstop_timeout = 0\n[store]\ntype = sqlite\n"
            "[pool default]\nworkers = 2\ncapacity = 100000\n"
            + procs.shell_handler(own, "gate", f"echo out; echo runs >{own}/told; read line <{own}/gate\n"))


class Waiter:
    """A call that waits, on a connection of its own; what was told so far is left out. id: of the task that it is refused for, None: of none."""

    def __init__(self, daemon, method, params, id=None, more=False, told=0):
        self.method, self.params, self.id = method, params, id
        self.client = daemon.client()
        self.client.send(method, params, more=more)
        for _ in range(told):
            self.client.recv()

    def check_refused(self):
        reply = self.client.recv_message()
        while reply.get("continues"):  # what is left, as it changed
            reply = self.client.recv_message()
        error = CallError(reply)
        what = f"{self.method} {self.params}: {error}"
        assert error.short == "StorageFailed" and "until a restart" in error.params["reason"], what
        assert error.params.get("id") == (str(self.id) if self.id else None), what


def post(client, oracle, handler, **params):
    one = oracle.attempt(handler)
    return oracle.posted(one, {"parameters": client.call("Post", params | {"handler": handler, "name": one.name})}).id


def waits_for(daemon, active, queued, delayed, told=1):
    return [
        Waiter(daemon, "Wait", {"ids": [str(queued)]}, queued),
        Waiter(daemon, "Wait", {"ids": [str(active), str(delayed)], "timeout_ms": 86_400_000}, active),
        Waiter(daemon, "Wait", {"ids": [str(active), str(queued)]}, active, more=True),
        Waiter(daemon, "Drain", {}),
        Waiter(daemon, "Drain", {"pool": "default"}, more=True, told=told),
        Waiter(daemon, "Log", {"id": str(queued)}, queued, more=True),
        Waiter(daemon, "Events", {"kinds": ["done", "failed"]}, more=True, told=told),
    ]


@pytest.mark.parametrize("stop", ["kill", "SIGTERM", "drain", "finish", "now"])
def test_whoever_waits_is_told_when_the_store_breaks(tmp_path, tell, stop):
    own = tmp_path / "programs"
    own.mkdir()
    oracle, shim, text = Oracle(), faults.Shim(tmp_path), config(tmp_path)
    told, gate = procs.Fifo(own, "told"), procs.Fifo(own, "gate")
    daemon = Victim(text, env=shim.env)
    client = daemon.client()
    active = [post(client, oracle, "gate") for _ in range(2)]
    queued, delayed = post(client, oracle, "gate"), post(client, oracle, "gate", delay_ms=3_600_000)
    assert told.line() == told.line() == ["runs"]
    waits = waits_for(daemon, active[0], queued, delayed)
    name = oracle.attempt("gate")
    waits.append(Waiter(daemon, "Post", {"handler": "gate", "name": name.name, "wait": True}))
    daemon.until(lambda pool: pool["queued"] == 2)
    waits[-1].id = next(row["id"] for row in list_all(daemon.path) if row.get("name") == name.name)
    log = daemon.client()
    log.send("Log", {"id": str(active[1])}, more=True)
    assert log.recv()["stdout"] == "out\n"

    shim.arm(faults.SYNC, 1, errno.EIO)
    refused = oracle.attempt("noop")
    client.send("Post", {"handler": "noop", "name": refused.name})
    reply = client.recv_message()
    assert reply["error"].endswith(".StorageFailed"), reply
    oracle.posted(refused, reply)
    assert shim.disarm() == 1
    for wait in waits:
        wait.check_refused()
    for wait in waits_for(daemon, active[0], queued, delayed, told=0):  # and who comes later
        wait.check_refused()
    oracle.posted(name, {"error": "org.workpool.StorageFailed", "parameters": {"id": str(waits[-1].id)}})
    assert client.refused("Cancel", {"ids": [str(queued)]}).short == "StorageFailed"
    assert client.call("Explain", {"id": str(queued)})["waits_for"] == "store"
    assert "until a restart" in client.call("Stats")["daemon"]["store"]["error"]
    oracle.check(list_all(daemon.path), 0)
    log.expect_silence()  # its program still runs

    end(daemon, stop, gate)
    if stop != "kill":
        error = log.recv_error()
        assert error.short == "StorageFailed" and error.params["id"] == str(active[1]), error
        daemon.finish()
    daemon = Victim(text, env=shim.env)
    oracle.check(list_all(daemon.path), 0)
    assert told.line() == told.line() == ["runs"]
    with Client(daemon.path) as again:
        assert again.call("Show", {"id": str(active[0])})["task"]["attempt"] == 2
    daemon.kill()
    tell(f"{oracle.n['tried']} tried, {oracle.n['crash']} crashed, {oracle.n_lost} lost (a store that broke, then {stop}; {len(waits)} calls waited)")
    assert not oracle.wrong, "\n".join(oracle.wrong)


def end(daemon, stop, gate):
    """The daemon's end. What runs is waited for, unless it is asked to end."""
    if stop == "kill":
        daemon.kill()
        return
    if stop == "SIGTERM":
        daemon.signal(15)
    else:
        last = daemon.client()
        last.send("Shutdown", {"mode": stop})
    daemon.wait_note("STOPPING=1")
    if stop != "now":
        daemon.client().call("Stats")
        with open(gate.path, "w", encoding="ascii") as file:
            file.write("go\ngo\n")
    if stop != "SIGTERM":
        assert last.recv_error().short == "StorageFailed"
    daemon.wait_exit()
