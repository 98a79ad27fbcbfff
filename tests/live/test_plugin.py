"""Handlers of type plugin in real daemons: what a plugin does to its host costs that host, what it cannot be is told, and the
example is built out of the tree, with what an installation has put there."""
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import threading
import time

import pytest

from kit import cli, proc, procs
from kit.daemon import clean_environment, program
from kit.plugins import handler as plugin, module

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A sanitizer is not to report what the tests do themselves.
OPTIONS = "handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigfpe=0:detect_leaks=0"
QUIET = {name: ":".join(filter(None, (os.environ.get(name), OPTIONS))) for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")}
DEATHS = ("segv", "abort", "fpe", "stack", "oom", "_exit", "exit", "kill", "stop")
ROUNDS = int(os.environ.get("PLUGIN_ROUNDS", 5))  # times POOLS deaths of each kind
POOLS = 10


ONE = "[pool p]\nworkers = 1\n"
TWO = "[pool p]\nworkers = 2\n"


@pytest.mark.short
def test_plugin_runs_and_its_arguments_are_checked_before(start):
    daemon = start(TWO + plugin(pool="p", greeting="good day"))
    client = daemon.client()
    assert client.run("t")["result"] == {"greeting": "good day", "settings": 1}
    assert client.run("t", {"do": "self"}, timeout_ms=60000)["result"]["left_ms"] > 50000
    task = client.run("t", {"do": "fail_last"})
    assert (task["state"], task["reason"], task["error"]) == ("failed", "no_ink", 'no "ink" \ufffd')
    error = client.refused("Post", {"handler": "t", "args": {"number": 6}})
    assert error.params == {"parameter": "args.number", "reason": "a number from -5 to 5"}
    error = client.refused("Post", {"handler": "t", "args": {"nobody": 6}})
    assert error.params == {"parameter": "args.nobody", "reason": "unknown"}
    row = [row for row in client.call("Handlers")["handlers"] if row["name"] == "t"][0]
    assert (row["type"], row["text"]) == ("plugin", "does what a test asks of it")
    numbers = [param for param in row["params"] if param["name"] == "number"]
    assert numbers == [{"name": "number", "type": "int", "required": False, "min": -5, "max": 5, "text": ""}]


@pytest.mark.short
def test_plugin_tells_its_progress_and_ends_when_it_is_asked(start):
    daemon = start(TWO + plugin(pool="p"))
    client, events = daemon.client(), daemon.client()
    stream = events.more("Events", {"kinds": ["progress"]})
    assert next(stream) == {"missed": 0}
    task = client.post("t", {"do": "progress"})["id"]
    assert next(stream)["event"]["permille"] == 1000
    assert client.call("Show", {"id": task})["task"]["progress"] == {"permille": 1000, "note": 'more than "all" of it'}
    slept = client.post("t", {"sleep_ms": 60000})["id"]
    daemon.until(lambda pool: pool["active"] == 2, pool="p")
    client.call("Cancel", {"ids": [task, slept]})
    states = {ended["id"]: ended["state"] for ended in client.call("Wait", {"ids": [task, slept]})["tasks"]}  # in the order of their ends
    assert states == {task: "done", slept: "cancelled"}
    task = client.run("t", {"sleep_ms": 60000}, timeout_ms=100)
    assert (task["state"], task["reason"]) == ("failed", "timeout")
    assert client.pool("p")["host_restarts"] == 0


@pytest.mark.short
def test_plugin_is_loaded_by_its_own_pool_s_host_only(start):
    daemon = start(TWO + plugin(pool="p"))
    client = daemon.client()
    maps = {}
    for pool in ("default", "p"):
        with open(f"/proc/{client.pool(pool)['host_pid']}/maps", encoding="utf-8") as file:
            maps[pool] = module() in file.read()
    assert maps == {"default": False, "p": True}
    with open(f"/proc/{daemon.pid}/maps", encoding="utf-8") as file:
        assert module() not in file.read()
    error = client.refused("Post", {"handler": "t", "pool": "default"})
    assert error.params == {"parameter": "pool", "reason": "the handler is a plugin, which runs in its own pool only"}


# What is refused.

def refusals(directory):
    """(keys, what is said)"""
    paths = {name: os.path.join(directory, name) for name in ("none.so", "text.so", "link.so", "group.so")}
    with open(paths["text.so"], "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho no shared object, but long enough to be looked at as one, I hope\n")
    os.chmod(paths["text.so"], 0o644)
    os.symlink(module(), paths["link.so"])
    shutil.copy(module(), paths["group.so"])
    os.chmod(paths["group.so"], 0o664)
    return [({"module": paths["none.so"]}, "No such file or directory"),
            ({"module": paths["text.so"]}, "invalid ELF header"),
            ({"module": paths["link.so"]}, "is a symbolic link"),
            ({"module": paths["group.so"]}, "must not be writable by its group or by others"),
            ({"symbol": "nobody"}, 'has no symbol "nobody"'),
            ({"symbol": "too_new"}, "made for ABI 2, this host has 1"),
            ({"greting": "x"}, 'plugin "testplugin" does not know the key "greting"'),
            ({"refuse": "there is no ink"}, "testplugin: there is no ink")]


@pytest.mark.short
def test_plugin_that_cannot_be_used_is_refused_at_the_start(workpoold, tmp_path):
    for keys, words in refusals(str(tmp_path)):
        config = tmp_path / "conf"
        config.write_text(plugin("x", **keys), encoding="utf-8")
        config.chmod(0o600)
        ended = workpoold("-c", config, "-s", tmp_path / "s")
        lines = [line for line in ended.stderr.splitlines() if "workpoold" in line and "[handler x]" in line]
        assert ended.returncode == 78 and len(lines) == 1 and words in lines[0], ended
        # Only the host can know.
        assert workpoold("-c", config, "--check-config").returncode == 0


@pytest.mark.short
def test_plugin_of_which_another_version_comes_and_goes(start, tmp_path):
    """Its file is looked at when a host starts: what cannot be used takes no posts, and status says why."""
    path = tmp_path / "m.so"
    shutil.copy(module(), path)
    daemon = start(ONE + plugin(pool="p", module=path), env=QUIET)
    ctl, client = cli.Ctl(daemon.path), daemon.client()
    assert "wrong" not in ctl.fields("status")
    os.rename(path, tmp_path / "away.so")
    os.kill(client.pool("p")["host_pid"], signal.SIGKILL)
    daemon.until(lambda pool: pool["host"] == "up" and "host_error" in pool, pool="p")
    assert f'the host of pool "p": handler "t": module "{path}": No such file or directory' in ctl("status")
    error = ctl.error("post", "t", code=75)
    assert error == f'NotReady: pool "p" cannot run it: module "{path}": No such file or directory'
    assert client.run("echo", {"n": 1}, pool="p")["state"] == "done"
    os.rename(tmp_path / "away.so", path)
    os.kill(client.pool("p")["host_pid"], signal.SIGKILL)
    daemon.until(lambda pool: pool["host"] == "up" and "host_error" not in pool, pool="p")
    assert client.run("t")["state"] == "done"


@pytest.mark.short
def test_settings_of_a_plugin_are_shown_and_need_a_restart(start):
    text = ONE + plugin(pool="p", greeting="a = b") + "nice = no number\nsymbol = any_args\n"
    daemon = start(text)
    client = daemon.client()
    shown = {row["key"]: (row["value"], row["live"]) for row in client.call("Config", {"section": "handler t"})["keys"]}
    assert shown["greeting"] == ("a = b", False) and shown["nice"] == ("no number", False)
    daemon.write("conf", text.replace("a = b", "other") + "more = 1\nretries = 3\n")
    changes = [(row["key"], row["before"], row["after"], row["effect"]) for row in client.call("Reload")["changes"]]
    assert changes == [("retries", "0", "3", "live"), ("greeting", "a = b", "other", "restart"), ("more", "", "1", "restart")]
    shown = {row["key"]: row["value"] for row in client.call("Config", {"section": "handler t"})["keys"]}
    assert shown["greeting"] == "a = b" and "more" not in shown and shown["retries"] == "3"


# Starts that do not end well.

@pytest.mark.short
@pytest.mark.parametrize("death", ["segv", "_exit", "exit"])
def test_plugin_that_dies_at_each_start_keeps_its_pool_s_queue_and_is_told(start, death):
    daemon = start(ONE + "[handler echo]\npool = p\n" + plugin(pool="p", die=death), env=QUIET, ready=False)
    daemon.wait_note("READY=1", seconds=20)  # the other pool works
    ctl, client = cli.Ctl(daemon.path), daemon.client()
    deadline = time.monotonic() + 20
    how = {"segv": "(SIGSEGV)", "_exit": "", "exit": "(status 3)"}[death]
    for reply in daemon.watch("p"):
        said = reply["pools"][0].get("host_error", "")
        if re.fullmatch(rf'it (died|ended) while handler "t" was starting ?{re.escape(how)}', said):
            break
        assert time.monotonic() < deadline, said
    assert 'the host of pool "p": it ' in ctl("status")
    assert client.refused("Post", {"handler": "t"}).short == "NotReady"
    assert client.run("echo", {"n": 1}, pool="default")["state"] == "done"
    began = client.pool("p")["host_restarts"]
    client.post("echo", {"n": 1}, wait=False)
    daemon.pass_time(3)
    pool = client.pool("p")
    assert pool["queued"] == 1 and pool["host_restarts"] - began <= 4, pool
    assert client.pool("default")["host_restarts"] == 0
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


@pytest.mark.slow
def test_plugin_whose_start_hangs_is_ended_and_told(start):
    daemon = start(ONE + plugin(pool="p", hang="yes"), env=QUIET, ready=False)
    daemon.wait_note("READY=1", seconds=40)
    pool = daemon.client().pool("p")
    assert pool["host_error"] == 'it did not get ready in 10 s while handler "t" was starting'
    assert (pool["host"], pool["host_restarts"]) == ("starting", 2) or pool["host"] == "down", pool
    assert len(procs.host_pids(daemon)) <= 2
    assert 'it did not get ready in 10 s while handler "t" was starting' in cli.Ctl(daemon.path)("status")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


# Ends.

@pytest.mark.short
def test_plugin_is_stopped_when_its_daemon_stops(start, tmp_path):
    told = tmp_path / "told"
    daemon = start(ONE + plugin(pool="p", tell=told))
    daemon.client().run("t")
    assert not told.exists()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert told.read_text(encoding="utf-8") == "stopped"


@pytest.mark.short
@pytest.mark.parametrize("way", ["close_link", "end_thread"])
def test_plugin_that_breaks_its_host_loses_that(start, way):
    daemon = start(TWO + plugin(pool="p", crash_max=1), env=QUIET)
    client = daemon.client()
    old = client.pool("p")["host_pid"]
    task = client.run("t", {"do": way}, timeout_ms=5000)
    assert task["state"] in ("done", "failed"), task
    pool = daemon.until(lambda pool: pool["host"] == "up" and pool["host_pid"] != old, pool="p")
    assert pool["host_restarts"] == 1 and not proc.is_alive(old)
    assert client.run("t")["state"] == "done"
    assert client.pool("default")["host_restarts"] == 0


def links_of(pid):
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]


