"""wpctl's verbs for tasks: post, batch, list, show, wait, call. What is printed on a pipe, with -j, and the exit codes."""
import json
import re
import signal
import time

import pytest

from kit import cli, procs
from kit.client import DEADLINE

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"
N_MANY = 10_000


@pytest.fixture
def ctl(start):
    """A wpctl for a daemon with one worker; ctl.daemon."""
    daemon = start(ONE)
    ctl = cli.Ctl(daemon.path)
    ctl.daemon = daemon
    return ctl


# post

def test_post_prints_the_id(ctl):
    assert ctl("post", "noop") == "1\n"
    assert ctl("post", "noop") == "2\n"
    assert ctl("post", "noop", "--name", "x", "--timeout", "3s", "-p", "default") == "3\n"
    task = ctl.daemon.client().call("Show", {"id": "3"})["task"]
    assert (task["name"], task["timeout_ms"], task["pool"]) == ("x", 3000, "default")


def test_post_with_j_prints_exactly_the_reply(ctl):
    (reply,) = ctl.json("post", "noop")
    assert set(reply) == {"id", "state"} and reply["id"] == "1"


def test_post_takes_args_from_the_command_line_or_standard_input(ctl):
    args = {"a": [1, {"b": "ü\n"}], "c": None}
    for words, stdin in ([json.dumps(args)], ""), (["-"], json.dumps(args, indent=2) + "\n"):
        line = ctl("post", "echo", *words, "--wait", stdin=stdin)
        name, state, run, result = line.rstrip("\n").split("\t")
        assert state == "done" and json.loads(result.replace("\\n", "\n") if "\n" in result else result) == args
        assert float(run) >= 0 and name.isdigit()


def test_post_takes_almost_a_megabyte_from_standard_input(ctl):
    text = json.dumps({"text": "x" * 1_000_000})
    assert ctl("post", "noop", "-", "--wait", stdin=text).split("\t")[1] == "done"


@pytest.mark.parametrize("stdin, word", [("", "arguments"), ("{", "arguments"), ("[]", "JSON object"), ('{"a":1}{}', "arguments"),
                                         ('{"text":"' + "x" * (1 << 21) + '"}', "standard input")])
def test_post_refuses_wrong_standard_input(ctl, stdin, word):
    assert word in ctl.error("post", "noop", "-", code=2, stdin=stdin)
    assert ctl.daemon.client().pool()["posted"] == 0


@pytest.mark.parametrize("args, code", [(["noop"], 0), (["fail", '{"error":"no luck"}'], 1)])
@pytest.mark.parametrize("wait", ["--wait", "--wait=10s"])
def test_post_with_wait_tells_the_end(ctl, args, code, wait):
    name, state, run, rest = ctl("post", *args, wait, code=code, lines=0).rstrip("\n").split("\t")
    assert name == "1" and re.fullmatch(r"\d+\.\d{3}", run)
    assert (state, rest) == (("done", "-") if code == 0 else ("failed", "no luck")) or (code == 0 and rest in ("{}", "null"))


def test_post_with_wait_and_j_prints_the_task(ctl):
    (reply,) = ctl.json("post", "echo", '{"a":1}', "--wait")
    assert reply["id"] == "1" and reply["task"]["result"] == {"a": 1}


def test_post_whose_wait_is_over_too_early_is_code_124_and_the_task_goes_on(ctl):
    began = time.monotonic()
    ended = cli.run(ctl.path, "post", "sleep", '{"ms":800}', "--wait=100ms")
    assert 0.1 <= time.monotonic() - began < 0.7
    # The id is printed, so that one can go on waiting.
    assert (ended.returncode, ended.stdout, ended.stderr) == (124, "1\n", "wpctl: task 1 has not ended in time and goes on\n")
    assert ctl("wait", "1").split("\t")[:2] == ["1", "done"]


