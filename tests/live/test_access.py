"""Who may do what (reliability.md): role x every method of the interface description, own and others' tasks, payloads, `allow`.
Roles come from the kernel: a child process of another user connects and hands the connection over (client.connect_as)."""
import grp
import os
import pwd
import signal
import stat

import pytest

from kit.client import Client, connect_as, encode_call
from kit.idl import SERVICE

pytestmark = [pytest.mark.short]
ORDER = ("none", "read", "post", "admin")
USERS = {"none": "nobody", "read": "bin", "post": "daemon", "admin": "sys"}
ACCESS = "[access]\nadmin = root, sys\npost = daemon, @games\nread = bin, @users\n[pool default]\nworkers = 1\n"
MINUTE = {"ms": 60000}

# The least that each method takes. A method without a row here fails test_every_method_is_in_the_matrix.
PARAMS = {
    SERVICE + ".GetInfo": {}, SERVICE + ".GetInterfaceDescription": {"interface": "org.workpool"},
    "org.workpool.Post": {"handler": "noop"}, "org.workpool.Stats": {}, "org.workpool.Handlers": {},
    "org.workpool.Show": {"id": "999"}, "org.workpool.List": {}, "org.workpool.Wait": {"ids": ["999"]},
    "org.workpool.Resize": {"workers": 1}, "org.workpool.Pause": {}, "org.workpool.Resume": {},
    "org.workpool.Drain": {"timeout_ms": 0}, "org.workpool.ResetMarks": {}, "org.workpool.Shutdown": {"mode": "now"},
}


@pytest.fixture(autouse=True)
def only_root(lacks):
    if os.geteuid() != 0:
        lacks("only root can connect as other users")
    try:
        for name in USERS.values():
            pwd.getpwnam(name)
        for name in ("games", "users"):
            grp.getgrnam(name)
    except KeyError as error:
        lacks(str(error))


def client_of(daemon, user, groups=(), **options):
    row = pwd.getpwnam(user)
    return daemon.client_as(row.pw_uid, row.pw_gid, [grp.getgrnam(name).gr_gid for name in groups], **options)


def is_denied(message):
    return message.get("error") == SERVICE + ".PermissionDenied"


def test_every_method_is_in_the_matrix(start):
    daemon = start(ACCESS)
    daemon.client()
    assert set(daemon.interfaces.members("method")) == set(PARAMS)
    assert {daemon.interfaces.role_of(method) for method in PARAMS} == {"read", "post", "admin"}


@pytest.mark.parametrize("role", ORDER)
@pytest.mark.parametrize("flag", [None, "more", "oneway"])
def test_role_may_call_what_the_description_says_and_nothing_else(start, role, flag):
    """All methods on one connection a method; Shutdown only where it is to be denied."""
    daemon = start(ACCESS)
    daemon.client()
    for method, params in PARAMS.items():
        may = ORDER.index(role) >= ORDER.index(daemon.interfaces.role_of(method))
        if may and method.endswith("Shutdown"):
            continue
        client = client_of(daemon, USERS[role])
        client.send(method, params, **({flag: True} if flag else {}))
        if flag == "oneway":
            client.send("Nothing.There")
            client.recv_error()
            client.expect_silence()
        else:
            message = client.recv_message()
            assert is_denied(message) != may, f"{role} {method}: {message}"
            assert may or message["parameters"] == {}, "it tells nothing"
        client.close()
    pool = daemon.client().pool()
    assert pool["paused"] is False
    assert pool["posted"] == (1 if role in ("post", "admin") else 0)


def test_admin_may_shut_down(start):
    daemon = start(ACCESS)
    client = client_of(daemon, USERS["admin"])
    assert client.call("Shutdown", {"mode": "now"})["active"] == 0
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("data", [
    encode_call("Post", {}), encode_call("Nothing"), encode_call("org.nobody.X"), encode_call("Stats", {"pool": "nowhere"}),
    encode_call("Post", {"handler": "nobody"}), encode_call("Show", {"id": "1"}), b"garbage\0", b"{}\0", b'{"a":1,"a":2}\0',
    encode_call("Stats", {}, more=True), encode_call("Stats", {}, upgrade=True)])
def test_without_a_role_every_call_gets_the_same_answer(start, data):
    daemon = start(ACCESS)
    client = client_of(daemon, USERS["none"])
    client.send_raw(data, expect=[None])
    message = client.recv_message()
    assert is_denied(message) and message["parameters"] == {}


@pytest.mark.parametrize("user,groups,role", [
    ("nobody", [], None), ("nobody", ["users"], "read"), ("nobody", ["games"], "post"), ("nobody", ["users", "games"], "post"),
    ("bin", [], "read"), ("bin", ["games"], "post"), ("daemon", ["users"], "post"), ("sys", [], "admin"),
    ("games", [], "post"), ("www-data", ["daemon", "bin", "sys"], None)])
def test_role_comes_from_user_primary_group_and_supplementary_groups(start, user, groups, role):
    client = client_of(start(ACCESS), user, groups)
    if role is None:
        assert client.refused("Stats").short == "PermissionDenied"
    else:
        about = client.call("Stats")["daemon"]
        assert (about["role"], about["uid"]) == (role, pwd.getpwnam(user).pw_uid)


def test_without_access_root_is_admin_and_others_may_post(start):
    daemon = start("[pool default]\nworkers = 1\n")
    assert daemon.client().call("Stats")["daemon"]["role"] == "admin"
    client = client_of(daemon, "nobody")
    assert client.call("Stats")["daemon"]["role"] == "post"
    assert client.run("noop")["owner"] == pwd.getpwnam("nobody").pw_uid
    assert client.refused("Pause").short == "PermissionDenied"


