"""MongoDB away, silent, stopped, killed and back (reliability.md, "libmongoc"): only the tasks that need it fail, in bounded time,
with words; and what is secret stays so."""
import contextlib
import os
import re
import signal
import statistics
import time

import pytest

from conftest import skip_loudly
from kit import mongo, proc, procs
from kit.client import DEADLINE

HANDLERS = {"find": {}, "insert": {}}
OTHER = "[pool other]\nworkers = 2\n[handler echo]\npool = other\n"
MARGIN = 1.0
# A read is tried twice by libmongoc, each with the wait for a server and for its answer.
BOUND = 2 * (mongo.SELECTION + mongo.CONNECT + mongo.SOCKET) + MARGIN
AT_ONCE_US = 300_000
ROUNDS = 15  # a server is stopped, and goes on
PASSWORD = "pa55w0rd-of-a-test"


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow if name == "ferretdb" else ())
                                        for name in mongo.names() if name != "uri"])
def one_server(request):
    """A server of our own: it is stopped and killed."""
    try:
        one = mongo.Server(request.param)
    except LookupError as error:
        skip_loudly(f"no MongoDB server: {error}")
    yield one
    one.close()


@pytest.fixture
def server(one_server):
    yield one_server
    if not one_server.is_up:
        one_server.start()


@pytest.fixture
def base(server, start):
    """A daemon whose connections are warm: each worker has served a find."""
    daemon = start(mongo.config(server.uri, HANDLERS, workers=4, timeouts=mongo.TIMEOUTS, text=OTHER))
    client = daemon.client()
    assert client.run("insert", {"documents": [{"n": n} for n in range(50)]})["state"] == "done"
    for name in [client.post("find")["id"] for _ in range(8)]:
        client.call("Wait", {"ids": [name]})
    return daemon


def check_unavailable(task, bound=BOUND):
    assert (task["state"], task["reason"]) == ("failed", "unavailable"), task
    assert task["error"].startswith("MongoDB: "), task
    assert task["run_us"] < bound * 1e6, task


def find_until_done(daemon, seconds=DEADLINE):
    """Finds, one after the other, until one is done: libmongoc needs a moment to see that the server is back."""
    deadline = time.monotonic() + seconds
    client = daemon.client()
    while True:
        task = client.run("find", {"limit": 3})
        if task["state"] == "done":
            return task
        check_unavailable(task)
        assert time.monotonic() < deadline, f"it does not come back: {task}"


# Away and silent: no server is needed.

@pytest.mark.short
def test_server_that_is_away_fails_the_task_after_the_selection_timeout(start):
    daemon = start(mongo.config(mongo.away_uri(), HANDLERS, timeouts=mongo.TIMEOUTS))
    client = daemon.client()
    for handler, args in (("find", {}), ("insert", {"document": {"a": 1}})):
        task = client.run(handler, args)
        check_unavailable(task, mongo.SELECTION + MARGIN)
        assert task["run_us"] >= mongo.SELECTION * 0.9e6


def test_daemon_starts_at_once_though_the_server_is_away(start):
    began = time.monotonic()
    daemon = start(mongo.config(mongo.away_uri(), HANDLERS, timeouts=mongo.TIMEOUTS))
    assert time.monotonic() - began < 2
    assert daemon.client().run("noop")["state"] == "done"


def test_server_that_is_silent_fails_the_task_in_bounded_time(start):
    with mongo.silent_server() as uri:
        daemon = start(mongo.config(uri, HANDLERS, timeouts=mongo.TIMEOUTS))
        client = daemon.client()
        for _ in range(2):
            check_unavailable(client.run("find"), mongo.SELECTION + mongo.CONNECT + MARGIN)
        clients = [daemon.client() for _ in range(8)]  # twice the workers
        began = time.monotonic()
        for one in clients:
            one.send("Post", {"handler": "find", "wait": True})
        for one in clients:
            check_unavailable(one.recv()["task"])
        assert time.monotonic() - began < 2 * (mongo.SELECTION + mongo.CONNECT) + 2 * MARGIN


