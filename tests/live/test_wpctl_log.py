"""wpctl log and post --follow: a task's output byte for byte, words of wpctl's own on standard error only, and the exit codes."""
import json
import re
import signal

import pytest

from kit import cli, procs

pytestmark = pytest.mark.short
BYTES = "a\x1b[31m\tb\r\nü\x7f no newline"


def play(*logs, state="done", task=None):
    """answer() of a daemon whose Log gives these replies, the last of them with `state`; and Post, Show."""
    def answer(call):
        method = call["method"].rpartition(".")[2]
        if method == "Post":
            return cli.reply({"id": "7", "state": "queued"})
        if method == "Show":
            return cli.reply({"task": {"id": "7", "state": state} | (task or {})})
        replies = [{"state": "active", "attempt": 1} | log for log in logs]
        replies[-1]["state"] = state
        return b"".join(cli.reply(log, **({"continues": True} if log is not replies[-1] else {})) for log in replies)
    return answer


def out(text, total=None):
    return {"stdout": text, "stdout_bytes": len(text.encode()) if total is None else total}


def err(text, total=None):
    return {"stderr": text, "stderr_bytes": len(text.encode()) if total is None else total}


def run(answer, *args):
    """(exit code, standard output, standard error, the calls)."""
    with cli.Fake(answer) as fake:
        with cli.Process(fake.path, *args) as process:
            stdout, stderr = process.process.communicate(timeout=30)
            return process.process.returncode, stdout.decode(), stderr.decode(), fake.calls


def test_log_writes_each_stream_where_it_belongs_byte_for_byte():
    code, stdout, stderr, calls = run(play(out(BYTES) | err("e\n" + BYTES), state="failed"), "log", "7")
    assert (code, stdout, stderr) == (0, BYTES, "e\n" + BYTES), "without -f the task's end is not asked for"
    assert [(call["method"], call["parameters"], call.get("more")) for call in calls] == [("org.workpool.Log", {"id": "7"}, None)]


@pytest.mark.parametrize("flags", [[], ["-f"]])
def test_log_says_what_was_not_kept(flags):
    code, stdout, stderr, _ = run(play(out("abc", 10) | err("\n", 2)), "log", "7", *flags)
    assert (code, stdout) == (0, "abc")
    assert stderr == ("\nwpctl: standard output of task 7: 7 more bytes were not kept\n"
                      "wpctl: standard error of task 7: 1 more bytes were not kept\n")


def test_log_says_nothing_of_what_became_longer_on_its_way():
    """Bytes that are no UTF-8 come as U+FFFD, which takes three."""
    assert run(play(out("\ufffd\ufffd", 2)), "log", "7")[:3] == (0, "\ufffd\ufffd", "")


@pytest.mark.parametrize("state, flags, code, stderr", [
    ("done", [], 0, ""), ("failed", [], 1, "wpctl: task 7: failed: no luck\\x1b\n"), ("failed", ["--propagate"], 3, "wpctl: task 7: failed: no luck\\x1b\n"),
    ("failed", ["-q"], 1, ""), ("done", ["--propagate"], 0, ""), ("cancelled", [], 1, "wpctl: task 7: cancelled: no luck\\x1b\n"),
])
def test_log_to_the_end_has_the_code_of_the_end(state, flags, code, stderr):
    task = {"error": "no luck\x1b", "result": {"exit": 3}}
    answer = play({}, out("one "), out("two\n", 8), {}, state=state, task=task)
    ended, stdout, told, calls = run(answer, "log", "7", "-f", *flags)
    assert (ended, stdout, told) == (code, "one two\n", stderr)
    assert calls[0]["more"] is True


def test_log_begins_again_with_a_new_attempt():
    answer = play(out("first", 9), out("second") | {"attempt": 2})
    code, stdout, stderr, _ = run(answer, "log", "7", "--follow")
    assert (code, stdout) == (0, "firstsecond")
    assert stderr == "wpctl: standard output of task 7: 4 more bytes were not kept\n"


def test_log_with_j_gives_the_replies():
    replies = [{"state": "active", "attempt": 1}, {"state": "active", "attempt": 1} | out("x", 5), {"state": "failed", "attempt": 1}]
    code, stdout, stderr, _ = run(play(*replies, state="failed"), "-j", "log", "7", "-f")
    assert (code, stderr) == (1, "") and [json.loads(line) for line in stdout.splitlines()] == replies


@pytest.mark.parametrize("name, code", [("NoSuchTask", 4), ("org.varlink.service.PermissionDenied", 77)])
@pytest.mark.parametrize("flags", [[], ["-f"]])
def test_log_of_what_one_may_not_see_is_an_error(name, code, flags):
    with cli.Fake(lambda call: cli.fault(name, id="7")) as fake:
        assert cli.Ctl(fake.path).error("log", "7", *flags, code=code).startswith(name.rpartition(".")[2])


def test_log_that_is_interrupted_is_code_130_and_of_a_daemon_that_goes_69():
    with cli.Fake(lambda call: cli.reply({"state": "active", "attempt": 1} | out("x"), continues=True)) as fake:
        with cli.Process(fake.path, "log", "7", "-f") as process:
            assert process.read_until(bool) == "x"
            process.signal(signal.SIGINT)
            assert process.end() == (130, "x", "")
    code, stdout, stderr, _ = run(lambda call: b"", "log", "7", "-f")
    assert code == 69 and stdout == "" and "closed the connection" in stderr