@pytest.mark.short
@pytest.mark.parametrize("end", ["host", "daemon"])
def test_process_that_a_plugin_has_forked_ends_with_its_host(start, end):
    daemon = start(ONE + plugin(pool="p"), env=QUIET)
    client = daemon.client()
    child = client.run("t", {"do": "fork_stay"})["result"]
    assert proc.is_alive(child) and client.run("t")["state"] == "done"
    link = os.readlink(f"/proc/{client.pool('p')['host_pid']}/fd/3")
    daemon.until(lambda pool: link not in links_of(child), pool="p")  # it lets go of it as soon as it runs
    if end == "host":
        os.kill(client.pool("p")["host_pid"], signal.SIGSEGV)
        daemon.until(lambda pool: pool["host_restarts"] == 1 and pool["host"] == "up", pool="p")
    else:
        daemon.signal(signal.SIGKILL)
        daemon.expect_status = -signal.SIGKILL
        daemon.wait_exit()
    assert proc.wait_gone(child, 5), "it outlives its host"


@pytest.mark.short
def test_neighbours_of_a_plugin_that_crashes_are_done(start):
    """Innocent ones run again alone; tasks of other pools do not notice."""
    daemon = start("[pool p]\nworkers = 4\n" + plugin(pool="p", crash_max=1), env=QUIET)
    client = daemon.client()
    others = [client.post("t", {"sleep_ms": 500})["id"] for _ in range(3)]
    elsewhere = client.post("sleep", {"ms": 1500})["id"]
    daemon.until(lambda pool: pool["active"] == 3, pool="p")
    guilty = client.post("t", {"die": "segv"})["id"]
    tasks = {task["id"]: task for task in client.call("Wait", {"ids": [guilty, *others, elsewhere]}, seconds=20)["tasks"]}
    assert {tasks[id]["state"] for id in others} == {"done"} and tasks[guilty]["reason"] == "crashed"
    assert (tasks[elsewhere]["state"], tasks[elsewhere]["attempt"]) == ("done", 1) and client.pool("default")["host_restarts"] == 0


