"""wpctl's verbs for the daemon and its pools: status, stats, pools, handlers, ping, describe, resize, pause, resume, drain,
shutdown. On a pipe, with -j and on a terminal."""
import json
import os
import re
import signal
import time

import pytest

from kit import cli

pytestmark = pytest.mark.short
TWO = "[pool default]\nworkers = 2\n[pool mail]\nworkers = 3\ncapacity = 7\n"
ANSI = "\x1b["
STATUS_TITLES = ["pool", "state", "workers", "rule", "hosts", "hosts_up", "active", "queued", "capacity", "max_active",
                 "max_queued", "done", "failed", "refused", "per_s"]
LEVEL_TITLES = ["pool", "workers", "active", "max_active", "capacity", "queued", "max_queued", "delayed", "room", "per_s_now", "per_s_1min"]
COUNTERS = {"done", "failed", "cancelled", "expired", "lost", "posted", "refused", "retried"}


@pytest.fixture
def ctl(start):
    daemon = start(TWO)
    ctl = cli.Ctl(daemon.path)
    ctl.daemon = daemon
    return ctl


# status

def test_status_on_a_pipe_is_fields_and_a_table(ctl):
    lines = ctl("status").splitlines()
    n = next(i for i, line in enumerate(lines) if line.startswith("pool\t"))
    fields = dict(line.split("\t") for line in lines[:n])
    assert {"daemon": "running", "pid": str(ctl.daemon.pid), "socket": ctl.daemon.path, "store": "memory", "role": "admin",
            "uid": str(os.getuid())}.items() <= fields.items()
    assert fields["up"].isdigit() and re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    rows = cli.table(lines[n:])
    assert list(rows[0]) == STATUS_TITLES
    assert [(row["pool"], row["state"], row["workers"], row["capacity"]) for row in rows] == [
        ("default", "running", "2", "100"), ("mail", "running", "3", "7")]


def test_status_names_the_rule_and_the_number_that_it_gave(start):
    """The default is 3/core, for the processors that the daemon may use; who sets a number replaces the rule."""
    cores = len(os.sched_getaffinity(0))
    daemon = start("[pool mail]\nworkers = 5\n")
    ctl = cli.Ctl(daemon.path)

    def rules():
        text = ctl("status")
        return [(row["pool"], row["workers"], row["rule"]) for row in cli.table(text[text.index("pool\t"):].splitlines())]

    assert rules() == [("default", str(3 * cores), "3/core"), ("mail", "5", "5")]
    ctl("resize", "default", "4")
    assert rules()[0] == ("default", "4", "4")


def test_status_of_named_pools_only_in_their_order(ctl):
    lines = ctl("status", "mail", "default").splitlines()
    assert [line.split("\t")[0] for line in lines[-2:]] == ["mail", "default"]
    assert "default" not in ctl("status", "mail")
    assert ctl.error("status", "nope", code=4) == 'NoSuchPool: there is no pool "nope"'


def test_status_is_code_3_while_a_pool_is_paused_and_says_so(ctl):
    ctl("pause", "mail")
    text = ctl("status", code=3, lines=0)
    assert 'wrong\tpool "mail" is paused (wpctl resume)\n' in text and "\nmail\tpaused\t" in text
    ctl("status", "default")
    ctl("status", "mail", code=3, lines=0)
    assert ctl.json("status", code=3, lines=0)[0]["pools"][1]["paused"] is True
    ctl("resume", "mail")
    assert "wrong" not in ctl("status")


def test_status_tells_a_full_queue(ctl):
    ctl("resize", "mail", "--capacity", "1")
    ctl("pause", "mail")
    ctl("post", "noop", "-p", "mail")
    assert 'wrong\tpool "mail" is full: posts are refused\n' in ctl("status", code=3, lines=0)


