"""wpctl tune: what it asks and tells, that the pool is put back whatever ends it, and a whole search on a server whose limit is known.
How good its answers are is for tests/bench/tune: here nothing depends on time."""
import json
import os
import shutil
import signal
import subprocess
import xml.etree.ElementTree

import pytest

from kit import cli, coproc, mongo
from kit.client import DEADLINE
from kit.relay import Relay

SERVERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers")
POOL = "[pool default]\nworkers = 3\ncapacity = 5\n"
SLEEP = ("default", "--handler", "sleep", "--args", '{"ms":1}')
QUICK = ("--max", "3", "-n", "20", "--budget", "0", "--tolerance", "50%")  # it comes to an answer soon
ENDLESS = ("default", "--handler", "sleep", "--args", '{"ms":60000}', "--yes")  # it never ends by itself
HEAD = ["workers", "tasks/s", "of_best", "error", "p50", "p99", "failed", "mark"]


@pytest.fixture
def daemon(start):
    return start(POOL)


def tune(daemon, *args, code=0, **options):
    ended = cli.run(daemon.path, "tune", *args, seconds=12 * DEADLINE, **options)
    assert ended.returncode == code, ended
    return ended


def check_put_back(daemon, workers=3):
    """Its size, and nothing of ours is left in it."""
    daemon.until(lambda pool: pool["active"] == pool["queued"] == 0)
    pool = daemon.client().pool()
    assert (pool["workers"], pool["capacity"]) == (workers, 5)


def until_it_measures(daemon):
    """All of the first size's workers are busy, and tasks wait behind them."""
    daemon.until(lambda pool: pool["workers"] == 1 and pool["active"] == 1 and pool["queued"] >= 8)