@pytest.mark.slow
@pytest.mark.parametrize("how", ["away", "silent"])
def test_without_a_word_about_timeouts_a_task_fails_within_the_defaults(start, how):
    """2 s for the selection of a server, 1 s to connect, 3 s of silence."""
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(mongo.silent_server()) if how == "silent" else mongo.away_uri()
        task = start(mongo.config(uri, HANDLERS)).client().run("find")
        check_unavailable(task, 2 + 1 + MARGIN)
        assert task["run_us"] >= 1_900_000


def sockets_of(pid):
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))


def test_there_are_as_many_connections_as_busy_workers_however_many_these_are(server, start):
    n = 150
    daemon = start(mongo.config(server.uri, HANDLERS, workers=n, timeouts=mongo.TIMEOUTS))
    client = daemon.client()
    assert client.run("insert", {"documents": [{"n": 1}]})["state"] == "done"
    pid = client.pool()["host_pid"]
    with server.stopped():
        idle = sockets_of(pid)
        ids = [client.post("find")["id"] for _ in range(n)]
        daemon.until(lambda pool: pool["active"] == n and sockets_of(pid) >= idle + n - 1)  # one is there
    for task in client.call("Wait", {"ids": ids}, seconds=2 * DEADLINE)["tasks"]:
        assert "connections are in use" not in task.get("error", ""), task


def test_timeouts_of_the_uri_win(start):
    uri = mongo.away_uri() + "/?serverSelectionTimeoutMS=150"
    task = start(mongo.config(uri, HANDLERS, timeouts="server_selection_timeout = 9s\n")).client().run("find")
    check_unavailable(task, 0.15 + MARGIN)


@pytest.mark.parametrize("how", ["away", "silent"])
def test_time_limit_of_a_task_is_not_waited_out_when_the_server_is_away(start, how):
    """A limit that is shorter than the timeouts: the task ends as overdue, at the latest with them."""
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(mongo.silent_server()) if how == "silent" else mongo.away_uri()
        task = start(mongo.config(uri, HANDLERS, timeouts=mongo.TIMEOUTS)).client().run("find", timeout_ms=100)
        assert (task["state"], task["reason"]) == ("failed", "timeout"), task
        assert task["run_us"] < BOUND * 1e6


@pytest.mark.short
@pytest.mark.parametrize("handlers", [{}, HANDLERS], ids=["none", "mongodb"])
def test_host_loads_the_library_only_for_a_handler_and_leaves_no_file(start, handlers):
    daemon = start(mongo.config(mongo.away_uri(), handlers))
    pid = daemon.client().pool()["host_pid"]
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        assert ("libmongoc" in file.read()) is bool(handlers)
    assert not os.path.exists(f"/dev/shm/mongoc-{pid}")


def test_refused_args_need_no_server(start):
    task = start(mongo.config(mongo.away_uri(), HANDLERS, timeouts=mongo.TIMEOUTS)).client().run("find", {"filter": {"$a": 1}})
    assert task["reason"] == "refused" and task["run_us"] < AT_ONCE_US


@pytest.mark.short
def test_away_is_logged_once_and_not_for_every_task(start):
    daemon = start(mongo.config(mongo.away_uri(), HANDLERS, timeouts=mongo.TIMEOUTS))
    clients = [daemon.client() for _ in range(8)]
    for client in clients:
        client.send("Post", {"handler": "find", "wait": True})
    for client in clients:
        check_unavailable(client.recv()["task"])
    assert daemon.stderr().count("mongodb_away") == 1, daemon.stderr()


@pytest.mark.parametrize("how", ["away", "silent"])
@pytest.mark.parametrize("mode", ["now", "finish", "drain"])
def test_shutdown_is_bounded_while_the_server_is_away(start, how, mode):
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(mongo.silent_server()) if how == "silent" else mongo.away_uri()
        daemon = start(mongo.config(uri, HANDLERS, timeouts=mongo.TIMEOUTS))
        client = daemon.client()
        for _ in range(4):
            client.post("find")
        daemon.until(lambda pool: pool["active"] == 4)
        began = time.monotonic()
        final = client.call("Shutdown", {"mode": mode})
        assert daemon.wait_exit() == 0
        assert time.monotonic() - began < BOUND
        assert final["queued"] == final["active"] == 0 and final["failed"] + final["cancelled"] == 4