@pytest.mark.short
def test_plugin_that_does_not_end_costs_its_host_but_no_neighbour(start):
    daemon = start("[pool p]\nworkers = 3\n" + plugin(pool="p", kill_after="100ms"), env=QUIET)
    client = daemon.client()
    old = client.pool("p")["host_pid"]
    other = client.post("t", {"sleep_ms": 4000})["id"]
    stuck = client.post("t", {"spin": 600000}, timeout_ms=200)["id"]
    pool = daemon.until(lambda pool: pool["host"] == "up" and pool["host_pid"] != old, pool="p")
    assert client.run("t")["state"] == "done" and proc.is_alive(old)
    tasks = {task["id"]: task for task in client.call("Wait", {"ids": [other, stuck]}, seconds=20)["tasks"]}
    assert (tasks[other]["state"], tasks[other]["attempt"], tasks[stuck]["reason"]) == ("done", 1, "timeout")
    assert proc.wait_gone(old, 5) and client.pool("p")["returned"] == 0, pool


def config_of_deaths(death, isolation):
    """A pool and a handler for each; what hangs is asked to end after a while."""
    limits = {"timeout": "500ms", "kill_after": "100ms"} if death == "stop" else {}
    return "".join(f"[pool p{i}]\nworkers = 1\nisolation = {isolation}\n" + plugin(f"t{i}", pool=f"p{i}", crash_max=1, **limits)
                   for i in range(POOLS))