def test_status_is_code_3_while_the_daemon_stops(ctl):
    ctl("post", "sleep", '{"ms":60000}')
    ctl.daemon.until(lambda pool: pool["active"] == 1)
    with cli.Process(ctl.path, "shutdown", "--finish"):
        ctl.daemon.wait_note("STOPPING=1")
        text = ctl("status", code=3, lines=0)
        assert text.startswith("daemon\tstopping\n") and "wrong\tthe daemon is stopping\n" in text
        assert ctl.error("post", "noop", code=75).startswith("ShuttingDown: the daemon is stopping (finish)")
        ctl("shutdown", "--now")
    assert ctl.daemon.wait_exit() == 0


@pytest.mark.parametrize("args", [["status"], ["stats"], ["pools"], ["handlers"], ["list"], ["show", "1"], ["ping"], ["describe"],
                                  ["resize", "default", "2"], ["drain", "mail"], ["pause", "mail"], ["resume", "mail"],
                                  ["post", "noop"], ["wait", "1"], ["call", "Stats"], ["stats", "default", "mail"]], ids=" ".join)
def test_json_is_exactly_the_replys_parameters(ctl, args):
    """A document a line, of the fields of the interface's own method: the description says which."""
    ctl("post", "noop", "--wait")
    docs = ctl.json(*args)
    method = {"status": "Stats", "stats": "Stats", "pools": "Stats", "handlers": "Handlers", "list": "List", "show": "Show",
              "ping": "org.varlink.service.GetInfo", "describe": "org.varlink.service.GetInterfaceDescription", "resize": "Resize",
              "drain": "Drain", "pause": "Pause", "resume": "Resume", "post": "Post", "wait": "Wait", "call": "Stats"}[args[0]]
    ctl.daemon.client()  # reads the description
    for doc in docs:
        ctl.daemon.interfaces.check_reply(cli_full(method), {"parameters": doc})
    assert len(docs) == (2 if args == ["stats", "default", "mail"] else 1)
    ctl("resume", "mail")


def cli_full(method):
    return method if "." in method else "org.workpool." + method


# stats

def test_stats_are_three_tables(ctl):
    ctl("post", "noop", "--wait")
    ctl("post", "fail", '{"error":"x"}', "--wait", code=1)
    levels, counters, times = [cli.table(block.splitlines()) for block in ctl("stats").split("\n\n")]
    assert list(levels[0]) == LEVEL_TITLES and [row["pool"] for row in levels] == ["default", "mail"]
    assert COUNTERS <= set(counters[0])
    assert (counters[0]["posted"], counters[0]["done"], counters[0]["failed"]) == ("2", "1", "1")
    assert [(row["pool"], row["time"]) for row in times] == [(pool, time) for pool in ("default", "mail") for time in ("wait", "run", "total")]
    assert times[1]["count"] == "2" and re.fullmatch(r"\d+\.\d{3}", times[1]["p50"])


def test_stats_without_legend_have_no_titles(ctl):
    blocks = ctl("--no-legend", "stats", "mail").split("\n\n")
    assert [block.splitlines()[0].split("\t")[0] for block in blocks] == ["mail"] * 3
    assert [len(block.splitlines()) for block in blocks] == [1, 1, 3]


def test_stats_reset_marks_shows_them_before_they_begin_again(ctl):
    for _ in range(2):
        ctl("post", "noop", "--wait")
    levels = cli.table(ctl("stats", "default", "--reset-marks").split("\n\n")[0].splitlines())
    assert levels[0]["max_active"] != "0"
    pool = ctl.daemon.client().pool()
    assert pool["max_active"] == 0 and pool["total_us"]["count"] == 0 and pool["done"] == 2


@pytest.mark.parametrize("pool", [[], ["mail"]])
def test_stats_watch_repeats_until_it_is_interrupted(ctl, pool):
    with cli.Process(ctl.path, "-j", "stats", "--watch=100ms", *pool) as watching:
        lines = watching.read_until(lambda text: text.count("\n") >= 3).splitlines()
        assert len(json.loads(lines[2])["pools"]) == (1 if pool else 2)
        watching.signal(signal.SIGINT)
        assert watching.end()[0] == 130


