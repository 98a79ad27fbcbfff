"""Conformance: clients that nobody here wrote work unchanged. PyPI varlink: introspection, calls, errors, more; its command line."""
import json
import shutil
import subprocess
import sys

import pytest
import varlink

from kit.client import DEADLINE

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"


@pytest.fixture
def opened(start):
    """open(interface): a varlink connection of a daemon, and the daemon."""
    daemon = start(ONE)
    client = varlink.Client.new_with_address(f"unix:{daemon.path}")
    connections = []

    def open_interface(name="org.workpool"):
        connections.append(client.open(name))
        return connections[-1]

    open_interface.daemon, open_interface.client = daemon, client
    yield open_interface
    for connection in connections:
        connection.close()
    client.cleanup()


def test_introspection(opened):
    with opened("org.varlink.service") as service:
        info = service.GetInfo()
        assert info["vendor"] and info["product"] == "workpoold" and info["version"]
        assert set(info["interfaces"]) == {"org.varlink.service", "org.workpool"}
        for name in info["interfaces"]:
            text = service.GetInterfaceDescription(name)["description"]
            interface = varlink.Interface(text)
            assert interface.name == name and interface.members
    opened.client.get_interfaces()
    assert opened.client.get_interface("org.workpool").name == "org.workpool"


def test_standard_interface_has_the_standard_s_members(opened):
    with opened("org.varlink.service") as service:
        text = service.GetInterfaceDescription("org.varlink.service")["description"]
    members = varlink.Interface(text).members
    assert {"GetInfo", "GetInterfaceDescription", "InterfaceNotFound", "MethodNotFound", "MethodNotImplemented",
            "InvalidParameter"} <= set(members)
    assert list(members["GetInfo"].out_type.fields) == ["vendor", "product", "version", "url", "interfaces"]


def test_every_member_is_described(opened):
    """Each method and error of our interface has words for people in front of it."""
    with opened("org.varlink.service") as service:
        interface = varlink.Interface(service.GetInterfaceDescription("org.workpool")["description"])
    for name, member in interface.members.items():
        assert member.doc.strip(), name


def test_calls_by_position_and_by_name(opened):
    with opened() as pool:
        posted = pool.Post(handler="echo", args={"x": 1}, wait=True)
        assert posted["task"]["result"] == {"x": 1} and posted["state"] == "done"
        assert pool.Post("noop")["id"] == "2"
        assert pool.Resize(workers=3)["workers"] == 3
        assert pool.Stats()["pools"][0]["workers"] == 3
        pool.Pause()
        assert pool.Stats()["pools"][0]["paused"] is True
        assert pool.Show("1")["task"]["id"] == "1"


def test_calls_with_names_as_attributes(opened):
    with opened.client.open("org.workpool", namespaced=True) as pool:
        assert pool.Stats().daemon.state == "running"
        assert pool.Handlers().handlers[0].name


def test_errors_are_raised_with_their_parameters(opened):
    with opened() as pool:
        with pytest.raises(varlink.VarlinkError) as error:
            pool.Post(handler="nobody")
        assert error.value.error() == "org.workpool.NoSuchHandler"
        assert error.value.parameters() == {"handler": "nobody"}
        with pytest.raises(varlink.VarlinkError) as error:
            pool.Resize(pool="nowhere", workers=1)
        assert error.value.parameters() == {"pool": "nowhere"}
        with pytest.raises(varlink.InvalidParameter):
            pool.Post(handler="sleep")
        pool._send_message(json.dumps({"method": "org.workpool.Nothing"}).encode())
        with pytest.raises(varlink.VarlinkError) as error:
            pool._next_varlink_message()
        assert error.value.error() == "org.varlink.service.MethodNotFound"
        assert pool.Post(handler="noop")["id"]


def test_more(opened):
    with opened() as watch:
        ticks = watch.Stats(_more=True, interval_ms=10)
        for _ in range(4):
            assert next(ticks)["pools"][0]["name"] == "default"
    with opened() as pool:
        ids = [pool.Post(handler="sleep", args={"ms": 20})["id"] for _ in range(3)]
        assert [reply["task"]["id"] for reply in pool.Wait(ids, _more=True)] == ids
        assert [reply["drained"] for reply in pool.Drain(_more=True)][-1] is True


def test_oneway(opened):
    with opened() as pool:
        pool.Post(handler="noop", name="quiet", _oneway=True)
        assert pool.List(name="quiet")["tasks"][0]["name"] == "quiet"


def test_shutdown(opened):
    with opened() as pool:
        assert list(pool.Shutdown(mode="now", _more=True))[-1]["active"] == 0
    assert opened.daemon.wait_exit() == 0


def run_tool(*args):
    return subprocess.run([sys.executable, "-m", "varlink.cli", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE * 3, check=False)


def test_command_line(start):
    daemon = start(ONE)
    address = f"unix:{daemon.path}"
    done = run_tool("info", address)
    assert done.returncode == 0 and "org.workpool" in done.stdout, done.stderr
    done = run_tool("help", f"{address}/org.workpool")
    assert done.returncode == 0 and "method Post(" in done.stdout, done.stderr
    done = run_tool("call", f"{address}/org.workpool.Post", json.dumps({"handler": "echo", "args": {"x": 1}, "wait": True}))
    assert done.returncode == 0 and json.loads(done.stdout)["task"]["result"] == {"x": 1}, done.stderr
    done = run_tool("call", f"{address}/org.workpool.Post", json.dumps({"handler": "nobody"}))
    assert "NoSuchHandler" in done.stderr + done.stdout


def test_socat_and_a_line(start, lacks):
    """Newline mode is there for people: one line in, one line out, end of input, end."""
    if not shutil.which("socat"):
        lacks("socat is not installed")
    daemon = start(ONE)
    text = '{"method":"org.workpool.Post","parameters":{"handler":"sleep","args":{"ms":600},"wait":true}}\n'
    done = subprocess.run(["socat", "-t", str(DEADLINE), "-", f"UNIX-CONNECT:{daemon.path}"], input=text * 1, capture_output=True,
                          text=True, timeout=DEADLINE * 2, check=False)
    assert json.loads(done.stdout)["parameters"]["state"] == "done" and done.stdout.endswith("\n")
