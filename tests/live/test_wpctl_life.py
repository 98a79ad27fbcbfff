"""wpctl's verbs for a task's life: what post can say, cancel, retry, explain, names, events, reload, config, and what status,
stats, list, show and handlers tell of it. On a pipe, with -j and on a terminal; exit codes."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from kit import cli
from kit.client import DEADLINE

pytestmark = pytest.mark.short
LIFE = """
[pool default]
workers = 1
[pool mail]
workers = 1
capacity = 3
[resource db]
max_active = 2
breaker_failures = 2
breaker_pause = 1min
[handler fail]
resources = db
[handler echo]
priority = 7
retries = 2
unique = refuse
"""
MINUTE = '{"ms":60000}'
EVENT_TITLES = ["at", "kind", "pool", "id", "handler", "name", "owner", "attempt", "worker", "reason", "permille", "note", "workers", "pid",
                "resource"]


@pytest.fixture
def ctl(start):
    """A wpctl for a daemon with two pools of one worker each; ctl.daemon."""
    daemon = start(LIFE)
    ctl = cli.Ctl(daemon.path)
    ctl.daemon = daemon
    return ctl


@pytest.fixture
def busy(ctl):
    """The same, and task 1 has the worker of the pool default for a minute."""
    ctl("post", "sleep", MINUTE)
    ctl.daemon.until(lambda pool: pool["active"] == 1)
    return ctl


def task_of(ctl, name):
    return ctl.daemon.client().call("Show", {"id": name})["task"]


def as_nobody(ctl, *args):
    """The verb of another user; the socket lets everybody in from then on."""
    os.chmod(ctl.path, 0o666)
    path = shutil.copy(cli.program("wpctl"), ctl.daemon.file("wpctl"))
    return subprocess.run([path, "-s", ctl.path, *args], capture_output=True, text=True, user=65534, group=65534, extra_groups=[],
                          check=False, timeout=DEADLINE, stdin=subprocess.DEVNULL)


@pytest.fixture
def nobody(lacks):
    if os.geteuid() != 0:
        lacks("only root can become another user")
    return as_nobody


def terminal(ctl, *args, code=0):
    """What stays on a terminal, without colours."""
    return re.sub(r"\r[^\n]*?\x1b\[K", "", cli.on_terminal(ctl.path, "--color=never", *args, code=code))


# post

def test_post_says_all_that_a_post_can(busy):
    name = busy("post", "noop", "--priority", "3", "--delay", "1h", "--expires", "2h", "--retries", "4", "--unique", "k", "--name", "late").strip()
    task = task_of(busy, name)
    assert (task["state"], task["priority"], task["retries"], task["unique"], task["name"]) == ("delayed", 3, 4, "k", "late")
    assert 3590 < task["due_at"] - task["posted_at"] <= 3601 and 7190 < task["expires_at"] - task["posted_at"] <= 7201


def test_post_without_flags_leaves_it_to_the_handler(busy):
    task = task_of(busy, busy("post", "echo").strip())
    assert (task["priority"], task["retries"]) == (7, 2) and "expires_at" not in task and "unique" not in task


@pytest.mark.parametrize("flags, field, value", [(["--priority=0"], "priority", 0), (["--retries=0"], "retries", 0),
                                                 (["--expires=0"], "expires_at", None), (["--timeout=1us"], "timeout_ms", 1)])
def test_post_passes_a_nought_on_and_makes_none_of_what_is_short(busy, flags, field, value):
    assert task_of(busy, busy("post", "echo", *flags).strip()).get(field) == value


@pytest.mark.parametrize("wait", [[], ["--wait"], ["--wait=10s"]])
def test_post_with_a_key_that_is_taken_joins(busy, wait):
    first = busy("post", "noop", "--unique", "k", "--priority", "0").strip()
    assert busy("post", "noop", "--unique", "k") == first + "\n"
    (reply,) = busy.json("post", "noop", "--unique", "k")
    assert reply == {"id": first, "state": "queued", "joined": True}
    with cli.Process(busy.path, "-v", "post", "noop", "--unique", "k", *wait) as joining:
        busy.daemon.until(lambda pool: pool["joined"] == 3)
        busy("cancel", "1")
        code, out, err = joining.end()
    assert code == 0 and out.startswith(first) and f"wpctl: joined task {first}, which has this key and has not ended\n" in err


def test_post_with_a_key_that_is_taken_is_code_5_where_the_handler_refuses(busy):
    first = busy("post", "echo", "--unique", "k").strip()
    assert busy.error("post", "echo", "--unique", "k", code=5) == f"Duplicate: task {first} has this key and has not ended"


def test_post_that_expires_is_code_1_for_whoever_waits(busy):
    line = busy("post", "noop", "--expires", "50ms", "--wait", code=1, lines=0)
    assert line.split("\t")[:2] == ["2", "expired"]


@pytest.mark.exec
@pytest.mark.usefixtures("has_exec")
def test_post_with_wait_and_propagate_ends_as_the_program(start):
    ctl = cli.Ctl(start("[handler three]\ntype = exec\ncommand = /bin/sh -c \"exit 3\"\n").path)
    for wait in "--wait", "--wait=10s":
        assert ctl("post", "three", wait, "--propagate", code=3, lines=0).split("\t")[1] == "failed"


def test_post_waits_for_room_as_long_as_it_is_told(ctl):
    ctl("pause", "mail")
    for _ in range(3):
        ctl("post", "noop", "-p", "mail")
    assert re.fullmatch(r'AtCapacity: pool "mail" has 3 of 3 queued; room in about \d+ ms',
                        ctl.error("post", "noop", "-p", "mail", "--wait-room", "50ms", code=75))
    with cli.Process(ctl.path, "post", "noop", "-p", "mail", "--wait-room", "1min") as posting:
        ctl.daemon.until(lambda pool: pool["room"] == 1, pool="mail")
        text = ctl("status", code=3, lines=0)
        assert 'wrong\tpool "mail" is full: posts that wait for room: 1\n' in text and "posts are refused" not in text
        assert [row["room"] for row in cli.table(ctl("stats").split("\n\n")[0].splitlines())] == ["0", "1"]
        ctl("resume", "mail")
        code, out, err = posting.end()
    assert (code, err) == (0, "") and out.strip().isdigit()


def test_post_that_waits_for_room_keeps_to_its_own_deadline():
    with cli.Fake(lambda call: None) as fake:
        assert "in time" in cli.Ctl(fake.path).error("--timeout", "100ms", "post", "noop", "--wait-room", "1min", code=124)
    assert fake.calls[0]["parameters"] == {"handler": "noop", "wait_room_ms": 60000}


def test_batch_passes_all_parameters_of_a_post_through(busy):
    post = {"handler": "noop", "priority": 1, "delay_ms": 3600000, "expires_ms": 7200000, "retries": 3, "unique": "k", "name": "n",
            "timeout_ms": 5, "wait_room_ms": 0}
    out = busy("batch", "-q", stdin=f"{json.dumps(post)}\n" * 2 + '{"handler":"echo","unique":"x"}\n' * 2, code=1, lines=0)
    first, joined, queued, duplicate = [json.loads(line) for line in out.splitlines()]
    assert first["state"] == "delayed" and joined == first | {"joined": True}
    assert duplicate == {"error": "org.workpool.Duplicate", "parameters": {"id": queued["id"]}}
    task = task_of(busy, first["id"])
    assert (task["priority"], task["retries"], task["unique"], task["name"], task["timeout_ms"]) == (1, 3, "k", "n", 5)


# cancel, retry

def test_cancel_tells_what_became_of_each_id(busy):
    busy("post", "noop", "--delay", "1h")
    busy("post", "noop")
    rows = busy.rows("cancel", "2", "3", "1")
    assert [(row["id"], row["was"], row["result"]) for row in rows] == [("2", "delayed", "cancelled"), ("3", "queued", "cancelled"),
                                                                       ("1", "active", "asked")]
    assert busy("wait", "1", code=1, lines=0).split("\t")[:2] == ["1", "cancelled"]


@pytest.mark.parametrize("ids, code", [(["1"], 0), (["1", "2"], 5), (["2"], 5), (["99"], 4), (["2", "99", "1"], 4), (["99", "2"], 4),
                                       (["nonsense"], 4)])
def test_cancel_code_is_the_first_of_the_table_that_applies(busy, ids, code):
    busy("post", "noop", "-p", "mail", "--wait")
    text = busy("cancel", *ids, code=code, lines=0)
    words = {"1": "asked", "2": "ended"}
    assert [(row["id"], row["result"]) for row in cli.table(text.splitlines())] == [(name, words.get(name, "unknown")) for name in ids]
    (reply,) = busy.json("cancel", "99", code=4, lines=0)
    assert reply == {"cancelled": 0, "asked": 0, "tasks": [{"id": "99", "result": "unknown"}]}


def test_cancel_of_what_is_not_mine_is_code_77(busy, nobody):
    ended = nobody(busy, "cancel", "1")
    assert (ended.returncode, ended.stdout.splitlines()[1], ended.stderr) == (77, "1\t-\tdenied", "")
    assert nobody(busy, "cancel", "1", "99").returncode == 4
    assert nobody(busy, "retry", "1").returncode == 77
    assert task_of(busy, "1")["state"] == "active"


@pytest.mark.parametrize("flags, counts, left", [
    (["--handler", "noop"], "2\t0", "14"), (["--state", "queued"], "2\t0", "14"), (["--state", "active"], "0\t2", "23"),
    (["-p", "mail"], "1\t1", "12"), (["--handler", "noop", "-p", "mail"], "1\t0", "124"), (["--handler", "echo"], "0\t0", "1234"),
])
def test_cancel_by_a_filter_tells_how_many(busy, flags, counts, left):
    """1 and 4 are active, 2 and 3 queued; 3 and 4 are in the pool mail."""
    busy("post", "noop")
    busy("pause", "mail")
    busy("post", "noop", "-p", "mail")
    busy("post", "sleep", MINUTE, "-p", "mail", "--priority", "0")
    busy("resume", "mail")
    busy.daemon.until(lambda pool: pool["active"] == 1, pool="mail")
    assert busy("cancel", *flags).splitlines() == ["cancelled\tasked", counts]
    tasks = {name: task_of(busy, name) for name in "1234"}
    assert "".join(name for name, task in tasks.items() if task["state"] != "cancelled" and "asked" not in task) == left


def test_cancel_of_mine_leaves_the_tasks_of_others(busy, nobody):
    for _ in range(2):
        assert nobody(busy, "post", "noop").returncode == 0
    busy("post", "noop")
    busy("post", "noop", "--delay", "1h")
    rows = busy.rows("cancel", "--handler", "noop", "--mine")
    assert [(row["id"], row["was"], row["result"]) for row in rows] == [("4", "queued", "cancelled"), ("5", "delayed", "cancelled")]
    assert busy("cancel", "--handler", "noop", "--mine") == ""
    assert nobody(busy, "cancel", "--state", "queued").stdout.splitlines() == ["cancelled\tasked", "2\t0"]
    assert task_of(busy, "1")["state"] == "active"


def test_cancel_of_mine_goes_through_all_pages(start):
    ctl = cli.Ctl(start("[pool default]\nworkers = 1\ncapacity = 3000\npaused = yes\n").path)
    ctl("batch", "-q", stdin='{"handler":"noop"}\n' * 2100)
    rows = ctl.rows("cancel", "--state", "queued", "--mine")
    assert [row["id"] for row in rows] == [str(n + 1) for n in range(2100)] and {row["result"] for row in rows} == {"cancelled"}
    assert len(ctl.rows("retry", *(str(n + 1) for n in range(1001)))) == 1001


@pytest.mark.parametrize("flags, code, line", [(["--state", "done"], 2, "InvalidParameter: state"), (["-p", "nope"], 4, "NoSuchPool"),
                                               (["--handler", "nope", "--mine"], 4, "NoSuchHandler")])
def test_cancel_of_what_cannot_be_is_an_error(ctl, flags, code, line):
    assert ctl.error("cancel", *flags, code=code).startswith(line)


def test_retry_queues_again_and_tells_why_not(busy):
    busy("post", "noop", "-p", "mail", "--wait")
    busy("post", "noop", "-p", "mail", "--delay", "1h")
    busy("cancel", "3")
    rows = busy.rows("retry", "3")
    assert rows == [{"id": "3", "was": "cancelled", "result": "queued"}]
    assert busy("wait", "3").split("\t")[1] == "done"
    text = busy("retry", "1", "2", code=5, lines=0)
    assert [row["result"] for row in cli.table(text.splitlines())] == ["not_ended", "done"]
    assert busy("retry", "99", "2", code=4, lines=0).splitlines()[1:] == ["99\t-\tunknown", "2\tdone\tdone"]
    (reply,) = busy.json("retry", "2", code=5, lines=0)
    assert reply == {"tasks": [{"id": "2", "was": "done", "result": "done"}]}


def test_retry_into_a_full_queue_is_code_75(ctl):
    ctl("pause", "mail")
    ctl("post", "noop", "-p", "mail")
    ctl("cancel", "1")
    for _ in range(3):
        ctl("post", "noop", "-p", "mail")
    assert ctl("retry", "1", code=75, lines=0).splitlines()[1] == "1\tcancelled\tat_capacity"


@pytest.mark.parametrize("result, code", [("queued", 0), ("unknown", 4), ("duplicate", 5), ("no_memory", 70), ("shutting_down", 75),
                                          ("denied", 77), ("something_new", 1)])
def test_retry_code_of_each_word(result, code):
    with cli.Fake(lambda call: cli.reply({"tasks": [{"id": "7", "result": result}]})) as fake:
        assert cli.Ctl(fake.path)("retry", "7", code=code, lines=0).splitlines()[1] == f"7\t-\t{result}"
    assert fake.calls[0]["parameters"] == {"ids": ["7"]}


# explain, names

def test_explain_on_a_pipe_is_a_table_and_on_a_terminal_a_sentence(busy):
    for _ in range(3):
        busy("post", "noop")
    (row,) = busy.rows("explain", "4")
    assert list(row) == ["id", "state", "pool", "handler", "waits_for", "resource", "position", "is_least", "until", "estimate"]
    assert (row["id"], row["state"], row["pool"], row["waits_for"], row["position"]) == ("4", "queued", "default", "workers", "3")
    sentence = terminal(busy, "explain", "4")
    assert re.fullmatch(r"queued, 3rd in pool default: waits for a worker \(all 1 busy\)(, about .*)?\n", sentence), sentence
    (reply,) = busy.json("explain", "4")
    assert reply["waits_for"] == "workers" and reply["position"] == 3


def test_explain_of_several_begins_with_the_id_and_goes_on_behind_one_that_is_gone(busy):
    busy("post", "noop", "--delay", "1h")
    ended = cli.run(busy.path, "explain", "1", "99", "2")
    assert ended.returncode == 4 and ended.stderr == "wpctl: NoSuchTask: there is no task 99, or it ended too long ago\n"
    assert [row["waits_for"] for row in cli.table(ended.stdout.splitlines())] == ["nothing", "delay"]
    lines = terminal(busy, "explain", "1", "2").splitlines()
    assert lines[0] == "1: active: waits for nothing"
    assert re.fullmatch(r"2: delayed: waits until it is due, until (\d\d-\d\d )?\d\d:\d\d(:\d\d)?, about \d+min \d+s", lines[1]), lines


@pytest.mark.parametrize("explained, sentence", [
    ({"state": "queued", "waits_for": "paused", "position": 1}, "queued, 1st in pool mail: waits until its pool is resumed"),
    ({"state": "queued", "waits_for": "host", "position": 2}, "queued, 2nd in pool mail: waits for its pool's host process"),
    ({"state": "queued", "waits_for": "alone", "position": 11},
     "queued, 11th in pool mail: waits for its turn to run alone, because it was in a host that died"),
    ({"state": "queued", "waits_for": "daemon", "position": 22},
     "queued, 22nd in pool mail: waits until fewer tasks are active (max_active of the daemon)"),
    ({"state": "queued", "waits_for": "handler", "position": 103},
     "queued, 103rd in pool mail: waits until fewer tasks of handler send are active (its max_active)"),
    ({"state": "queued", "waits_for": "resource", "resource": "db", "position": 112, "estimate_ms": 1200},
     "queued, 112th in pool mail: waits for resource db (its max_active), about 1.20 s"),
    ({"state": "queued", "waits_for": "rate", "resource": "db", "position": 4}, "queued, 4th in pool mail: waits for resource db (its rate)"),
    ({"state": "queued", "waits_for": "breaker", "resource": "d\u009bb", "position": 1},
     "queued, 1st in pool mail: waits for resource d\\xc2\\x9bb (its breaker is open)"),
    ({"state": "queued", "waits_for": "workers", "position": 20001, "position_is_least": True},
     "queued, at least 20001st in pool mail: waits for a worker"),
    ({"state": "queued", "waits_for": "nothing", "position": 1}, "queued, 1st in pool mail: starts at once"),
    ({"state": "queued", "waits_for": "the moon", "position": 1}, "queued, 1st in pool mail: waits for the moon"),
    ({"state": "done", "waits_for": "nothing"}, "done: waits for nothing"),
], ids=lambda value: value["waits_for"] if isinstance(value, dict) else "")
def test_explain_has_a_sentence_for_each_thing(explained, sentence):
    answer = {"id": "7", "pool": "mail", "handler": "send"} | explained

    def play(call):
        return cli.reply(answer) if call["method"].endswith("Explain") else cli.fault("NoSuchPool", pool="mail")

    with cli.Fake(play) as fake:
        assert cli.on_terminal(fake.path, "explain", "7") == sentence + "\n"


def test_explain_of_a_task_whose_resource_is_broken_says_until_when(ctl):
    for _ in range(2):
        ctl("post", "fail", '{"error":"x"}', "--wait", code=1, lines=0)
    ctl("post", "fail")
    assert re.fullmatch(r"queued, 1st in pool default: waits for resource db \(its breaker is open\), until .*, about \d+\.?\d* s\n",
                        terminal(ctl, "explain", "3"))
    text = ctl("status")
    assert 'wrong\tthe breaker of resource "db" is open: no task that uses it starts\n' in text
    (resource,) = cli.table(ctl("stats").split("\n\n")[3].splitlines())
    assert (resource["resource"], resource["breaker"], resource["max_active"]) == ("db", "open", "2")
    assert re.fullmatch(r"\d{10}\.\d{3}", resource["until"])
    ctl("cancel", "3")


def test_show_and_wait_take_names(busy):
    for _ in range(2):
        busy("post", "noop", "--name", "a,b")
    busy("post", "noop", "--name", "c")
    blocks = busy("show", "1", "--name", "a,b", "--name", "c").split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["id\t1", "id\t3", "id\t4"]
    assert "no task nope" in busy.error("show", "--name", "nope", code=4)
    assert "no task nope" in busy.error("wait", "--name", "nope", code=4)
    with cli.Process(busy.path, "wait", "--name", "c", "2", "--name=a,b") as waiting:
        for reply in busy.daemon.watch():
            if reply["daemon"]["connections"] == 2:
                break
        busy("cancel", "1")
        code, out, _ = waiting.end()
    assert code == 0 and sorted(line.split("\t")[0] for line in out.splitlines()) == ["2", "3", "4"]


# show, list, handlers, status

def test_show_tells_all_of_a_tasks_life(busy):
    busy("post", "noop", "--delay", "1h", "--priority", "2", "--retries", "3", "--unique", "k", "--expires", "2h")
    fields = busy.fields("show", "2")
    assert {"priority": "2", "retries": "3", "failures": "0", "crashes": "0", "suspect": "no", "unique": "k"}.items() <= fields.items()
    assert re.fullmatch(r"\d{10}\.\d{3}", fields["due"]) and float(fields["due"]) < float(fields["expires"])
    busy("cancel", "1")
    busy("wait", "1", code=1, lines=0)
    task = {"id": "7", "state": "active", "asked": "cancel", "progress": {"permille": 255, "note": "half\x1b[31m"}, "suspect": True}
    with cli.Fake(lambda call: cli.reply({"task": task})) as fake:
        fields = cli.Ctl(fake.path).fields("show", "7")
        assert (fields["asked"], fields["progress"], fields["note"], fields["suspect"]) == ("cancel", "255", "half\\x1b[31m", "yes")
        assert re.search(r"^ *progress  25\.5 %\n *note  half\\x1b\[31m$", cli.on_terminal(fake.path, "show", "7"), re.M)


def test_list_has_priority_and_due(busy):
    busy("post", "noop", "--delay", "1h", "--priority", "2")
    rows = busy.rows("list")
    assert [row["priority"] for row in rows] == ["5", "2"] and rows[0]["due"] == "-" and float(rows[1]["due"]) > float(rows[1]["posted"])


def test_list_fits_into_80_columns_of_a_terminal_and_v_has_all(busy):
    busy("post", "noop", "--name", "n" * 100)
    busy("post", "noop", "--delay", "1h", "--name", "short")
    busy("cancel", "2")
    lines = terminal(busy, "list").splitlines()
    assert lines[0].split()[:6] == ["ID", "STATE", "HANDLER", "POOL", "PRIO", "POSTED"] and "DUE" in lines[0], lines
    assert max(len(line) for line in lines) <= 80 and not any(line != line.rstrip() and line.endswith("   ") for line in lines)
    assert re.match(r"3 +delayed +noop +default +5 +\d\d:\d\d:\d\d ", lines[3])
    assert "RUN" not in terminal(busy, "list", "--state", "delayed").splitlines()[0], "no task of the list has one"
    wide = terminal(busy, "-v", "list")
    assert "n" * 100 in wide and "OWNER" in wide and "PRIORITY" in wide


def test_handlers_with_v_tell_limits(ctl):
    blocks = cli.run(ctl.path, "-v", "handlers").stdout.split("\n\n")
    rows = {row["handler"]: row for row in cli.table(blocks[2].splitlines())}
    assert list(rows["echo"]) == ["handler", "priority", "retries", "crash_max", "expires", "max_active", "weight", "unique", "resources"]
    assert (rows["echo"]["priority"], rows["echo"]["retries"], rows["echo"]["unique"], rows["echo"]["resources"]) == ("7", "2", "refuse", "-")
    assert (rows["fail"]["resources"], rows["fail"]["unique"]) == ("db", "join")


def test_status_tells_suspects(start):
    daemon = start("[pool default]\nworkers = 2\n", env={name: "handle_segv=0" for name in ("ASAN_OPTIONS", "TSAN_OPTIONS")})
    ctl = cli.Ctl(daemon.path)
    assert "suspects" not in ctl("status")
    for _ in range(2):
        ctl("post", "sleep", MINUTE)
    os.kill(daemon.until(lambda pool: pool["active"] == 2)["host_pid"], signal.SIGSEGV)
    daemon.until(lambda pool: pool["crashed"] == 2)
    assert 'wrong\tpool "default" has suspects: tasks that were in a host that died run alone\n' in ctl("status", lines=0)
    ctl("cancel", "1", "2")
    ctl("wait", "1", "2", code=1, lines=0)
    assert "suspects" not in ctl("status")


# events

def test_events_on_a_pipe_have_every_field_at_its_place(ctl):
    with cli.Process(ctl.path, "events") as events:
        events.read_until(lambda text: text.count("\n") == 1)  # the titles: from here on all is told
        ctl("post", "noop", "--name", "n", "--wait")
        ctl("resize", "mail", "2")
        text = events.read_until(lambda text: "resized" in text and text.endswith("\n"))
        events.signal(signal.SIGINT)
        assert events.end()[0] == 130
    rows = cli.table(text.splitlines())
    assert list(rows[0]) == EVENT_TITLES
    assert [(row["kind"], row["pool"], row["id"], row["name"], row["workers"]) for row in rows] == [
        ("posted", "default", "1", "n", "-"), ("started", "default", "1", "n", "-"), ("done", "default", "1", "n", "-"),
        ("resized", "mail", "-", "-", "2")]
    assert all(re.fullmatch(r"\d{10}\.\d{3}", row["at"]) for row in rows)


def test_events_on_a_terminal_are_lines_for_people(ctl):
    with cli.Terminal(ctl.path, "events", "--color=never") as events:
        events.read_until(lambda text: text.startswith("AT        KIND"))
        ctl("post", "fail", '{"error":"x"}', "--name", "n\x1b[2J", "--wait", code=1, lines=0)
        ctl("resize", "mail", "2")
        text = events.read_until(lambda text: "2 workers\n" in text)
        events.type("\x03")
        assert events.end()[0] == 130
    lines = text.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  started        default   1       fail        \"n\\x1b\[2J\", attempt 1 in worker 0", lines[2]), lines
    assert re.search(r'  failed +default +1 +fail +"n\\x1b\[2J", failed', lines[3]), lines


@pytest.mark.parametrize("flags, kinds", [(["--kind", "done,failed"], ["done", "failed"]), (["--kind=failed", "--kind=done,"], ["done", "failed"]),
                                          (["--pool", "mail"], ["paused"]), (["-p", "mail", "--kind", "done"], [])])
def test_events_of_some_pools_or_kinds_as_json(ctl, flags, kinds):
    with cli.Process(ctl.path, "-j", "events", *flags) as events:
        assert events.read_until(lambda text: "\n" in text) == '{"missed":0}\n'
        ctl("post", "noop", "--wait")
        ctl("post", "fail", "--wait", code=1, lines=0)
        ctl("pause", "mail")
        lines = events.read_until(lambda text: text.count("\n") == 1 + len(kinds)).splitlines()
        events.signal(signal.SIGTERM)
        code, _, err = events.end()
    assert (code, err) == (143, "")
    assert [json.loads(line)["event"]["kind"] for line in lines[1:]] == kinds


@pytest.mark.parametrize("flags, code, line", [(["--kind", "dnoe"], 2, "InvalidParameter: kinds"), (["-p", "nope"], 4, "NoSuchPool")])
def test_events_of_what_does_not_exist_is_an_error(ctl, flags, code, line):
    assert ctl.error("events", *flags, code=code).startswith(line)


def test_events_that_were_missed_are_told():
    event = {"at": 1.5, "kind": "progress", "id": "7", "permille": 500, "note": "half"}

    def play(_):
        return b"".join([cli.reply({"missed": 0}, continues=True), cli.reply({"event": event, "missed": 0}, continues=True),
                         cli.reply({"event": event, "missed": 3}, continues=True)])

    with cli.Fake(play) as fake:
        ended = cli.run(fake.path, "--timeout", "300ms", "events")
        assert fake.calls[0]["more"] is True
        shown = cli.on_terminal(fake.path, "--timeout", "300ms", "events", code=124)
    assert ended.stdout.count("progress") == 2 and ended.stderr.startswith("wpctl: events: 3 missed\n") and ended.returncode == 124
    assert "progress" in shown and "500 of 1000, half\n" in shown


def test_events_end_with_the_daemon(ctl):
    with cli.Process(ctl.path, "events", "--kind", "done") as events:
        events.read_until(lambda text: "\n" in text)
        ctl("shutdown", "--now")
        code, _, err = events.end()
    assert code == 69 and "closed the connection" in err
    assert ctl.daemon.wait_exit() == 0


# reload, config

def test_reload_tells_changes_and_their_effect(ctl):
    ctl.daemon.write("conf", LIFE.replace("capacity = 3", "capacity = 9") + "[daemon]\nmax_message = 64K\n[pool fresh]\n")
    for flags in ["--dry-run"], []:
        rows = {(row["section"], row["key"]): row for row in ctl.rows("reload", *flags)}
        assert list(rows[("pool mail", "capacity")].values()) == ["pool mail", "capacity", "3", "9", "live"]
        assert rows[("daemon", "max_message")]["effect"] == "restart" and rows[("pool fresh", "-")]["effect"] == "new"
        assert ctl.daemon.client().pool("mail")["capacity"] == (3 if flags else 9)
    (reply,) = ctl.json("reload")
    assert {change["effect"] for change in reply["changes"]} == {"restart"}, "told until there was one"
    ctl.daemon.write("conf", LIFE.replace("capacity = 3", "capacity = 9"))
    assert ("pool fresh", "gone") in {(row["section"], row["effect"]) for row in ctl.rows("reload")}
    assert ctl("reload").splitlines() == ["section\tkey\tbefore\tafter\teffect"]
    assert terminal(ctl, "reload") == "nothing has changed\n"


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_reload_of_a_wrong_file_is_code_78_with_the_reason(ctl, flags):
    ctl.daemon.write("conf", "[pool default]\nworkers = many\n")
    line = ctl.error("reload", *flags, code=78)
    assert line.startswith(f"ConfigInvalid: {ctl.daemon.config}") and "workers" in line
    assert ctl.daemon.client().pool("mail")["capacity"] == 3


def test_config_tells_where_each_value_was_said(ctl):
    rows = {(row["section"], row["key"]): row for row in ctl.rows("config")}
    assert rows[("pool mail", "capacity")] == {"section": "pool mail", "key": "capacity", "value": "3", "origin": f"{ctl.daemon.config}:6",
                                               "live": "yes"}
    assert rows[("daemon", "max_message")]["origin"] == "default" and rows[("daemon", "max_message")]["live"] == "no"
    assert {row["section"] for row in ctl.rows("config", "pool mail")} == {"pool mail"}
    assert {row["section"] for row in ctl.rows("config", "pool")} == {"pool default", "pool mail"}
    assert ctl.json("config", "pool mail")[0]["keys"][0].keys() == {"section", "key", "value", "origin", "live"}
    assert ctl.error("config", "nope", code=2).startswith("InvalidParameter: section")
    lines = terminal(ctl, "config", "pool mail").splitlines()
    assert lines[0].split() == ["SECTION", "KEY", "VALUE", "ORIGIN", "LIVE"] and lines[1].startswith("pool mail  workers")


def test_reload_and_config_are_for_admins(ctl, nobody):
    for args in ["reload"], ["reload", "--dry-run"], ["config"]:
        ended = nobody(ctl, *args)
        assert ended.returncode == 77 and ended.stderr.startswith("wpctl: PermissionDenied"), ended


# terminals

@pytest.mark.parametrize("args, titles", [(["cancel", "3"], "ID WAS RESULT"), (["cancel", "--state", "queued"], "CANCELLED ASKED"),
                                          (["retry", "2"], "ID WAS RESULT"), (["reload", "--dry-run"], "SECTION KEY BEFORE AFTER EFFECT"),
                                          (["config", "store"], "SECTION KEY VALUE ORIGIN LIVE")], ids=lambda value: value[0])
def test_terminal_gets_a_table_with_titles(busy, args, titles):
    busy("post", "noop", "--name", "n")
    busy("post", "noop")
    busy("cancel", "2")
    busy.daemon.write("conf", LIFE + "[pool fresh]\n")
    lines = terminal(busy, *args).splitlines()
    assert lines[0].split() == titles.split() and len(lines) >= 2 and "\t" not in "".join(lines)
    assert cli.run(busy.path, "--no-legend", *args).stdout.count(titles.split()[0].lower()) == 0


@pytest.mark.parametrize("args, method", [(["cancel", "1"], "Cancel"), (["cancel", "--handler", "noop"], "Cancel"), (["retry", "2"], "Retry"),
                                          (["explain", "1"], "Explain"), (["reload"], "Reload"), (["config"], "Config"),
                                          (["show", "--name", "n"], "Show"), (["wait", "--name", "n"], "Wait")], ids=lambda value: value[0])
def test_json_is_exactly_the_replys_parameters(ctl, args, method):
    ctl("post", "noop", "--wait", "--name", "n")
    ctl("post", "noop", "--delay", "1h")
    ctl("cancel", "2")
    codes = {"cancel": 5 if args[1:] == ["1"] else 0}
    (doc,) = ctl.json(*args, code=codes.get(args[0], 0), lines=0)
    ctl.daemon.client()  # reads the description
    ctl.daemon.interfaces.check_reply("org.workpool." + method, {"parameters": doc})
