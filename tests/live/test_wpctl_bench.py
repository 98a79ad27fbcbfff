"""wpctl bench (wpctl.md, "the table of the program that this one descends from"): its lines, its summary, the marks, and the pool
put back as it was."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from kit import cli
from kit.client import DEADLINE

LINE = re.compile(r"CPU\[(\d+)\] Workers\[(\d+)\] AmountOfWork\[(\d+)\] Duration\[(\d+\.\d{6})\] MaxActive\[(\d+)\] MaxQueued\[(\d+)\]"
                  r"(?: Failed\[(\d+)\])?(?: Refused\[(\d+)\])?")
SUMMARY = re.compile(r"(\d+) *workers : (\d+\.\d{6}) :(?: ~(\d+) Milliseconds (Faster|Slower)| (the same))?")
TIMES = re.compile(r"(\d+) *workers : (\d+\.\d) tasks/s : total p50 (\S+ \S+), p90 (\S+ \S+), p99 (\S+ \S+)")
POOL = "[pool default]\nworkers = 3\ncapacity = 5\n"
SLEEP = '{"ms":30}'


class Table:
    """What bench prints, parsed; every line must be one of those that wpctl.md shows."""

    def __init__(self, text):
        runs, summary, times = text.split("\n\n")
        self.lines = [match.groups() for match in map(LINE.fullmatch, runs.splitlines()) if match]
        assert len(self.lines) == len(runs.splitlines()), runs
        self.summary = [SUMMARY.fullmatch(line).groups() for line in summary.splitlines()]
        self.times = [TIMES.fullmatch(line).groups() for line in times.splitlines()]

    def column(self, n):
        return [int(line[n]) for line in self.lines]

    @property
    def workers(self):
        return self.column(1)


@pytest.fixture
def daemon(start):
    return start(POOL)


def bench(daemon, *args, code=0):
    ended = cli.run(daemon.path, "bench", *args, seconds=12 * DEADLINE)
    assert ended.returncode == code, ended
    return ended


def check_put_back(daemon):
    pool = daemon.client().pool()
    assert (pool["workers"], pool["capacity"]) == (3, 5)


@pytest.mark.short
def test_a_line_for_each_run_and_a_summary(daemon):
    table = Table(bench(daemon, "sleep", SLEEP, "-n", "20", "--runs", "2", "--workers", "20,10,4").stdout)
    assert table.workers == [20, 10, 4] * 2, "the sizes of one run are interleaved"
    assert set(table.column(0)) == {os.sysconf("SC_NPROCESSORS_ONLN")} and set(table.column(2)) == {20}
    assert table.column(4) == table.workers, "MaxActive"
    assert table.column(5) == [20 - n for n in table.workers], "MaxQueued"
    assert [int(line[0]) for line in table.summary] == [int(line[0]) for line in table.times] == [20, 10, 4]
    check_put_back(daemon)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 64, 24, 8, 1])
def test_a_hundred_tasks_on_fewer_workers_queue_the_rest(daemon, n):
    """MaxQueued is 100 - N and MaxActive N, in every run; the duration is that of the rounds it takes."""
    ms = 100 if n >= 8 else 10
    table = Table(bench(daemon, "sleep", f'{{"ms":{ms}}}', "--runs", "2", "--workers", n).stdout)
    assert table.column(4) == [n, n] and table.column(5) == [100 - n, 100 - n]
    rounds = -(-100 // n) * ms / 1000
    for line in table.lines:
        assert rounds <= float(line[3]) < 2 * rounds + 1


@pytest.mark.slow
def test_default_is_five_runs_of_a_hundred_tasks_with_100_64_24_8_workers(daemon):
    table = Table(bench(daemon, "noop").stdout)
    assert table.workers == [100, 64, 24, 8] * 5 and set(table.column(2)) == {100}
    assert [int(line[0]) for line in table.summary] == [100, 64, 24, 8]
    check_put_back(daemon)


@pytest.mark.short
def test_summary_is_the_mean_and_the_difference_to_the_first(daemon):
    table = Table(bench(daemon, "sleep", SLEEP, "-n", "12", "--runs", "3", "--workers", "12,3,6").stdout)
    means = [sum(float(line[3]) for line in table.lines if int(line[1]) == n) / 3 for n in (12, 3, 6)]
    for i, (_, mean, difference, word, same) in enumerate(table.summary):
        assert abs(float(mean) - means[i]) < 2e-6
        if i == 0:
            assert difference is same is None
        elif same:
            assert abs(means[0] - means[i]) < 0.002
        else:
            ms = abs(means[0] - means[i]) * 1000
            assert abs(int(difference) - ms) <= (0.6 if ms < 99 else 5.6) and word == ("Slower" if means[i] > means[0] else "Faster")
    assert table.summary[1][3] == "Slower", "three workers take four rounds"


@pytest.mark.short
def test_json_has_the_same_numbers(daemon):
    (doc,) = cli.Ctl(daemon.path).json("bench", "sleep", '{"ms":400}', "-n", "8", "--runs", "2", "--workers", "4,8", "-c", "3")
    assert (doc["handler"], doc["pool"], doc["tasks"], doc["connections"]) == ("sleep", "default", 8, 3)
    assert [(run["workers"], run["max_active"], run["max_queued"], run["done"], run["failed"], run["refused"]) for run in doc["runs"]] == [
        (4, 4, 4, 8, 0, 0), (8, 8, 0, 8, 0, 0)] * 2
    assert [size["workers"] for size in doc["sizes"]] == [4, 8]
    for size in doc["sizes"]:
        durations = [run["duration"] for run in doc["runs"] if run["workers"] == size["workers"]]
        assert abs(size["duration"] - sum(durations) / 2) < 1e-6 and size["p99_us"] >= size["p50_us"] > 30_000
    check_put_back(daemon)


@pytest.mark.short
@pytest.mark.parametrize("connections", ["1", "2", "64"])
def test_posts_may_come_over_several_connections(daemon, connections):
    table = Table(bench(daemon, "noop", "-n", "500", "--runs", "1", "--workers", "4", "-c", connections).stdout)
    assert table.column(2) == [500]
    assert daemon.client().pool()["done"] == 500


@pytest.mark.short
def test_tasks_that_fail_are_counted_and_code_1(daemon):
    ended = bench(daemon, "fail", '{"error":"x"}', "-n", "10", "--runs", "1", "--workers", "2", code=1)
    assert " Failed[10]" in ended.stdout
    assert ended.stderr == "wpctl: bench: 10 of 10 tasks failed, 0 were refused\n"
    check_put_back(daemon)


@pytest.mark.short
def test_tasks_of_a_short_history_still_count(start):
    daemon = start("[daemon]\nhistory_max = 5\n" + POOL)
    ended = bench(daemon, "noop", "-n", "200", "--runs", "1", "--workers", "4")
    Table(ended.stdout)
    assert ended.stderr == "" or "forgotten" in ended.stderr
    assert daemon.client().pool()["done"] == 200


@pytest.mark.short
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_bench_puts_the_pool_back(daemon, number):
    with cli.Process(daemon.path, "bench", "sleep", '{"ms":100}', "-n", "1000", "--workers", "7") as process:
        daemon.until(lambda pool: pool["workers"] == 7 and pool["capacity"] == 1000 and pool["active"] == 7)
        process.signal(number)
        assert process.end()[0] == 128 + number
    check_put_back(daemon)


@pytest.mark.short
def test_interrupted_bench_on_a_terminal_puts_the_pool_back(daemon):
    with cli.Terminal(daemon.path, "bench", "sleep", '{"ms":100}', "-n", "1000", "--workers", "7") as terminal:
        daemon.until(lambda pool: pool["workers"] == 7 and pool["active"] == 7)
        terminal.type("\x03")
        assert terminal.end()[0] == 130
    check_put_back(daemon)


@pytest.mark.short
def test_bench_to_a_closed_pipe_puts_the_pool_back(daemon):
    with cli.Process(daemon.path, "bench", "sleep", '{"ms":5}', "-n", "10", "--runs", "1000", "--workers", "7") as process:
        process.read_until(lambda text: "\n" in text)
        process.process.stdout.close()
        process.process.stdout = None
        code, _, err = process.end()
    assert (code, err) == (141, "")
    check_put_back(daemon)


@pytest.mark.short
def test_bench_whose_deadline_passes_is_code_124_and_puts_the_pool_back(daemon):
    ended = bench(daemon, "sleep", '{"ms":60000}', "-n", "10", "--workers", "7", "--timeout", "400ms", code=124)
    assert "in time" in ended.stderr
    check_put_back(daemon)


@pytest.mark.short
def test_bench_of_a_paused_pool_is_code_3_and_changes_nothing(daemon):
    cli.Ctl(daemon.path)("pause", "default")
    assert "is paused" in bench(daemon, "noop", code=3).stderr
    assert daemon.client().pool()["posted"] == 0
    check_put_back(daemon)
    cli.Ctl(daemon.path)("resume", "default")


@pytest.mark.short
@pytest.mark.parametrize("args, code, word", [
    (["nope"], 4, "NoSuchHandler"), (["noop", "-p", "nope"], 4, "NoSuchPool"), (["noop", "--workers", "0"], 2, "--workers"),
    (["noop", "--workers", "8,x"], 2, "--workers"), (["noop", "--workers", ",".join("1" * 17)], 2, "--workers"),
    (["noop", "--workers", "100000"], 2, "InvalidParameter: workers"), (["sleep", '{"ms":"x"}'], 2, "InvalidParameter: args.ms"),
    (["sleep", '{"ms":"x"}', "--closed", "-c", "5"], 2, "InvalidParameter: args.ms"),
])
def test_bench_that_cannot_be_is_refused_and_changes_nothing(daemon, args, code, word):
    ended = bench(daemon, *args, code=code)
    assert word in ended.stderr and ended.stderr.count("\n") == 1 and ended.stdout == ""
    check_put_back(daemon)


@pytest.mark.short
def test_bench_uses_the_pool_of_the_handler_or_the_one_that_is_named(start):
    daemon = start(POOL + "[pool other]\nworkers = 2\n[handler noop]\npool = other\n")
    bench(daemon, "noop", "-n", "7", "--runs", "1", "--workers", "3")
    client = daemon.client()
    assert (client.pool("other")["done"], client.pool()["done"], client.pool("other")["workers"]) == (7, 0, 2)
    bench(daemon, "noop", "-n", "9", "--runs", "1", "--workers", "4", "-p", "default")
    assert (client.pool("other")["done"], client.pool()["done"]) == (7, 9)
    check_put_back(daemon)


@pytest.mark.short
def test_bench_of_someone_who_may_only_post_takes_the_pool_as_it_is(start, lacks):
    if os.geteuid() != 0:
        lacks("only root can become another user")
    daemon = start("[pool default]\nworkers = 3\ncapacity = 50\n")
    os.chmod(daemon.path, 0o666)
    path = shutil.copy(cli.program("wpctl"), daemon.file("wpctl"))
    ended = subprocess.run([path, "-s", daemon.path, "bench", "sleep", '{"ms":10}', "-n", "30", "--runs", "2"], capture_output=True,
                           text=True, user=65534, group=65534, extra_groups=[], check=False, timeout=3 * DEADLINE)
    assert ended.returncode == 0, ended
    assert "only an admin may resize: 3 workers as they are" in ended.stderr
    assert Table(ended.stdout).workers == [3, 3]


@pytest.mark.short
def test_bench_drains_nothing_of_others(daemon):
    """A task that is there already stays, and counts for itself."""
    client = daemon.client()
    client.send("Post", {"handler": "sleep", "args": {"ms": 1000}, "wait": True})
    daemon.until(lambda pool: pool["active"] == 1)
    bench(daemon, "noop", "-n", "20", "--runs", "2", "--workers", "4,2")
    assert client.recv()["task"]["state"] == "done"
    check_put_back(daemon)


# Loads that last.

def rows(daemon, *args, **options):
    return cli.table(bench(daemon, *args, **options).stdout.splitlines())


@pytest.mark.short
def test_open_load_posts_at_its_rate_whatever_becomes_of_the_posts(daemon):
    """A worker does 50 tasks a second, 200 come: without a pause the queue is full, and who waits in it waits from when its post was due."""
    cli.Ctl(daemon.path)("resize", "default", "1")
    ended = bench(daemon, "sleep", '{"ms":20}', "--rate", "200", "-n", "100", code=1)
    (row,) = cli.table(ended.stdout.splitlines())
    assert int(row["done"]) + int(row["refused"]) == 100 and int(row["failed"]) == 0
    assert int(row["refused"]) > 0 and f"0 of 100 tasks failed, {row['refused']} were refused" in ended.stderr
    assert row["workers"] == "1" and float(row["p50"]) > float(row["run_p50"]) >= 20, "the queue counts"
    pool = daemon.client().pool()
    assert (pool["workers"], pool["capacity"], pool["refused"]) == (1, 5, int(row["refused"])), "nobody asked for another size"
    cli.Ctl(daemon.path)("resize", "default", "3")


@pytest.mark.short
def test_json_of_an_open_load_has_all(start):
    daemon = start("[pool default]\nworkers = 2\n")
    # On a busy machine a line on standard error says that posts were late.
    doc = json.loads(bench(daemon, "noop", "--rate", "500", "-n", "50", "--runs", "2", "--workers", "3,1", "--json").stdout)
    assert (doc["mode"], doc["rate_wanted"], doc["tasks"], doc["handler"]) == ("open", 500, 50, "noop")
    assert [run["workers"] for run in doc["runs"]] == [3, 1, 3, 1] and [size["workers"] for size in doc["sizes"]] == [3, 1]
    for run in doc["runs"]:
        assert run["done"] == 50 and run["p50_us"] <= run["p90_us"] <= run["p99_us"] <= run["p999_us"] <= run["max_us"]
        assert 0 < run["run_us"]["p50"] <= run["max_us"] and run["duration"] >= 49 / 500
    assert daemon.client().pool()["workers"] == 2


@pytest.mark.short
def test_closed_load_has_a_task_under_way_for_each_connection(daemon):
    (row,) = rows(daemon, "sleep", '{"ms":5}', "--closed", "-c", "7", "-n", "100", "--workers", "7")
    assert (row["workers"], row["done"], row["refused"]) == ("7", "100", "0")
    pool = daemon.client().pool()
    assert pool["max_active"] == 7 and pool["max_queued"] <= 5
    check_put_back(daemon)


@pytest.mark.short
def test_load_that_lasts_needs_no_admin_for_a_size_that_is_there(start, lacks):
    if os.geteuid() != 0:
        lacks("only root can become another user")
    daemon = start(POOL)
    os.chmod(daemon.path, 0o666)
    path = shutil.copy(cli.program("wpctl"), daemon.file("wpctl"))
    for more, code in (((), 0), (("--workers", "4"), 77)):
        ended = subprocess.run([path, "-s", daemon.path, "bench", "noop", "--closed", "-n", "30", *more], capture_output=True,
                               text=True, user=65534, group=65534, extra_groups=[], check=False, timeout=3 * DEADLINE)
        assert ended.returncode == code, ended


@pytest.mark.short
@pytest.mark.parametrize("load", [["--rate", "1000"], ["--closed", "-c", "8"]])
def test_interrupted_load_takes_its_tasks_back(daemon, load):
    with cli.Process(daemon.path, "bench", "sleep", '{"ms":60000}', "-n", "500", "--workers", "4", *load) as process:
        daemon.until(lambda pool: pool["active"] == 4 and pool["queued"] > 0)
        process.signal(signal.SIGINT)
        assert process.end()[0] == 130
    daemon.until(lambda pool: pool["active"] == pool["queued"] == 0)
    check_put_back(daemon)


@pytest.mark.short
def test_load_ends_when_the_pool_is_paused(daemon):
    with cli.Process(daemon.path, "bench", "sleep", '{"ms":5}', "-n", "100000", "--closed", "--workers", "4") as process:
        daemon.until(lambda pool: pool["done"] > 3)
        cli.Ctl(daemon.path)("pause", "default")
        code, _, err = process.end()
    assert code == 3 and 'pool "default" was paused' in err
    check_put_back(daemon)
    cli.Ctl(daemon.path)("resume", "default")


@pytest.mark.short
def test_progress_is_shown_on_a_terminal_only(daemon):
    text = cli.on_terminal(daemon.path, "bench", "sleep", '{"ms":20}', "--closed", "-n", "50")
    assert " of 50 posted, " in text and text.rstrip().count("\n") == 1, "the table alone is left"
    assert " of 30 posted, " in cli.on_terminal(daemon.path, "bench", "sleep", '{"ms":60}', "-n", "30", "--runs", "1", "--workers", "3")
    assert bench(daemon, "noop", "--closed", "-n", "50").stderr == ""


@pytest.mark.short
def test_compare_prints_ratios_to_an_earlier_run(daemon):
    args = ["bench", "sleep", '{"ms":5}', "--closed", "-c", "4", "-n", "40", "--workers", "4,2"]
    earlier = cli.Ctl(daemon.path)("-j", *args)
    path = daemon.write("earlier", earlier)
    before, now = bench(daemon, *args[1:], "--compare", path).stdout.split("\n\n")
    assert len(cli.table(before.splitlines())) == 2
    for row, size in zip(cli.table(now.splitlines()), json.loads(earlier)["sizes"]):
        assert int(row["workers"]) == size["workers"] and abs(float(row["ended/s_before"]) - size["rate"]) < 0.001
        assert abs(float(row["ended/s_ratio"]) - float(row["ended/s"]) / size["rate"]) < 0.001
        assert abs(float(row["p50_before"]) - size["p50_us"] / 1000) < 0.001
    (doc,) = cli.Ctl(daemon.path).json(*args, "--compare", path)
    assert [row["workers"] for row in doc["compared"]] == [4, 2] and doc["compared"][0]["rate_before"] == json.loads(earlier)["sizes"][0]["rate"]
    ended = bench(daemon, *args[1:], "--compare", path, "-n", "20", "--workers", "4")
    assert ended.stderr == 'wpctl: bench: compared with another load: "tasks" is not the same\n'


@pytest.mark.short
@pytest.mark.parametrize("args, word", [
    (["--rate", "5", "--closed"], "either --rate or --closed"), (["--rate", "0"], "--rate"), (["--compare", "/nowhere"], "--compare: /nowhere: No such file"),
    (["--compare", "FILE"], "not what wpctl bench --json writes"),
])
def test_load_that_makes_no_sense_is_refused_before_it_begins(daemon, args, word):
    args = [daemon.write("file", '{"sizes":[]}') if arg == "FILE" else arg for arg in args]
    assert word in bench(daemon, "noop", *args, code=2).stderr
    assert daemon.client().pool()["posted"] == 0