def test_stats_watch_on_a_pipe_repeats_tables(ctl):
    with cli.Process(ctl.path, "stats", "--watch=100ms", "mail") as watching:
        text = watching.read_until(lambda text: text.count("\tmax_active\t") >= 2 or text.count("mail\t3\t") >= 3)
        assert "mail\t3\t0\t0\t7\t" in text


def test_stats_watch_to_a_closed_pipe_ends_without_a_word(ctl):
    with cli.Process(ctl.path, "-j", "stats", "--watch=100ms") as watching:
        watching.read_until(lambda text: "\n" in text)
        watching.process.stdout.close()
        watching.process.stdout = None
        code, _, err = watching.end()
    assert (code, err) == (141, "")
    for reply in ctl.daemon.watch():  # and the daemon has only us
        if reply["daemon"]["connections"] == 1:
            break


def test_output_to_a_full_disk_is_told(ctl, lacks):
    if not os.path.exists("/dev/full"):
        lacks("there is no /dev/full")
    with open("/dev/full", "wb") as full, cli.Process(ctl.path, "stats", stdout=full) as process:
        code, _, err = process.end()
    assert code == 1 and err == "wpctl: standard output: No space left on device\n"


# what there is

def test_pools_are_listed_with_live_numbers(ctl):
    rows = ctl.rows("pools")
    assert [(row["pool"], row["workers"], row["rule"], row["capacity"], row["paused"], row["host"]) for row in rows] == [
        ("default", "2", "2", "100", "no", "up"), ("mail", "3", "3", "7", "no", "up")]
    assert all(int(row["host_pid"]) > 0 for row in rows)


def test_handlers_are_listed_and_with_v_their_arguments(ctl):
    ctl("post", "noop", "--wait")
    rows = {row["handler"]: row for row in ctl.rows("handlers")}
    assert {"noop", "echo", "sleep", "fail"} <= set(rows)
    assert (rows["noop"]["type"], rows["noop"]["pool"], rows["noop"]["done"]) == ("builtin", "default", "1")
    ended = cli.run(ctl.path, "-v", "handlers")
    assert ended.returncode == 0 and ended.stderr == f"wpctl: socket {ctl.path}\n"
    params = cli.table(ended.stdout.split("\n\n")[1].splitlines())
    (ms,) = [row for row in params if row["handler"] == "sleep"]
    assert (ms["argument"], ms["type"]) == ("ms", "int")


def test_ping_measures_a_round_trip(ctl):
    fields = ctl.fields("ping")
    assert 0 < float(fields["round_trip"]) < 1000 and fields["product"] and fields["version"]


@pytest.mark.parametrize("args, word", [([], "interface org.workpool"), (["org.workpool"], "method Post"),
                                        (["org.varlink.service"], "method GetInfo")])
def test_describe_prints_the_interface_as_it_is(ctl, args, word):
    text = ctl("describe", *args)
    assert word in text
    client = ctl.daemon.client()
    assert client.call("org.varlink.service.GetInterfaceDescription", {"interface": (args or ["org.workpool"])[0]})["description"] == text
    assert ctl.error("describe", "com.example.x", code=2).startswith("InterfaceNotFound")


# resize

@pytest.mark.parametrize("args, workers, capacity", [
    (["5"], 5, 7), (["+4"], 7, 7), (["-2"], 1, 7), (["--capacity", "9"], 3, 9), (["8", "--capacity=0"], 8, 0), (["3"], 3, 7),
    (["1024"], 1024, 7),
])
def test_resize_sets_workers_and_capacity(ctl, args, workers, capacity):
    (row,) = ctl.rows("resize", "mail", *args)
    assert row == {"pool": "mail", "workers_before": "3", "workers": str(workers), "capacity_before": "7", "capacity": str(capacity)}
    pool = ctl.daemon.client().pool("mail")
    assert (pool["workers"], pool["capacity"]) == (workers, capacity)


