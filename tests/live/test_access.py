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
    "org.workpool.Explain": {"id": "999"}, "org.workpool.Cancel": {"ids": ["999"]}, "org.workpool.Retry": {"ids": ["999"]},
    "org.workpool.Log": {"id": "999"},
    "org.workpool.Events": {}, "org.workpool.Config": {}, "org.workpool.Reload": {"dry_run": True},
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


def outcomes(client, method, ids="1234"):
    """What became of each id; where all are denied or unknown, nothing has happened."""
    return [row["result"] for row in client.call(method, {"ids": list(ids)})["tasks"]]


@pytest.mark.parametrize("user,groups,may", [
    ("daemon", [], True), ("sys", [], True), ("bin", [], None), ("games", [], False), ("nobody", ["users"], None)])
def test_cancel_and_retry_are_for_own_tasks_and_admins(two, user, groups, may):
    """may: True: what the owner may; False: of others nothing; None: not even of the role."""
    server, owner = two
    client = client_of(server, user, groups)
    if may is None:
        for method in ("Cancel", "Retry"):
            assert client.refused(method, {"ids": ["1"]}).short == "PermissionDenied"
        assert client.refused("Cancel", {"handler": "sleep"}).short == "PermissionDenied"
        return
    if not may:
        for method in ("Cancel", "Retry"):
            reply = client.call(method, {"ids": list("1234")})
            assert [row["result"] for row in reply["tasks"]] == ["denied"] * 3 + ["unknown"]
            assert not any("was" in row for row in reply["tasks"]), "it tells nothing"
        assert client.call("Cancel", {"handler": "sleep"}) == {"cancelled": 0, "asked": 0}
        assert owner.call("Show", {"id": "3"})["task"]["state"] == "active"
        return
    assert outcomes(client, "Cancel") == ["ended", "ended", "asked", "unknown"]
    assert owner.call("Wait", {"ids": ["3"]})["tasks"][0]["reason"] == "cancelled"
    assert outcomes(client, "Retry") == ["done", "queued", "queued", "unknown"]
    assert owner.call("Wait", {"ids": ["2"]})["tasks"][0]["attempt"] == 2
    assert client.call("Cancel", {"handler": "sleep", "state": "active"}) == {"cancelled": 0, "asked": 1}


@pytest.mark.parametrize("user,groups,may", [
    ("daemon", [], True), ("sys", [], True), ("bin", [], False), ("games", [], False), ("nobody", ["users"], False)])
@pytest.mark.parametrize("more", [False, True])
def test_log_is_for_own_tasks_and_admins(two, user, groups, may, more):
    """Of tasks that ended, failed and run."""
    server, _ = two
    for task, state in (("1", "done"), ("2", "failed"), ("3", "active")):
        client = client_of(server, user, groups)
        client.send("Log", {"id": task}, more=more)
        message = client.recv_message()
        assert is_denied(message) != may
        assert message["parameters"].get("state") == (state if may else None)


def test_cancel_by_filter_leaves_others_tasks(two):
    server, owner = two
    other = client_of(server, "games")
    mine = [other.post("sleep", MINUTE)["id"] for _ in range(3)]
    assert other.call("Cancel", {"handler": "sleep"}) == {"cancelled": 2, "asked": 1}
    assert [task["reason"] for task in other.call("Wait", {"ids": mine})["tasks"]] == ["cancelled"] * 3
    assert owner.call("Show", {"id": "3"})["task"]["state"] == "active"
    assert client_of(server, "sys").call("Cancel", {"pool": "default"}) == {"cancelled": 0, "asked": 1}


@pytest.mark.parametrize("user,sees", [("daemon", True), ("sys", True), ("games", False), ("bin", False)])
def test_explain_is_for_all_and_unique_keys_for_the_owner(two, user, sees):
    server, owner = two
    owner.post("sleep", MINUTE)
    task = owner.post("sleep", MINUTE, unique="secret")["id"]
    client = client_of(server, user)
    assert client.call("Explain", {"id": task})["waits_for"] == "workers"
    assert ("unique" in client.call("Show", {"id": task})["task"]) == sees


def test_unique_keys_are_each_users_own(two):
    server, owner = two
    other = client_of(server, "games")
    first = owner.post("sleep", MINUTE, unique="k")
    second = other.post("sleep", MINUTE, unique="k")
    assert first["id"] != second["id"] and "joined" not in second
    assert other.post("sleep", MINUTE, unique="k") == {"id": second["id"], "state": "queued", "joined": True}


def test_retry_asks_for_the_handlers_allow(start):
    """Who may not post to a handler does not run its tasks again either, if the task is its own."""
    daemon = start(ACCESS)
    client = client_of(daemon, "daemon")
    task = client.run("fail")["id"]
    assert outcomes(client, "Retry", [task]) == ["queued"]
    client.call("Wait", {"ids": [task]})
    daemon.write("conf", ACCESS + "[handler fail]\nallow = sys\n")
    daemon.client().call("Reload")
    assert outcomes(client, "Retry", [task]) == ["denied"]
    assert outcomes(client_of(daemon, "sys"), "Retry", [task]) == ["queued"]


@pytest.mark.parametrize("user,sees", [("daemon", True), ("sys", True), ("games", False)])
def test_names_mean_tasks_that_the_caller_may_wait_for(two, user, sees):
    server, owner = two
    client = client_of(server, user)
    assert client.call("Show", {"name": "ended"})["task"]["id"] == "1", "a name hides nothing"
    if sees:
        assert client.call("Wait", {"names": ["ended", "failed"]})["tasks"][1]["id"] == "2"
    else:
        error = client.refused("Wait", {"names": ["ended"]})
        assert error.short == "NoSuchTask" and error.params == {"id": "ended"}
    client.run("noop", name="ended")
    assert client.call("Wait", {"names": ["ended"]})["tasks"][0]["handler"] == "noop"
    assert owner.call("Wait", {"names": ["ended"]})["tasks"][0]["handler"] == ("noop" if user == "daemon" else "echo")


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
