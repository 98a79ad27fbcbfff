"""Reload and Config: what is live changes without losing a task, what is not says so, a bad file changes nothing."""
import os
import signal

import pytest

pytestmark = pytest.mark.short
BASE = "[pool default]\nworkers = 1\ncapacity = 5\n"
MINUTE = {"ms": 60000}


def changes(reply):
    return {(change["section"], change.get("key")): (change["before"], change["after"], change["effect"])
            for change in reply["changes"]}


def test_live_keys_change_at_once(start):
    daemon = start(BASE)
    client = daemon.client()
    client.post("sleep", MINUTE)
    waiting = [client.post("echo", {"n": n})["id"] for n in range(3)]
    daemon.write("conf", "[pool default]\nworkers = 3\ncapacity = 9\n[handler echo]\nretries = 4\n")
    assert changes(client.call("Reload")) == {
        ("pool default", "workers"): ("1", "3", "live"), ("pool default", "capacity"): ("5", "9", "live"),
        ("handler echo", "retries"): ("0", "4", "live")}
    assert {t["state"] for t in client.call("Wait", {"ids": waiting})["tasks"]} == {"done"}  # started by the new workers
    pool = client.pool()
    assert (pool["workers"], pool["capacity"]) == (3, 9)
    assert changes(client.call("Reload")) == {}


def test_dry_run_changes_nothing(start):
    daemon = start(BASE)
    client = daemon.client()
    daemon.write("conf", "[pool default]\nworkers = 7\ncapacity = 5\n")
    assert changes(client.call("Reload", {"dry_run": True})) == {("pool default", "workers"): ("1", "7", "live")}
    assert client.pool()["workers"] == 1


def test_what_needs_a_restart_says_so_and_stays(start):
    daemon = start(BASE)
    client = daemon.client()
    daemon.write("conf", BASE + "[daemon]\nmax_message = 64K\n[handler new]\ntype = exec\ncommand = /bin/true\n")
    told = changes(client.call("Reload"))
    assert told[("daemon", "max_message")][2] == "restart"
    assert told[("handler new", None)][2] == "restart"
    assert client.refused("Post", {"handler": "new"}).short == "NoSuchHandler"
    keys = {(k["section"], k["key"]): k for k in client.call("Config")["keys"]}
    assert keys[("daemon", "max_message")]["value"] == "1M"
    assert ("daemon", "max_message") in changes(client.call("Reload"))  # told until there was one


@pytest.mark.parametrize("text", ["[pool default]\nworkers = many\n", "[pol]\n", "[pool default\n", "[handler x]\ntype = exec\n"])
def test_a_bad_file_changes_nothing(start, text):
    daemon = start(BASE)
    client = daemon.client()
    daemon.write("conf", text)
    error = client.refused("Reload")
    assert error.short == "ConfigInvalid" and error.params["reason"].startswith(daemon.config)
    assert client.pool()["workers"] == 1
    daemon.check_serves()


def test_a_file_that_is_gone_changes_nothing(start):
    daemon = start(BASE)
    os.unlink(daemon.config)
    assert daemon.client().refused("Reload").short == "ConfigInvalid"
    daemon.check_serves()


def test_what_an_operator_resized_stays_unless_the_file_says_something_new(start):
    daemon = start(BASE)
    client = daemon.client()
    client.call("Resize", {"workers": 4, "capacity": 50})
    daemon.write("conf", "[pool default]\nworkers = 1\ncapacity = 6\n")
    client.call("Reload")
    pool = client.pool()
    assert (pool["workers"], pool["capacity"]) == (4, 6)


def test_a_new_pool_comes_and_a_gone_one_is_drained(start):
    two = BASE + "[pool old]\nworkers = 1\n"
    daemon = start(two)
    client = daemon.client()
    running = client.post("sleep", {"ms": 300}, pool="old")["id"]
    queued = client.post("noop", pool="old")["id"]
    daemon.write("conf", BASE + "[pool fresh]\nworkers = 2\n")
    told = changes(client.call("Reload"))
    assert told[("pool old", None)][2] == "gone" and told[("pool fresh", None)][2] == "new"
    assert client.run("echo", {"x": 1}, pool="fresh")["result"] == {"x": 1}
    assert client.refused("Post", {"handler": "noop", "pool": "old"}).short in ("NoSuchPool", "ShuttingDown")
    assert {t["state"] for t in client.call("Wait", {"ids": [running, queued]})["tasks"]} == {"done"}
    daemon.write("conf", two)
    client.call("Reload")
    assert client.run("noop", pool="old")["state"] == "done"


def test_roles_change_for_open_connections_too(start):
    daemon = start(BASE)
    admin = daemon.client()
    other = daemon.client_as(1, 1)
    assert other.post()["id"]
    daemon.write("conf", BASE + "[access]\nadmin = root\nread = daemon\n")
    admin.call("Reload")
    assert other.refused("Post", {"handler": "noop"}).name == "org.varlink.service.PermissionDenied"
    assert other.call("Stats")["daemon"]["role"] == "read"


def test_sighup_reloads_and_the_service_manager_hears_of_it(start):
    daemon = start(BASE)
    daemon.write("conf", "[pool default]\nworkers = 2\ncapacity = 5\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_note("RELOADING=1")
    assert int(daemon.wait_note("MONOTONIC_USEC=").partition("=")[2]) > 0
    daemon.wait_note("READY=1")
    assert daemon.client().pool()["workers"] == 2
    daemon.write("conf", "[pool default]\nworkers = 0\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_note("RELOADING=1")
    daemon.wait_note("READY=1")
    assert daemon.client().pool()["workers"] == 2
    assert "stays as it is" in daemon.stderr()


def test_config_tells_values_and_where_they_come_from(start):
    daemon = start("[pool default]\nworkers = 2/core\n[mongodb]\nuri = mongodb://me:secret@localhost\n")
    client = daemon.client()
    keys = {(k["section"], k["key"]): k for k in client.call("Config")["keys"]}
    assert keys[("pool default", "workers")] == {"section": "pool default", "key": "workers", "value": "2/core",
                                                 "origin": f"{daemon.config}:2", "live": True}
    assert keys[("pool default", "capacity")]["origin"] == "default"
    assert keys[("mongodb", "uri")]["value"] == "***"
    assert "secret" not in str(keys)
    assert {k["section"] for k in client.call("Config", {"section": "pool"})["keys"]} == {"pool default"}
    assert client.refused("Config", {"section": "pool nope"}).params["parameter"] == "section"


def test_only_admins_may(start):
    daemon = start(BASE + "[access]\nadmin = root\npost = daemon\n")
    other = daemon.client_as(1, 1)
    for method in ("Reload", "Config"):
        assert other.refused(method).name == "org.varlink.service.PermissionDenied"