@pytest.mark.parametrize("args, word", [(["0"], "workers"), (["-3"], "workers"), (["-4"], "workers"), (["+1022"], "workers"), (["1025"], "workers")])
def test_resize_out_of_range_is_refused_and_changes_nothing(ctl, args, word):
    assert ctl.error("resize", "mail", *args, code=2).startswith(f"InvalidParameter: {word}")
    assert ctl.daemon.client().pool("mail")["workers"] == 3
    assert ctl.error("resize", "nope", "3", code=4).startswith("NoSuchPool")


def test_resize_with_wait_returns_when_the_leaving_workers_are_gone(ctl):
    for _ in range(2):
        ctl("post", "sleep", '{"ms":400}')
    ctl.daemon.until(lambda pool: pool["active"] == 2)
    ctl("resize", "default", "1", "--wait")
    pool = ctl.daemon.client().pool()
    assert pool["leaving"] == 0 and pool["active"] <= 1 and pool["workers"] == 1


# pause, resume, drain

def test_pause_and_resume_of_named_and_of_all_pools(ctl):
    def paused():
        return [pool["paused"] for pool in ctl.daemon.client().call("Stats")["pools"]]

    assert ctl("pause", "mail") == "" and paused() == [False, True]
    assert ctl("pause", "default", "mail") == "" and paused() == [True, True]
    assert ctl("resume", "mail") == "" and paused() == [True, False]
    assert ctl("pause", "--all") == "" and paused() == [True, True]
    assert ctl("resume", "--all") == "" and paused() == [False, False]
    assert ctl.error("pause", "nope", code=4).startswith("NoSuchPool")


def test_pause_of_several_tries_all_though_one_is_not_there(ctl):
    assert "nope" in ctl.error("pause", "nope", "mail", code=4)
    assert ctl.daemon.client().pool("mail")["paused"] is True