def test_post_with_follow_streams_and_ends_as_the_task():
    code, stdout, stderr, calls = run(play({}, out("hello\n"), state="failed", task={"error": "x"}), "post", "h", "--follow")
    assert (code, stdout, stderr) == (1, "hello\n", "wpctl: task 7: failed: x\n")
    assert [call["method"].rpartition(".")[2] for call in calls] == ["Post", "Log", "Show"] and calls[1]["parameters"] == {"id": "7"}
    assert "wait" not in calls[0]["parameters"]
    assert "wpctl: task 7\n" in run(play(out("")), "-v", "post", "h", "-f")[2]


def test_post_with_follow_and_j_gives_all_replies():
    code, stdout, _, _ = run(play(out("hello\n")), "-j", "post", "h", "--follow")
    assert code == 0
    assert [json.loads(line) for line in stdout.splitlines()] == [{"id": "7", "state": "queued"}, {"state": "done", "attempt": 1} | out("hello\n")]


@pytest.mark.parametrize("flags, notes", [([], True), (["-q"], False)])
def test_notes_of_post_with_follow_are_for_terminals(flags, notes):
    with cli.Fake(play({}, out("fir"), out("st\n"), out("two\n") | {"attempt": 2}, {"attempt": 2})) as fake:
        text = cli.on_terminal(fake.path, *flags, "post", "h", "--follow")
    assert ("\rtask 7: queued\x1b[K" in text and "\rtask 7: active\x1b[K" in text) is notes
    assert "first\n" in text, "no note comes between the parts of a line"
    kept = re.sub(r"\r[^\n]*?\x1b\[K", "", text)
    assert kept == ("first\nwpctl: attempt 2 of task 7\ntwo\nwpctl: task 7 is done\n" if notes else "first\ntwo\n")


# With a daemon's own programs.

@pytest.fixture
def ctl(start, tmp_path, has_exec):  # pylint: disable=unused-argument
    """Programs: talk says a line, waits for the test, says another; many writes more than is kept."""
    daemon = start(procs.shell_handler(tmp_path, "talk", f'echo one; echo bad >&2; read word <"{tmp_path}/go"; echo "$word"; exit 3')
                   + procs.shell_handler(tmp_path, "many", "printf 0123456789abcdef; exit 0", max_output=1024)
                   + procs.shell_handler(tmp_path, "flood", "yes 0123456 | head -c 5000", max_output=1024))
    ctl = cli.Ctl(daemon.path)
    ctl.fifo = procs.Fifo(tmp_path, "go")
    yield ctl
    ctl.fifo.close()


def say(ctl, word):
    procs.os.write(ctl.fifo.fd, word.encode() + b"\n")


@pytest.mark.exec
def test_output_comes_while_the_program_runs_and_again_afterwards(ctl):
    with cli.Process(ctl.path, "post", "talk", "--follow") as posting:
        assert posting.read_until(lambda text: "\n" in text) == "one\n"
        assert cli.run(ctl.path, "log", "1").stdout == "one\n"
        with cli.Process(ctl.path, "log", "1", "-f", "--propagate") as late:
            assert late.read_until(lambda text: "\n" in text) == "one\n", "from its beginning"
            say(ctl, "two")
            code, rest, stderr = late.end()
            assert (code, rest) == (3, "one\ntwo\n") and stderr.startswith("bad\nwpctl: task 1: failed: ")
        code, rest, stderr = posting.end()
    assert (code, rest) == (1, "one\ntwo\n") and stderr.startswith("bad\n")
    ended = cli.run(ctl.path, "log", "1")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "one\ntwo\n", "bad\n")


@pytest.mark.exec
def test_interrupted_follow_leaves_the_task_alone(ctl):
    with cli.Process(ctl.path, "post", "talk", "--follow") as posting:
        posting.read_until(lambda text: "\n" in text)
        posting.signal(signal.SIGINT)
        assert posting.end()[0] == 130
    say(ctl, "two")
    assert ctl("wait", "1", code=1, lines=0).split("\t")[1] == "failed"


@pytest.mark.exec
@pytest.mark.parametrize("flags", [[], ["-f"]])
def test_output_beyond_what_is_kept_is_counted(ctl, flags):
    ctl("post", "flood", "--wait")
    ended = cli.run(ctl.path, "log", "1", *flags)
    assert ended.returncode == 0 and ended.stdout == ("0123456\n" * 700)[:1024]
    assert ended.stderr == "wpctl: standard output of task 1: 3976 more bytes were not kept\n"
    ctl("post", "many", "--wait")
    assert cli.run(ctl.path, "log", "2", *flags).stdout == "0123456789abcdef"


@pytest.mark.exec
def test_log_of_a_task_without_output_is_empty(ctl):
    ctl("post", "noop", "--wait")
    ctl("post", "noop", "--delay", "1h")
    for name in "1", "2":
        assert ctl("log", name) == ""
    assert ctl("log", "1", "-f") == ""
    assert ctl.error("log", "99", code=4).startswith("NoSuchTask")