@pytest.fixture(scope="module")
def cores(tmp_path_factory):
    """A server with 3 cores, each busy with a find for 2 ms: its URI."""
    path = os.path.join(tmp_path_factory.mktemp("cores"), "cores")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-O1", "-D_GNU_SOURCE", "-o", path, os.path.join(SERVERS, "cores.c"), "-lm"],
                   check=True, stdin=subprocess.DEVNULL)
    with subprocess.Popen([path, "3", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield f"mongodb://127.0.0.1:{server.stdout.readline().strip()}"
        server.stdin.close()


@pytest.mark.slow
def test_a_search_on_a_server_with_so_many_cores(start, cores):
    daemon = start(mongo.config(cores, {"find": {}}, workers=5))
    plot = daemon.file("plot.svg")
    (doc,) = cli.Ctl(daemon.path).json("tune", "default", "--handler", "find", "--yes", "-q", "--max", "12", "-n", "100", "--plot", plot,
                                       seconds=12 * DEADLINE)
    assert (doc["pool"], doc["handler"], doc["workers_before"], doc["applied"]) == ("default", "find", 5, False)
    sizes = [point["workers"] for point in doc["points"]]
    assert sizes == sorted(set(sizes)) and sizes[-1] <= 12 and doc["low"] in sizes and doc["high"] in sizes
    assert ("workers" in doc) == doc["certain"]
    assert doc["sentence"].startswith(f"use {doc['workers']} worker" if doc["certain"] else "not certain: ")
    assert [size["workers"] for size in doc["coarse"]][:3] == [1, 2, 4]
    for point in doc["points"]:
        assert len(point["samples"]) >= 2 and point["failed"] == 0 and point["p99_us"] >= point["p50_us"] >= 2000
        assert 0 < point["per_s"] <= 1.05 * 3 / 0.002, "no more than the server can"
    print(doc["sentence"], [round(point["per_s"]) for point in doc["points"]])
    pool = daemon.client().pool()
    assert (pool["workers"], pool["capacity"], pool["failed"]) == (5, 1000, 0)
    root = xml.etree.ElementTree.parse(plot).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    dots = [circle for circle in root.iter("{http://www.w3.org/2000/svg}circle") if circle.get("class") == "dot"]
    assert len(dots) == len(sizes) and doc["sentence"] in root.find("{http://www.w3.org/2000/svg}title").text


@pytest.mark.short
def test_it_tells_what_it_will_do_and_then_what_it_found(daemon):
    ended = tune(daemon, *SLEEP, *QUICK, "--yes")
    plan = ended.stderr.splitlines()
    assert plan[0].startswith("wpctl: tune: posts about ") and plan[0].endswith('to pool "default", all of handler "sleep" (builtin) with {"ms":1}')
    assert plan[1] == "wpctl: tune: the pool has from 1 to 3 workers meanwhile, and then 3 again; other tasks in it go on"
    assert len(plan) == 2
    rows, sentence = ended.stdout.split("\n\n")
    rows = [line.split("\t") for line in rows.splitlines()]
    assert rows[0] == HEAD and 1 <= len(rows[1:]) <= 3
    marks = {row[-1]: int(row[0]) for row in rows[1:]}
    assert sentence.startswith(f"use {marks['use']} worker" if "use" in marks else "not certain: ") and sentence.count("\n") == 1
    check_put_back(daemon)
    assert tune(daemon, *SLEEP, *QUICK, "--yes", "-q").stderr == ""


@pytest.mark.short
@pytest.mark.parametrize("answer, code", [("y\n", 0), ("n\n", 130), ("\n", 130)])
def test_on_a_terminal_it_asks(daemon, answer, code):
    with cli.Terminal(daemon.path, "tune", *SLEEP, *QUICK) as terminal:
        terminal.read_until(lambda text: "Go on? [y/N] " in text)
        assert daemon.client().pool()["posted"] == 0
        terminal.type(answer)
        ended, text = terminal.end(12 * DEADLINE)
    assert ended == code
    assert ("WORKERS" in text and " tasks (" in text) if code == 0 else "nothing was sent" in text
    assert (daemon.client().pool()["posted"] > 0) == (code == 0)
    check_put_back(daemon)


@pytest.mark.short
def test_where_nobody_can_be_asked_it_refuses(daemon):
    assert "tune: nobody can be asked here: --yes says that it may" in tune(daemon, *SLEEP, *QUICK, stdin="y\n", code=2).stderr
    assert daemon.client().pool()["posted"] == 0


@pytest.mark.short
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_puts_the_pool_back(daemon, number):
    with cli.Process(daemon.path, "tune", *ENDLESS) as process:
        until_it_measures(daemon)
        process.signal(number)
        assert process.end()[0] == 128 + number
    check_put_back(daemon)


@pytest.mark.short
def test_whose_deadline_passes_it_puts_the_pool_back(daemon):
    assert "in time" in tune(daemon, *ENDLESS, "--timeout", "400ms", code=124).stderr
    check_put_back(daemon)


@pytest.mark.short
def test_cut_off_it_connects_again_to_put_the_pool_back(daemon):
    with Relay(daemon.file("relay"), daemon.path) as relay:
        with cli.Process(relay.path, "tune", *ENDLESS, "-q") as process:
            until_it_measures(daemon)
            relay.cut()
            code, _, err = process.end(12 * DEADLINE)
    assert code == 69 and "the daemon closed the connection" in err and err.count("\n") == 1
    check_put_back(daemon)


@pytest.mark.slow
def test_of_a_daemon_that_is_gone_it_says_that_the_pool_could_not_be_put_back(daemon):
    with cli.Process(daemon.path, "tune", *ENDLESS, "-q") as process:
        until_it_measures(daemon)
        daemon.expect_status = -signal.SIGKILL
        os.kill(daemon.pid, signal.SIGKILL)
        assert daemon.wait_exit() == -signal.SIGKILL
        code, _, err = process.end(12 * DEADLINE)
    assert code == 69 and 'tune: pool "default" could not be put back to 3 workers, capacity 5' in err


@pytest.mark.short
def test_a_pool_that_is_paused_meanwhile_ends_it(daemon):
    with cli.Process(daemon.path, "tune", *ENDLESS) as process:
        until_it_measures(daemon)
        cli.Ctl(daemon.path)("pause", "default")
        code, _, err = process.end()
    assert code == 3 and 'pool "default" was paused' in err
    check_put_back(daemon)
    cli.Ctl(daemon.path)("resume", "default")


@pytest.mark.short
def test_it_stops_at_the_first_five_of_a_hundred_failures(daemon):
    ended = tune(daemon, "default", "--handler", "fail", "--args", '{"error":"no stamps"}', "--yes", "-q", code=1)
    assert ended.stdout == "" and ended.stderr.startswith("wpctl: tune: stopped: 5 of 5 tasks failed with 1 worker; task ")
    assert ended.stderr.endswith(": no stamps\n")
    pool = daemon.client().pool()
    assert pool["retried"] == 0 and 5 <= pool["failed"] <= 20, "those that were under way"
    check_put_back(daemon)


@pytest.mark.short
@pytest.mark.exec
@pytest.mark.usefixtures("has_exec")
@pytest.mark.parametrize("every, code", [(60, 0), (5, 1)])
def test_failures_below_five_percent_are_counted_only(start, every, code):
    """A program that is kept by the only worker, and counts its tasks."""
    daemon = start(POOL + coproc.handler())
    text = f"if n % {every} == 0:\n    tell(id=number, error='every {every}th')\n    silent = True"
    ended = tune(daemon, "default", "--handler", "c", "--args", json.dumps({"do": "python", "text": text}), "--yes", "-q", "--max", "1",
                 "-n", "100", "--budget", "0", code=code)
    if code == 0:
        assert 1 <= sum(int(row["failed"]) for row in cli.table(ended.stdout.split("\n\n")[0].splitlines())) <= daemon.client().pool()["failed"]
    else:
        assert "with 1 worker; task " in ended.stderr and ended.stderr.endswith(": every 5th\n")
    check_put_back(daemon)


@pytest.mark.short
def test_apply_gives_the_pool_the_number_that_was_found(daemon):
    ended = cli.run(daemon.path, "-j", "tune", "default", "--handler", "sleep", "--args", '{"ms":5}', "--yes", "--apply", "--max", "2",
                    "-n", "40", "--budget", "0", "--tolerance", "20%", seconds=12 * DEADLINE)
    doc = json.loads(ended.stdout)
    assert doc["applied"] == doc["certain"] == (ended.returncode == 0), ended
    if doc["certain"]:
        assert doc["workers"] == 2 and ended.stderr.endswith('wpctl: tune: pool "default" has 2 workers now, it had 3\n')
    else:
        assert ended.returncode == 75 and ended.stderr.endswith('wpctl: tune: pool "default" keeps its 3 workers\n')
    check_put_back(daemon, 2 if doc["certain"] else 3)


@pytest.mark.short
def test_tasks_that_are_too_slow_with_any_size(daemon):
    ended = tune(daemon, "default", "--handler", "sleep", "--args", '{"ms":5}', *QUICK, "--yes", "--p99", "1ms")
    assert "no size keeps p99 at 1.00 ms: with 1 worker it is " in ended.stdout
    rows = cli.table(ended.stdout.split("\n\n")[0].splitlines())
    assert rows[0]["workers"] == "1" and all(float(row["p99"]) >= 5 and row["mark"] != "use" for row in rows)
    assert "keeps its 3 workers" in tune(daemon, "default", "--handler", "sleep", "--args", '{"ms":5}', *QUICK, "--yes", "--p99", "1ms",
                                         "--apply", code=75).stderr
    check_put_back(daemon)


@pytest.mark.short
def test_bursts_are_measured_at_every_power_of_two(daemon):
    args = ("default", "--handler", "sleep", "--args", '{"ms":2}', "--yes", "-q", "--burst", "12", "--max", "6")
    (doc,) = cli.Ctl(daemon.path).json("tune", *args)
    assert [point["workers"] for point in doc["points"]] == [1, 2, 4, 6] and doc["coarse"] == []
    for point in doc["points"]:
        assert len(point["samples"]) >= 10
        assert -(-12 // point["workers"]) * 2000 <= point["burst_us"]["min"] <= point["burst_us"]["median"] <= point["burst_us"]["max"]
    assert daemon.client().pool()["done"] == 12 * sum(len(point["samples"]) for point in doc["points"])
    rows = cli.table(tune(daemon, *args, "--budget", "0").stdout.split("\n\n")[0].splitlines())
    assert list(rows[0]) == HEAD[:4] + ["time", "time_min", "time_max"] + HEAD[4:]
    check_put_back(daemon)


@pytest.mark.short
def test_tasks_of_others_go_on(daemon):
    """One runs and one waits, both from before: they end as they would, and a third finds the room that is its own."""
    client = daemon.client()
    others = [client.call("Post", {"handler": "sleep", "args": {"ms": 400}})["id"] for _ in range(6)]
    with cli.Process(daemon.path, "tune", *SLEEP, "--yes", "-q") as process:
        daemon.until(lambda pool: pool["workers"] == 1 and pool["done"] > 20)
        others.append(client.call("Post", {"handler": "noop"})["id"])
        tasks = client.call("Wait", {"ids": others})["tasks"]
        assert [task["state"] for task in tasks] == ["done"] * 7
        process.signal(signal.SIGINT)
        assert process.end()[0] == 130
    check_put_back(daemon)


@pytest.mark.short
@pytest.mark.parametrize("args, code, word", [
    (["default"], 2, "--handler says what is posted"), ([], 2, "too few arguments"), (["nope", "--handler", "noop"], 4, "NoSuchPool"),
    (["default", "--handler", "nope"], 4, "NoSuchHandler"), (["default", "--handler", "noop", "--max", "0"], 2, "--max"),
    (["default", "--handler", "noop", "--args", "7"], 2, "--args: a JSON object is wanted"), (["default", "--handler", "noop", "--tolerance", "0"], 2, "--tolerance"),
    (["default", "--handler", "noop", "--plot", "/nowhere/x.svg"], 2, "--plot: /nowhere/x.svg: No such file"),
    (["default", "--handler", "sleep", "--args", '{"ms":"x"}'], 2, "InvalidParameter: args.ms"),
])
def test_tune_that_cannot_be_is_refused_and_changes_nothing(daemon, args, code, word):
    ended = tune(daemon, *args, "--yes", "-q", code=code)
    assert word in ended.stderr and ended.stderr.count("\n") == 1 and ended.stdout == ""
    assert daemon.client().pool()["posted"] == 0
    check_put_back(daemon)


@pytest.mark.short
def test_tune_of_a_paused_pool_is_code_3_and_changes_nothing(daemon):
    cli.Ctl(daemon.path)("pause", "default")
    assert "is paused" in tune(daemon, *SLEEP, "--yes", code=3).stderr
    cli.Ctl(daemon.path)("resume", "default")
    check_put_back(daemon)


@pytest.mark.short
def test_tune_is_for_admins(daemon, lacks):
    if os.geteuid() != 0:
        lacks("only root can become another user")
    os.chmod(daemon.path, 0o666)
    path = shutil.copy(cli.program("wpctl"), daemon.file("wpctl"))
    ended = subprocess.run([path, "-s", daemon.path, "tune", *SLEEP, "--yes"], capture_output=True, text=True, user=65534, group=65534,
                           extra_groups=[], check=False, timeout=3 * DEADLINE)
    assert ended.returncode == 77 and ended.stdout == "", ended
    assert daemon.client().pool()["posted"] == 0