def test_pause_for_a_time_resumes_then(ctl):
    with cli.Process(ctl.path, "pause", "mail", "--for", "300ms") as pausing:
        ctl.daemon.until(lambda pool: pool["paused"], pool="mail")
        began = time.monotonic()
        assert pausing.end() == (0, "", "")
        assert time.monotonic() - began < 2
    assert ctl.daemon.client().pool("mail")["paused"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_pause_resumes_at_once(ctl, number):
    with cli.Process(ctl.path, "pause", "--all", "--for", "1h") as pausing:
        ctl.daemon.until(lambda pool: pool["paused"], pool="mail")
        pausing.signal(number)
        assert pausing.end()[0] == 128 + number
    assert not any(pool["paused"] for pool in ctl.daemon.client().call("Stats")["pools"])


def test_pause_for_a_time_of_a_pool_that_is_not_there_leaves_none_paused(ctl):
    began = time.monotonic()
    assert cli.run(ctl.path, "pause", "mail", "nope", "--for", "1h").returncode == 4
    assert time.monotonic() - began < 5
    assert ctl.daemon.client().pool("mail")["paused"] is False


def test_drain_waits_until_nothing_is_left(ctl):
    ctl("post", "sleep", '{"ms":300}')
    (row,) = ctl.rows("drain", "default")
    assert row == {"pool": "default", "drained": "yes", "queued": "0", "active": "0"}
    assert ctl.daemon.client().pool()["done"] == 1
    assert [row["pool"] for row in ctl.rows("drain", "default", "mail")] == ["default", "mail"]
    assert [row["pool"] for row in ctl.rows("drain", "--all")] == ["all"]


@pytest.mark.parametrize("args", [["default"], ["--all"], ["mail", "default"]])
def test_drain_that_takes_too_long_is_code_124(ctl, args):
    ctl("post", "sleep", '{"ms":60000}')
    began = time.monotonic()
    ended = cli.run(ctl.path, "drain", *args, "--timeout", "200ms")
    assert ended.returncode == 124 and re.fullmatch(r"wpctl: drain: (all pools|default): not empty in time\n", ended.stderr)
    assert ended.stdout.splitlines()[-1].split("\t")[1:] == ["no", "0", "1"]
    assert 0.2 <= time.monotonic() - began < 1.5


def test_interrupted_drain_is_code_130(ctl):
    ctl("post", "sleep", '{"ms":60000}')
    with cli.Terminal(ctl.path, "drain", "--all") as draining:
        draining.read_until(lambda text: "all pools: 0 queued, 1 active" in text)
        draining.type("\x03")
        assert draining.end()[0] == 130
    ctl("post", "noop", "--wait")


@pytest.mark.parametrize("args, code", [(["drain", "--all"], 130), (["shutdown", "--finish"], 0)], ids=["drain", "shutdown"])
def test_progress_of_json_is_seen_while_it_goes_on(ctl, args, code):
    ctl("post", "sleep", '{"ms":60000}')
    ctl.daemon.until(lambda pool: pool["active"] == 1)
    with cli.Process(ctl.path, "-j", *args) as process:
        text = process.read_until(lambda text: "\n" in text, seconds=3)
        assert json.loads(text.splitlines()[0])["active"] == 1
        if code == 0:
            ctl("shutdown", "--now")
        else:
            process.signal(signal.SIGINT)
        assert process.end()[0] == code
    if code == 0:
        assert ctl.daemon.wait_exit() == 0


# shutdown

@pytest.mark.parametrize("flags, ends", [(["--drain"], {"done": "3", "cancelled": "0"}), (["--finish"], {"done": "2", "cancelled": "1"}),
                                         ([], {"done": "2", "cancelled": "1"}), (["--now"], {"done": "0", "cancelled": "3"})])
def test_shutdown_ends_the_daemon_as_it_is_told(ctl, flags, ends):
    for _ in range(3):
        ctl("post", "sleep", '{"ms":400}')
    ctl.daemon.until(lambda pool: pool["active"] == 2 and pool["queued"] == 1)
    fields = ctl.fields("shutdown", *flags)
    assert ends.items() <= fields.items() and fields["queued"] == fields["active"] == "0", fields
    # It came back when the daemon had closed: the rest is a moment.
    assert ctl.daemon.wait_exit(2) == 0
    assert ctl.error("--timeout", "10ms", "status", code=69)


def test_shutdown_with_timeout_ends_what_takes_longer(ctl):
    ctl("post", "sleep", '{"ms":60000}')
    ctl.daemon.until(lambda pool: pool["active"] == 1)
    began = time.monotonic()
    assert ctl.fields("shutdown", "--drain", "--timeout", "300ms")["cancelled"] == "1"
    assert 0.3 <= time.monotonic() - began < 3
    assert ctl.daemon.wait_exit() == 0


def test_shutdown_with_j_shows_progress_and_quiet_nothing(start):
    ctl = cli.Ctl((daemon := start(TWO)).path)
    docs = ctl.json("shutdown")
    assert docs and docs[-1]["active"] == 0 and set(docs[-1]) >= {"queued", "active", "done", "failed", "cancelled"}
    assert daemon.wait_exit() == 0
    ctl = cli.Ctl((daemon := start(TWO)).path)
    assert ctl("-q", "shutdown") == ""
    assert daemon.wait_exit() == 0


# terminals

def without_progress(text):
    """The lines that a terminal keeps."""
    return re.sub(r"\r[^\n]*?\x1b\[K", "", text)


@pytest.mark.parametrize("args, titles", [(["status"], "POOL"), (["list"], "ID"), (["pools"], "POOL"), (["handlers"], "HANDLER"),
                                          (["stats"], "POOL"), (["resize", "mail", "3"], "POOL"), (["drain", "mail"], "POOL")])
def test_terminal_gets_an_aligned_table_with_titles_in_capitals(ctl, args, titles):
    ctl("post", "noop", "--wait")
    text = cli.on_terminal(ctl.path, "--color", "never", *args)
    text = without_progress(text)
    assert "\t" not in text and ANSI not in text
    lines = text.splitlines()
    n = next(i for i, line in enumerate(lines) if line.startswith(titles))
    assert "_" not in lines[n]
    assert len(lines[n + 1]) > len(titles)
    assert cli.run(ctl.path, *args).stdout.split("\t")[0] != lines[n], "a pipe gets another form"


def test_columns_of_a_terminal_stand_under_each_other(ctl):
    lines = cli.on_terminal(ctl.path, "pools", "--color=never").splitlines()
    at = lines[0].index("HOST")
    assert [line[at:at + 2] for line in lines[1:]] == ["up", "up"]
    assert [line[:9] for line in lines] == ["POOL     ", "default  ", "mail     "]


@pytest.mark.parametrize("flags, env, coloured", [([], {}, True), (["--color", "never"], {}, False), ([], {"NO_COLOR": "1"}, False),
                                                  ([], {"NO_COLOR": ""}, True), (["--color=always"], {"NO_COLOR": "1"}, True)])
def test_terminal_has_colours_unless_told_otherwise(ctl, flags, env, coloured):
    text = cli.on_terminal(ctl.path, *flags, "status", env=env)
    assert (ANSI + "32mrunning" in text) is coloured
    assert ANSI not in cli.run(ctl.path, "status", env=env).stdout
    assert ANSI + "32mrunning" in cli.run(ctl.path, "--color", "always", "status", env=env).stdout


def test_terminal_shows_durations_and_times_for_people(ctl):
    ctl("post", "sleep", '{"ms":120}', "--wait")
    text = cli.on_terminal(ctl.path, "--color=never", "show", "1")
    assert re.search(r"^ *run  1\d\d ms$", text, re.M) and re.search(r"^ *timeout  30min 0s$", text, re.M), text
    assert re.search(r"^ *ended  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", text, re.M)
    fields = ctl.fields("show", "1")
    assert 120 <= float(fields["run"]) < 1000 and fields["timeout"] == "1800000"


def test_terminal_shows_the_progress_of_a_batch_and_a_drain(ctl, tmp_path):
    (tmp_path / "posts").write_text('{"handler":"sleep","args":{"ms":20}}\n' * 40)
    text = cli.on_terminal(ctl.path, "batch", "--rate", "100", tmp_path / "posts")
    assert re.search(r"\r\[#* *\] +\d+ %  \d+ posted, 0 refused, \d+/s", text), text
    text = cli.on_terminal(ctl.path, "drain", "default")
    assert re.search(r"\rdefault: \d+ queued, \d+ active", text)
    assert not re.search(r"\rdefault: \d+ queued", cli.on_terminal(ctl.path, "-q", "drain", "default"))


@pytest.mark.parametrize("args", [["drain", "default"], ["shutdown", "--drain"]], ids=["drain", "shutdown"])
def test_progress_on_a_terminal_stays_until_it_is_over(ctl, args):
    """It is overwritten by the next one, and wiped out once, at the end."""
    ctl("batch", "-q", stdin='{"handler":"sleep","args":{"ms":50}}\n' * 20)
    text = cli.on_terminal(ctl.path, *args)
    if args[0] == "shutdown":
        assert ctl.daemon.wait_exit() == 0
    shown = re.findall(r"\r([^\r\n]*?)\x1b\[K", text)
    assert len(shown) >= 3 and all("active" in line for line in shown[:-1]) and shown[-1] == "", shown


def test_text_of_others_moves_no_cursor(start):
    """Names and errors with control characters, on a terminal and on a pipe."""
    ctl = cli.Ctl(start().path)
    evil = "a\x1b[2J\x07\x9b1mü\ttab\nline"
    ctl("post", "fail", json.dumps({"error": evil}), "--wait", code=1)
    ctl("post", "echo", json.dumps({"text": evil}), "--wait")
    for args in (["show", "1", "2"], ["list"], ["wait", "2"], ["-j", "show", "1"]):
        shown = cli.on_terminal(ctl.path, "--color=never", *args)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", without_progress(shown)), (args, shown)
        if args[0] != "-j":
            piped = cli.run(ctl.path, *args).stdout
            assert "\x1b" not in piped and "\x9b" not in piped