# Stopped, killed, back.

def test_stopped_server_fails_the_tasks_that_need_it_and_holds_up_no_others(base, server):
    finders = [base.client() for _ in range(2)]
    client = base.client()
    with server.stopped():
        for one in finders:
            one.send("Post", {"handler": "find", "wait": True})
        base.until(lambda pool: pool["active"] == 2)
        # The same pool has two workers left, the other one is its own.
        for handler in ["noop", "echo"] * 10:
            task = client.run(handler, {"n": 1} if handler == "echo" else None)
            assert task["state"] == "done" and task["wait_us"] + task["run_us"] < AT_ONCE_US
        assert client.pool()["active"] == 2, "they still wait"
        for one in finders:
            check_unavailable(one.recv()["task"])
        # And again, now that it is known to be away.
        check_unavailable(client.run("find"))
        assert client.run("noop")["state"] == "done"
    assert find_until_done(base)["result"]["count"] == 3
    text = base.stderr()
    assert text.count("mongodb_away") == 1 and text.count("mongodb_back") == 1, text
    assert "warning: mongoc:" not in text, "the library's own word for each task"


def test_all_workers_held_by_a_stopped_server_are_free_again_in_bounded_time(base, server):
    """And the other pool does not notice."""
    client = base.client()
    finders = [base.client() for _ in range(4)]
    with server.stopped():
        began = time.monotonic()
        for one in finders:
            one.send("Post", {"handler": "find", "wait": True})
        base.until(lambda pool: pool["active"] == 4)
        behind = base.client()
        behind.send("Post", {"handler": "noop", "wait": True})
        assert client.run("echo", {"a": 1})["run_us"] < AT_ONCE_US
        for one in finders:
            check_unavailable(one.recv()["task"])
        assert behind.recv()["task"]["state"] == "done"
        assert time.monotonic() - began < BOUND
    find_until_done(base)


def times_ms(client, n=300):
    """Of n tasks of another pool, one after the other, each from its post to its end."""
    times = []
    for _ in range(n):
        began = time.monotonic()
        assert client.run("echo", {"a": 1})["state"] == "done"
        times.append((time.monotonic() - began) * 1000)
    return times