def die_once(daemon, at, death, ends, spans):
    """One task dies, another waits behind it: how both ended, and how long after the first the second had, in ms."""
    with daemon.client() as client, daemon.client() as behind:
        client.send("Post", {"handler": f"t{at}", "args": {"die": death}, "wait": True})
        behind.send("Post", {"handler": "echo", "args": {"n": at}, "pool": f"p{at}", "wait": True})
        task, other = client.recv(seconds=30)["task"], behind.recv(seconds=30)["task"]
        spans.append(1000 * (other["ended_at"] - task["ended_at"]))
        ends.append((task["state"], task.get("reason"), other["state"], other.get("result")))


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["shared", "task"])
@pytest.mark.parametrize("death", DEATHS)
def test_nine_ways_to_die_cost_the_host_and_nothing_else(start, death, isolation):
    """Ten at a time: test_dying.py has one at a time."""
    daemon = start(config_of_deaths(death, isolation), env=QUIET)
    client = daemon.client()
    if death == "oom" and proc.is_sanitized(daemon.pid):
        return  # its own words about it would be taken for a mistake
    ends, spans = [], []
    for _ in range(ROUNDS):
        threads = [threading.Thread(target=die_once, args=(daemon, i, death, ends, spans)) for i in range(POOLS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(POOLS):
            daemon.until(lambda pool: pool["host"] == "up", pool=f"p{i}")
    n = ROUNDS * POOLS
    reason = "timeout" if death == "stop" else "crashed"
    assert sorted(ends, key=str) == sorted((("failed", reason, "done", {"n": i % POOLS}) for i in range(n)), key=str)
    for i in range(POOLS):
        pool = client.pool(f"p{i}")
        assert (pool["posted"], pool["failed"], pool["done"], pool["host_restarts"]) == (2 * ROUNDS, ROUNDS, ROUNDS, ROUNDS)
        assert pool["crashed"] == ROUNDS
    assert proc.zombies(daemon.pid) == [] and procs.task_pids(daemon) == []
    assert len(procs.host_pids(daemon)) == POOLS + 1
    assert client.pool()["host_restarts"] == 0 and client.run("echo", {"n": 1})["state"] == "done"
    print(f"{death}, isolation = {isolation}: {n} tried, {n} hosts gone, 0 lost; the next task had ended {statistics.median(spans):.0f} ms (median), "
          f"{max(spans):.0f} ms (longest) after")


# The example, as a user builds it.

def run(*words, env=None, cwd=None):
    ended = subprocess.run(words, env=clean_environment(**(env or {})), cwd=cwd, capture_output=True, text=True, timeout=300,
                           stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == 0, f"{words}: {ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `make install` puts into an empty tree, and an environment in which pkg-config finds it."""
    build = os.path.dirname(program("workpoold"))
    tree = str(tmp_path_factory.mktemp("tree"))
    os.chmod(tree, 0o755)
    run("make", "-s", "-C", build, "install", f"DESTDIR={tree}")
    found = subprocess.run(["find", tree, "-name", "workpool.pc"], capture_output=True, text=True, check=True).stdout.split()
    assert len(found) == 1, found
    return tree, {"PKG_CONFIG_PATH": os.path.dirname(found[0]), "PKG_CONFIG_SYSROOT_DIR": tree}


def test_installed_header_is_c99_and_cpp(installed, tmp_path):
    _, env = installed
    flags = shlex.split(run("pkg-config", "--cflags", "workpool", env=env))
    assert run("pkg-config", "--variable=pluginabi", "workpool", env=env) == "1\n"
    strict = ["-Wall", "-Wextra", "-Wconversion", "-pedantic-errors", "-Werror", *flags, "-c", "-o", os.devnull]
    source = tmp_path / "x.c"
    source.write_text("#include <workpool.h>\n#include <workpool-plugin.h>\n"  # a plugin that posts has both
                      "static void run(struct workpool_task *task) { workpool_task_result(task, NULL, 0); }\n"
                      "const struct workpool_handler workpool_handler = {WORKPOOL_PLUGIN_ABI, WORKPOOL_ANY_ARGS, \"x\", \"t\",\n"
                      "\tNULL, 0, NULL, NULL, run, NULL, NULL};\n", encoding="utf-8")
    run("gcc", "-std=c99", *strict, source, env=env)
    run("g++", "-std=c++11", "-x", "c++", *strict, source, env=env)


def test_plugin_in_cpp_runs(installed, start, tmp_path):
    _, env = installed
    flags = shlex.split(run("pkg-config", "--cflags", "workpool", env=env))
    source = tmp_path / "x.cc"
    source.write_text("#include <string>\n#include <workpool-plugin.h>\n"
                      "static void run(struct workpool_task *task) {\n"
                      "\tstd::string text(workpool_task_args(task));\n"
                      "\tif (text.find(\"throw\") != std::string::npos) throw text;\n"
                      "\tworkpool_task_result_text(task, text.data(), text.size());\n}\n"
                      "extern \"C\" const struct workpool_handler workpool_handler = {\n"
                      "\tWORKPOOL_PLUGIN_ABI, WORKPOOL_ANY_ARGS, \"c++\", \"echoes\", nullptr, 0, nullptr, nullptr, run, nullptr,\n"
                      "\tnullptr};\n", encoding="utf-8")
    path = tmp_path / "x.so"
    run("g++", "-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,defs", *flags, "-o", path, source, env=env)
    os.chmod(path, 0o755)
    daemon = start(ONE + plugin("x", pool="p", module=path, crash_max=1), env=QUIET)
    client = daemon.client()
    assert client.run("x", {"a": 1})["result"] == '{"a":1}'
    assert client.run("x", {"a": "throw"})["reason"] == "crashed"
    assert client.run("x", {"a": 1})["state"] == "done"


def test_example_of_the_manual_is_whole(installed, start, tmp_path):
    _, env = installed
    with open(os.path.join(ROOT, "doc/workpool-plugin.7"), encoding="utf-8") as file:
        text = re.search(r"EXAMPLE BEGIN.*?\.RS\n(.*?)\.RE\n.*EXAMPLE END", file.read(), re.S).group(1)
    source = tmp_path / "hello.c"
    source.write_text(text.replace(r"\-", "-").replace(r"\e", "\\"), encoding="utf-8")
    path = tmp_path / "hello.so"
    flags = shlex.split(run("pkg-config", "--cflags", "workpool", env=env))
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fPIC", "-shared", *flags, "-o", path, source, env=env)
    os.chmod(path, 0o755)
    daemon = start(ONE + plugin("hello", pool="p", module=path, greeting="Good day"))
    client = daemon.client()
    assert client.run("hello", {"name": "Ada"})["result"] == "Good day, Ada"
    assert client.refused("Post", {"handler": "hello", "args": {"name": ""}}).params["parameter"] == "args.name"


def test_example_is_built_out_of_the_tree_and_runs(installed, start, tmp_path):
    tree, env = installed
    example = tmp_path / "plugin"
    shutil.copytree(os.path.join(ROOT, "doc/examples/plugin"), example, ignore=shutil.ignore_patterns("*.so"))
    run("make", "-s", "-C", example, "CFLAGS=-O2 -Wall -Wextra -Werror -std=c99 -pedantic", env=env)
    needed = run("readelf", "-d", example / "primes.so")
    assert re.findall(r"NEEDED.*\[(.*)\]", needed) == ["libc.so.6"], needed
    where = tree + "/plugins"  # not pkg-config's answer: some leave the root of the tree out of it
    run("make", "-s", "-C", example, "install", f"PLUGINDIR={where}", env=env)
    config = (example / "primes.conf").read_text(encoding="utf-8")
    shipped = re.search(r"module = (\S+)", config).group(1)
    assert os.path.basename(shipped) == "primes.so"
    daemon = start(config.replace(shipped, where + "/primes.so"))
    client = daemon.client()
    assert client.run("primes", {"below": 1000})["result"] == {"primes": 168}
    assert client.refused("Post", {"handler": "primes", "args": {}}).params == {"parameter": "args.below", "reason": "required"}
    task = client.run("primes", {"below": 200000000})
    assert (task["reason"], task["error"]) == ("too_large", "below is more than 100000000, as below_max says")
    task = client.post("primes", {"below": 100000000})["id"]
    daemon.until(lambda pool: pool["active"] == 1, pool="primes")
    client.call("Cancel", {"ids": [task]})
    task = client.call("Wait", {"ids": [task]})["tasks"][0]
    assert task["state"] == "cancelled" and client.pool("primes")["host_restarts"] == 0