def test_own_user_has_no_role_with_access_unless_it_is_named(start):
    """A service's children run as its user; root that runs it is no exception."""
    daemon = start("[access]\npost = daemon\n", ready=False)
    daemon.wait_note("READY=1")
    with daemon_client(daemon) as client:
        client.send("Stats")
        assert is_denied(client.recv_message())
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def daemon_client(daemon):
    """A client that cannot ask for the interfaces: its role says nothing."""
    return Client(daemon.path)


@pytest.fixture
def two(start):
    """A daemon in which `daemon` posted a task with a payload that runs, one that ended and one that failed."""
    server = start(ACCESS.replace("workers = 1", "workers = 2"))
    owner = client_of(server, "daemon")
    owner.run("echo", {"secret": "number"}, name="ended")
    owner.run("fail", {"error": "secret reason"}, name="failed")
    owner.post("sleep", MINUTE, name="running")
    return server, owner


@pytest.mark.parametrize("user,groups,sees", [
    ("daemon", [], True), ("sys", [], True), ("bin", [], False), ("games", [], False), ("nobody", ["users"], False)])
def test_payloads_are_for_the_owner_and_admins(two, user, groups, sees):
    server, _ = two
    client = client_of(server, user, groups)
    ended, failed, running = (client.call("Show", {"id": i})["task"] for i in "123")
    for task in (ended, failed, running):
        assert ("args" in task) == sees
    assert ("result" in ended) == sees and ("error" in failed) == sees
    assert ended["name"] == "ended" and failed["reason"] == "failed"
    for task in client.call("List")["tasks"]:
        assert not {"args", "result"} & set(task)
        assert sees or "error" not in task


@pytest.mark.parametrize("user,groups,may", [
    ("daemon", [], True), ("sys", [], True), ("bin", [], False), ("games", [], False), ("nobody", ["users"], False)])
def test_wait_is_for_own_tasks_and_admins(two, user, groups, may):
    server, _ = two
    client = client_of(server, user, groups)
    client.send("Wait", {"ids": ["1", "2"]})
    message = client.recv_message()
    assert is_denied(message) != may
    if may:
        assert message["parameters"]["tasks"][0]["result"] == {"secret": "number"}


def test_one_task_of_others_denies_the_whole_wait(two):
    server, _ = two
    other = client_of(server, "games")
    mine = other.post("noop")["id"]
    assert other.refused("Wait", {"ids": [mine, "1"]}).short == "PermissionDenied"
    assert other.call("Wait", {"ids": [mine]})["tasks"][0]["id"] == mine


def test_list_mine_and_owner(two):
    server, owner = two
    other = client_of(server, "games")
    other.run("noop")
    assert [task["owner"] for task in other.call("List")["tasks"]] == [1, 1, 1, 5]
    assert [task["owner"] for task in other.call("List", {"mine": True})["tasks"]] == [5]
    assert len(owner.call("List", {"mine": True})["tasks"]) == 3


ALLOW = ACCESS + "[handler echo]\nallow = daemon, @games\n[handler sleep]\nallow = bin\n"


@pytest.mark.parametrize("user,groups,handler,may", [
    ("daemon", [], "echo", True), ("games", [], "echo", True), ("nobody", ["games"], "echo", True), ("sys", [], "echo", True),
    ("daemon", [], "sleep", False), ("games", [], "sleep", False), ("sys", [], "sleep", True), ("bin", [], "sleep", False),
    ("daemon", [], "noop", True), ("bin", [], "noop", False), ("nobody", ["users"], "echo", False)])
def test_handler_that_is_allowed_to_some(start, user, groups, handler, may):
    """`allow` narrows what a role may; it gives none."""
    daemon = start(ALLOW)
    client = client_of(daemon, user, groups)
    args = {"ms": 0} if handler == "sleep" else {}
    client.send("Post", {"handler": handler, "args": args, "wait": True})
    message = client.recv_message()
    assert is_denied(message) != may, message
    # What is wrong with the args is told to nobody who may not post anyway.
    if not may:
        assert client.refused("Post", {"handler": handler, "args": {"bad": 1}}).short == "PermissionDenied"


def test_role_is_taken_when_the_connection_is_made(start):
    """A connection that root made stays root's, whoever holds it."""
    daemon = start(ACCESS)
    client = client_of(daemon, "nobody")
    assert client.refused("Stats").short == "PermissionDenied"
    assert client.refused("Stats").short == "PermissionDenied"
    assert daemon.client().call("Stats")["daemon"]["role"] == "admin"


def test_socket_is_for_owner_and_group_only(start):
    daemon = start()
    assert stat.S_IMODE(os.stat(daemon.path).st_mode) == 0o660
    with pytest.raises(PermissionError):
        connect_as(daemon.path, 65534, 65534)


@pytest.mark.parametrize("lists,word", [
    ("admin = nobody-here", 'there is no user "nobody-here"'), ("post = root, @nobody-here", 'there is no group "nobody-here"')])
def test_unknown_user_or_group_keeps_the_daemon_from_starting(workpoold, tmp_path, lists, word):
    config = tmp_path / "conf"
    config.write_text(f"[access]\n{lists}\n")
    config.chmod(0o600)
    done = workpoold("--config", config, "--socket", tmp_path / "s")
    assert done.returncode == 78 and word in done.stderr and done.stderr.count("\n") == 1