def p99(times):
    return sorted(times)[len(times) - 1 - len(times) // 100]


def cpu_percent(client, pids, seconds):
    """Of one processor, in so many seconds in which nobody asks for anything but the time."""
    began, before = time.monotonic(), [proc.cpu_seconds(pid) for pid in pids]
    for n, _ in enumerate(client.more("Stats", {"interval_ms": 1000})):
        if n == seconds:
            break
    client.close()
    return [100 * (proc.cpu_seconds(pid) - was) / (time.monotonic() - began) for pid, was in zip(pids, before)]


def test_sixty_four_workers_stay_busy_while_their_server_is_stopped_and_others_see_nothing(server, start):
    """Again and again, and once for longer than a task waits for the server: each is tried again, and all end well. The other
    pool's p99 is printed, while the server is stopped and in between; and what processor time the stopped server costs."""
    keys = {"retries": "1000", "backoff_min": "1ms", "backoff_max": "10ms", "max_documents": "1"}
    daemon = start(mongo.config(server.uri, {"find": keys, "insert": {}}, workers=64, timeouts=mongo.TIMEOUTS, text=OTHER))
    client, other = daemon.client(), daemon.client()
    assert client.run("insert", {"document": {"n": 1}})["state"] == "done"
    before, during, done, cpu = [], [], 1, None  # a list of times a round
    for round_ in range(ROUNDS):
        before.append(times_ms(other))
        with server.stopped():
            ids = [client.post("find")["id"] for _ in range(200)]
            daemon.until(lambda pool: pool["active"] == 64)
            stopped = time.monotonic()
            during.append(times_ms(other))
            if round_ == ROUNDS - 1:
                cpu = cpu_percent(daemon.client(), [daemon.pid, *(client.pool(pool)["host_pid"] for pool in ("default", "other"))], 10)
                assert time.monotonic() - stopped >= BOUND, "each task has had its first failure by now"
            pool = client.pool()
            assert pool["active"] + pool["queued"] + pool["delayed"] == 200 and pool["done"] == done, pool
            daemon.until(lambda pool: pool["active"] == 64)
        tasks = client.call("Wait", {"ids": ids}, seconds=4 * DEADLINE)["tasks"]
        assert [task["state"] for task in tasks] == ["done"] * 200
        done += 200
    ratios = sorted(p99(a) / p99(b) for a, b in zip(during, before))
    all_before, all_during = p99(sum(before, [])), p99(sum(during, []))
    print(f"{done - 1} tried, 0 lost; p99 of the other pool, {ROUNDS} times {len(during[0])} tasks: {all_before:.2f} ms, {all_during:.2f} ms "
          f"while it was stopped, ratio {all_during / all_before:.2f}; within a round {statistics.median(ratios):.2f} (median; "
          f"{ratios[0]:.2f}-{ratios[-1]:.2f}); processor while it was stopped: daemon {cpu[0]:.1f} %, host with 64 workers {cpu[1]:.1f} %, "
          f"the other pool's {cpu[2]:.1f} %")


def test_server_that_goes_on_in_time_costs_nothing(base, server):
    """Shorter than the socket's timeout: the task is served late."""
    client = base.client()
    with server.stopped():
        client.send("Post", {"handler": "find", "args": {"limit": 2}, "wait": True})
        base.until(lambda pool: pool["active"] == 1)
    task = client.recv()["task"]
    assert task["state"] == "done" and task["result"]["count"] == 2


def test_server_that_was_killed_is_away_and_back_after_its_restart(base, server):
    client = base.client()
    server.kill()
    check_unavailable(client.run("find"))
    assert client.run("noop")["state"] == "done"
    server.start()
    assert find_until_done(base, 2 * DEADLINE)["state"] == "done"
    text = base.stderr()
    assert text.count("mongodb_away") == 1 and text.count("mongodb_back") == 1, text


def test_server_killed_in_mid_work_fails_only_what_was_under_way(base, server):
    finders = [base.client() for _ in range(3)]
    with server.stopped():
        for one in finders:
            one.send("Post", {"handler": "find", "wait": True})
        base.until(lambda pool: pool["active"] == 3)
        server.kill()
        assert base.client().run("noop")["run_us"] < AT_ONCE_US
        for one in finders:
            check_unavailable(one.recv()["task"])
    server.start()
    find_until_done(base, 2 * DEADLINE)


@pytest.mark.parametrize("mode", ["now", "finish"])
def test_shutdown_is_bounded_while_the_server_is_stopped(base, server, mode):
    client = base.client()
    with server.stopped():
        for _ in range(6):
            client.post("find")
        base.until(lambda pool: pool["active"] == 4 and pool["queued"] == 2)
        began = time.monotonic()
        final = client.call("Shutdown", {"mode": mode}, seconds=3 * DEADLINE)
        assert base.wait_exit() == 0
        assert time.monotonic() - began < BOUND
        assert final["failed"] + final["cancelled"] == 6


def test_time_limit_of_a_task_holds_while_the_server_is_stopped(base, server):
    with server.stopped():
        task = base.client().run("find", timeout_ms=200)
        assert (task["state"], task["reason"]) == ("failed", "timeout")
        assert task["run_us"] < BOUND * 1e6
    find_until_done(base)


# Secrets.

def look_everywhere(daemon):
    """All that others could read: log, replies, arguments and environments of the daemon and all below it."""
    client = daemon.client()
    found = {"stderr": daemon.stderr().encode()}
    for method in ("Stats", "Handlers", "List"):
        client.send(method)
        found[method] = client.recv_bytes()
        client.expected.clear()
    for task in client.call("List")["tasks"]:
        client.send("Show", {"id": task["id"]})
        found["Show " + task["id"]] = client.recv_bytes()
        client.expected.clear()
    pids = [daemon.pid, *proc.descendants(daemon.pid)]
    assert len(pids) >= 2
    for pid in pids:
        found[f"{pid}: {proc.command_line(pid)}"] = procs.texts_of_proc(pid)
    return found


def check_secret(daemon, secret=PASSWORD):
    for place, text in look_everywhere(daemon).items():
        assert secret.encode() not in text, f"in {place}: {text[:2000]!r}"


@pytest.mark.short
@pytest.mark.parametrize("how", ["away", "silent"])
@pytest.mark.parametrize("given", ["configured", "credential"])
def test_password_of_the_uri_is_nowhere_to_be_seen(start, tmp_path, how, given):
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(mongo.silent_server()) if how == "silent" else mongo.away_uri()
        uri = uri.replace("://", f"://somebody:{PASSWORD}@") + "/?authSource=admin"
        config = "[daemon]\nlog_level = debug\n" + mongo.config(uri, HANDLERS, timeouts=mongo.TIMEOUTS)
        options = {}
        if given == "credential":
            (tmp_path / "mongodb-uri").write_text(uri + "\n")
            (tmp_path / "mongodb-uri").chmod(0o600)
            config = config.replace(f"uri = {uri}\n", "")
            options["env"] = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        assert (PASSWORD in config) is (given == "configured")
        daemon = start(config, **options)
        check_unavailable(daemon.client().run("find"))
        check_secret(daemon)
        # Nor of one that is started anew.
        os.kill(daemon.client().pool()["host_pid"], signal.SIGKILL)
        daemon.until(lambda pool: pool["host"] == "up" and pool["host_restarts"] == 1)
        check_unavailable(daemon.client().run("find"))
        check_secret(daemon)


def test_password_that_a_server_refuses_is_nowhere_to_be_seen(server, start):
    uri = server.uri.replace("://", f"://somebody:{PASSWORD}@")
    daemon = start("[daemon]\nlog_level = debug\n" + mongo.config(uri, HANDLERS, timeouts=mongo.TIMEOUTS))
    task = daemon.client().run("find")
    assert task["state"] == "failed" and task["error"].startswith("MongoDB: "), task
    check_secret(daemon)


def test_host_that_knows_a_password_leaves_no_core_and_cannot_be_looked_into(start):
    uri = mongo.away_uri().replace("://", f"://somebody:{PASSWORD}@")
    daemon = start(mongo.config(uri, HANDLERS, timeouts=mongo.TIMEOUTS))
    pid = daemon.client().pool()["host_pid"]
    with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
        assert re.search(r"^Max core file size +0 +0 ", file.read(), re.M)
    # Not dumpable: its /proc files are root's, whoever runs it.
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0


@pytest.mark.short
@pytest.mark.parametrize("uri", [f"mongodb://a:{PASSWORD}@", f"mongodb://a:{PASSWORD}@h:99999", f"mongodb://a:{PASSWORD}@h/?nonsense=1&w=x",
                                 f"http://a:{PASSWORD}@h", f"mongodb://a:b:{PASSWORD}@h", f"mongodb://{PASSWORD}%zz@h"],
                         ids=["no_host", "port", "options", "scheme", "colons", "escape"])
def test_wrong_uri_is_not_repeated_in_the_message(workpoold, tmp_path, uri):
    path = tmp_path / "conf"
    path.write_text(mongo.config(uri, HANDLERS))
    path.chmod(0o600)
    ended = workpoold("--config", path, "--socket", tmp_path / "s", *(["--check-config"] if "nonsense" in uri else []))
    assert PASSWORD not in ended.stderr + ended.stdout, ended
    assert ended.returncode == 78 and "uri" in ended.stderr or "nonsense" in uri, ended


@pytest.mark.short
def test_password_in_a_file_that_others_can_read_is_refused(workpoold, tmp_path):
    path = tmp_path / "conf"
    path.write_text(mongo.config(f"mongodb://a:{PASSWORD}@127.0.0.1", HANDLERS))
    for mode, code in ((0o644, 78), (0o640, 78), (0o600, 0)):
        path.chmod(mode)
        ended = workpoold("--config", path, "--check-config")
        assert ended.returncode == code and PASSWORD not in ended.stderr, ended