def test_interrupt_while_post_waits_is_code_130_and_the_task_goes_on(ctl):
    with cli.Process(ctl.path, "post", "sleep", '{"ms":500}', "--wait") as waiting:
        ctl.daemon.until(lambda pool: pool["active"] == 1)
        waiting.signal(signal.SIGINT)
        assert waiting.end() == (130, "", "")
    assert ctl.daemon.until(lambda pool: pool["active"] == 0)["done"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_while_waiting_is_128_and_its_number(ctl, number):
    ctl("pause", "default")
    ctl("post", "noop")
    with cli.Process(ctl.path, "-j", "wait", "1") as waiting:
        ctl.daemon.until(lambda pool: pool["queued"] == 1)
        for reply in ctl.daemon.watch():
            if reply["daemon"]["connections"] == 2:  # it waits
                break
        waiting.signal(number)
        assert waiting.end()[0] == 128 + number
    ctl("resume", "default")


@pytest.mark.parametrize("args, code, line", [
    (["nope"], 4, 'NoSuchHandler: there is no handler "nope"'),
    (["noop", "-p", "nope"], 4, 'NoSuchPool: there is no pool "nope"'),
    (["sleep", '{"ms":"x"}'], 2, "InvalidParameter: args.ms"), (["sleep", '{"unknown":1}'], 2, "InvalidParameter: args.unknown"),
    (["noop", "--name", "x" * 1000], 2, "InvalidParameter: name"),
])
def test_post_that_is_refused_says_why(ctl, args, code, line):
    assert ctl.error("post", *args, code=code).startswith(line)


def test_post_to_a_full_queue_is_code_75_with_the_numbers(start):
    ctl = cli.Ctl(start("[pool mail]\nworkers = 1\ncapacity = 3\npaused = yes\n").path)
    for _ in range(3):
        ctl("post", "noop", "-p", "mail")
    # Paused workers are no free ones.
    assert re.fullmatch(r'AtCapacity: pool "mail" has 3 of 3 queued; room in about \d+ ms', ctl.error("post", "noop", "-p", "mail", code=75))
    assert ctl.error("-j", "post", "noop", "-p", "mail", code=75).startswith("AtCapacity")


# wait, show, list

def test_wait_prints_a_line_for_each_task_as_it_ends(ctl):
    ids = [ctl("post", "sleep", '{"ms":60000}').strip() for _ in range(3)]
    with cli.Process(ctl.path, "wait", *reversed(ids)) as waiting:
        for n, task in enumerate(ids, 1):
            ctl("cancel", task)
            waiting.read_until(lambda text, n=n: text.count("\n") == n)
        code, out, _ = waiting.end()
    assert [line.split("\t")[:2] for line in out.splitlines()] == [[task, "cancelled"] for task in ids] and code == 1
    assert [reply["task"]["id"] for reply in ctl.json("wait", *ids, code=1)] == ids


def test_wait_code_is_that_of_the_worst(ctl):
    ctl("post", "noop")
    ctl("post", "fail", '{"error":"x"}')
    ctl("wait", "1")
    assert ctl("wait", "1", "2", code=1, lines=0).count("\n") == 2
    assert "7" in ctl.error("wait", "7", code=4)
    assert ctl.error("wait", "nonsense", code=4)


def test_wait_that_takes_too_long_is_code_124(ctl):
    ctl("post", "noop")
    ctl("post", "sleep", '{"ms":3000}')
    began = time.monotonic()
    ended = cli.run(ctl.path, "wait", "1", "2", "--timeout", "200ms")
    assert ended.returncode == 124 and ended.stderr == "wpctl: wait: not all tasks have ended in time\n"
    assert ended.stdout.split("\t")[0] == "1" and ended.stdout.count("\n") == 1
    assert time.monotonic() - began < 2


@pytest.mark.exec
@pytest.mark.usefixtures("has_exec")
@pytest.mark.parametrize("text, propagated", [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -TERM $$", 143)])
def test_wait_with_propagate_ends_as_the_program(start, tmp_path, text, propagated):
    ctl = cli.Ctl(start(procs.shell_handler(tmp_path, "program", text)).path)
    ctl("post", "program")
    ctl("wait", "1", "--propagate", code=propagated, lines=0)
    ctl("wait", "1", code=min(propagated, 1), lines=0)


def test_wait_takes_more_ids_than_one_call_can(ctl):
    ctl("batch", stdin='{"handler":"noop"}\n' * 60, lines=1)
    ids = [str(n % 60 + 1) for n in range(1500)]
    assert len(ctl("wait", *ids).splitlines()) >= 60


def test_show_prints_all_fields(ctl):
    ctl("post", "echo", '{"a":"b\\u001bc"}', "--name", "nice", "--wait")
    fields = ctl.fields("show", "1")
    assert {"id": "1", "name": "nice", "state": "done", "pool": "default", "handler": "echo", "attempt": "1"}.items() <= fields.items()
    assert json.loads(fields["args"]) == json.loads(fields["result"]) == {"a": "b\x1bc"}
    assert re.fullmatch(r"\d{10}\.\d{3}", fields["posted"]) and float(fields["posted"]) <= float(fields["ended"])
    (reply,) = ctl.json("show", "1")
    assert reply["task"] == ctl.daemon.client().call("Show", {"id": "1"})["task"]


def test_show_of_several_goes_on_behind_one_that_is_not_there(ctl):
    ctl("post", "noop", "--wait")
    ctl("post", "noop", "--wait")
    ended = cli.run(ctl.path, "show", "1", "99", "2")
    assert ended.returncode == 4 and ended.stderr == "wpctl: NoSuchTask: there is no task 99, or it ended too long ago\n"
    blocks = ended.stdout.split("\n\n")
    assert [block.strip().splitlines()[0] for block in blocks] == ["id\t1", "id\t2"]


@pytest.fixture
def listed(ctl):
    """Four tasks: done, failed, active, queued; the last in another pool."""
    ctl("post", "noop", "--name", "first", "--wait")
    ctl("post", "fail", '{"error":"x"}', "--wait", code=1)
    ctl("post", "sleep", '{"ms":60000}')
    ctl("post", "sleep", '{"ms":60000}')
    return ctl


@pytest.mark.parametrize("flags, ids", [
    ([], "1234"), (["--state", "done"], "1"), (["--state", "queued"], "4"), (["--handler", "sleep"], "34"), (["--limit", "2"], "12"),
    (["-p", "default"], "1234"), (["--pool", "default", "--state", "failed"], "2"), (["--mine"], "1234"), (["--limit", "1"], "1"),
])
def test_list_shows_what_is_asked_for(listed, flags, ids):
    rows = listed.rows("list", *flags)
    assert [row["id"] for row in rows] == list(ids)
    assert [task["id"] for reply in listed.json("list", *flags) for task in reply["tasks"]] == list(ids)
    bare = listed("--no-legend", "list", *flags).splitlines()
    assert [line.split("\t")[0] for line in bare] == list(ids)


def test_list_shows_states_names_and_reasons(listed):
    rows = listed.rows("list")
    assert [row["state"] for row in rows] == ["done", "failed", "active", "queued"]
    assert rows[0]["name"] == "first" and rows[1]["name"] == "-" and rows[1]["reason"] == "failed" and rows[0]["reason"] == "-"
    assert [row["worker"] for row in rows][2:] == ["0", "-"]


@pytest.mark.parametrize("flags, code, word", [(["--state", "nope"], 2, "state"), (["-p", "nope"], 4, "NoSuchPool"),
                                               (["--handler", "nope"], 4, "NoSuchHandler")])
def test_list_of_what_does_not_exist_is_an_error(ctl, flags, code, word):
    assert word in ctl.error("list", *flags, code=code)


def test_list_goes_through_all_pages(start):
    ctl = cli.Ctl(start("[pool default]\nworkers = 1\ncapacity = 3000\npaused = yes\n").path)
    ctl("batch", "-q", stdin='{"handler":"noop"}\n' * 2500)
    assert [row["id"] for row in ctl.rows("list", "--limit", "2400")] == [str(n + 1) for n in range(2400)]
    assert len(ctl.rows("list")) == 100, "the default"
    assert sum(len(reply["tasks"]) for reply in ctl.json("list", "--limit", "100000")) == 2500


# batch

def test_batch_answers_each_line_in_order(ctl):
    stdin = "\n".join(['{"handler":"echo","args":{"n":1},"name":"a"}', "", "nonsense", '{"handler":"nope"}', "[1]", '{"handler":"noop","x":1}',
                       "   ", '{"handler":"noop"}'])
    ended = cli.run(ctl.path, "batch", stdin=stdin)
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer.get("error", answer.get("id")) for answer in answers] == [
        "1", "wpctl.MalformedLine", "org.workpool.NoSuchHandler", "wpctl.MalformedLine", "org.varlink.service.InvalidParameter", "2"]
    assert [answer["parameters"]["line"] for answer in answers if answer.get("error") == "wpctl.MalformedLine"] == [3, 5]
    assert all(answer["parameters"]["reason"] for answer in answers if answer.get("error") == "wpctl.MalformedLine")
    assert ended.returncode == 1
    assert re.fullmatch(r"wpctl: batch: 2 posted, 4 refused in \d+\.\d{3} s\n", ended.stderr), ended.stderr


@pytest.mark.parametrize("line", [
    '{"handler":"noop"', '{"handler":"noop","handler":"echo"}', '{"handler":"noop"} {"handler":"noop"}', '"text"', "null", "\x00", "\ufeff{}",
    '{"a":"\\u0000"}', "{" * 100, '{"handler":"noop","args":{"text":"' + "x" * 1_100_000 + '"}}',
], ids=["open", "duplicate", "two", "string", "null", "nul", "bom", "nul_escape", "deep", "too_long"])
def test_batch_goes_on_behind_a_malformed_line(ctl, line):
    ended = cli.run(ctl.path, "batch", stdin=f'{line}\n{{"handler":"noop"}}\n')
    bad, good = [json.loads(text) for text in ended.stdout.splitlines()]
    assert bad["error"] == "wpctl.MalformedLine" and bad["parameters"]["line"] == 1 and good["id"] == "1"
    assert ended.returncode == 1


def test_batch_of_nothing_is_done(ctl):
    assert ctl("batch", lines=1) == ctl("batch", "-q") == ""


def test_batch_of_a_full_queue_is_code_75(start):
    ctl = cli.Ctl(start("[pool default]\nworkers = 1\ncapacity = 3\npaused = yes\n").path)
    ended = cli.run(ctl.path, "batch", "-q", stdin='{"handler":"noop"}\n' * 5)
    assert ended.returncode == 75 and ended.stderr == ""
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer.get("error", "posted") for answer in answers] == ["posted"] * 3 + ["org.workpool.AtCapacity"] * 2
    assert answers[3]["parameters"].pop("retry_after_ms") > 0
    assert answers[3]["parameters"] == {"pool": "default", "queued": 3, "capacity": 3}


@pytest.mark.parametrize("where", ["file", "stdin", "dash"])
def test_batch_of_ten_thousand_loses_none(start, tmp_path, where):
    daemon = start(f"[daemon]\nhistory_max = 20000\n[pool default]\nworkers = 4\ncapacity = {N_MANY}\n")
    text = "".join(f'{{"handler":"echo","args":{{"n":{n}}}}}\n' for n in range(N_MANY))
    (tmp_path / "posts").write_text(text)
    words = {"file": ["batch", tmp_path / "posts"], "stdin": ["batch"], "dash": ["batch", "-"]}[where]
    ended = cli.run(daemon.path, *words, stdin="" if where == "file" else text)
    assert ended.returncode == 0 and re.fullmatch(rf"wpctl: batch: {N_MANY} posted, 0 refused in \S+ s\n", ended.stderr), ended.stderr
    ids = [json.loads(line)["id"] for line in ended.stdout.splitlines()]
    assert len(set(ids)) == N_MANY
    daemon.until(lambda pool: pool["done"] == N_MANY, seconds=3 * DEADLINE)
    client = daemon.client()
    for n in (0, 255, 256, N_MANY - 1):
        assert client.call("Show", {"id": ids[n]})["task"]["result"] == {"n": n}, "answers in the order of the lines"


def test_batch_answers_while_its_input_is_still_open(ctl):
    """A program can talk with it: one line in, one line out."""
    with cli.Process(ctl.path, "batch", stdin=cli.subprocess.PIPE) as batch:
        for n in range(1, 4):
            batch.process.stdin.write(b'{"handler":"noop"}\n')
            batch.process.stdin.flush()
            text = batch.read_until(lambda text, n=n: text.count("\n") == n)
            assert json.loads(text.splitlines()[-1])["id"] == str(n)
        batch.process.stdin.close()
        assert batch.end()[0] == 0


def test_batch_keeps_to_its_rate(ctl):
    began = time.monotonic()
    ctl("batch", "-q", "--rate", "100", stdin='{"handler":"noop"}\n' * 60)
    assert 0.4 <= time.monotonic() - began < 3


def test_interrupted_batch_says_what_was_done(ctl):
    with cli.Process(ctl.path, "batch", stdin=cli.subprocess.PIPE) as batch:
        batch.process.stdin.write(b'{"handler":"noop"}\n')
        batch.process.stdin.flush()
        batch.read_until(lambda text: "\n" in text)
        batch.signal(signal.SIGINT)
        code, out, err = batch.end()
    assert code == 130 and out.count("\n") == 1 and err.startswith("wpctl: batch: 1 posted, 0 refused")


def test_output_of_batch_and_input_go_side_by_side_into_other_programs(ctl):
    """ids of a batch are the arguments of wait."""
    out = ctl("batch", "-q", stdin='{"handler":"noop"}\n' * 5)
    ids = [json.loads(line)["id"] for line in out.splitlines()]
    assert len(ctl("wait", *ids).splitlines()) == 5


# call

def test_call_reaches_any_method(ctl):
    (stats,) = [json.loads(line) for line in ctl("call", "Stats", '{"pool":"default"}').splitlines()]
    assert [pool["name"] for pool in stats["pools"]] == ["default"]
    assert json.loads(ctl("call", "org.varlink.service.GetInfo"))["product"]
    assert json.loads(ctl("call", "Post", "-", stdin='{"handler":"noop"}'))["id"] == "1"


def test_call_with_more_prints_every_reply(ctl):
    with cli.Process(ctl.path, "call", "Stats", '{"interval_ms":100}', "--more") as stream:
        lines = stream.read_until(lambda text: text.count("\n") >= 3).splitlines()
        assert all(json.loads(line)["daemon"]["pid"] == ctl.daemon.pid for line in lines[:3])
        stream.signal(signal.SIGINT)
        assert stream.end()[0] == 130


def test_call_oneway_prints_nothing_and_is_carried_out(ctl):
    assert ctl("call", "Post", '{"handler":"noop"}', "--oneway") == ""
    assert ctl.daemon.until(lambda pool: pool["posted"] == 1)["refused"] == 0


@pytest.mark.parametrize("args, code, line", [
    (["Nope"], 2, "MethodNotFound"), (["com.example.Nope"], 2, "InterfaceNotFound"), (["Show", '{"id":"9"}'], 4, "NoSuchTask"),
    (["Post", "{}"], 2, "InvalidParameter: handler"), (["Post", '{"handler":"noop","pool":"x"}'], 4, "NoSuchPool"),
])
def test_call_reports_errors_like_every_verb(ctl, args, code, line):
    assert ctl.error("call", *args, code=code).startswith(line)
