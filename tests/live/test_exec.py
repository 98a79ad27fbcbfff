"""Handlers of type exec (reliability.md, workpoold.conf(5)): what a program is given, and what becomes of its output."""
import json
import sys

import pytest

from kit import procs

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = "[pool default]\nworkers = 1\n"
MEGABYTE = 1024 * 1024


@pytest.fixture
def run(start, tmp_path):
    """run(shell text, args=…, keys of the handler…): the task that this program was run for."""

    def run_one(text, args=None, **keys):
        daemon = start(ONE + procs.shell_handler(tmp_path, "program", text, **keys))
        return daemon.client().run("program", args)

    return run_one


@pytest.mark.short
def test_output_and_errors_are_in_the_result_apart(run):
    task = run('echo out; echo err >&2; echo again')
    assert task["state"] == "done" and "reason" not in task
    result = task["result"]
    assert (result["exit"], result["stdout"], result["stderr"]) == (0, "out\nagain\n", "err\n")
    assert (result["stdout_bytes"], result["stderr_bytes"]) == (10, 4)


@pytest.mark.short
def test_silent_program_has_an_empty_result(run):
    result = run("exit 0")["result"]
    assert (result["exit"], result["stdout"], result["stderr"], result["stdout_bytes"], result["stderr_bytes"]) == (0, "", "", 0, 0)


@pytest.mark.parametrize("status", [1, 3, 127, 255])
def test_exit_status_other_than_zero_fails_the_task(run, status):
    task = run(f"echo so far; exit {status}")
    assert (task["state"], task["reason"]) == ("failed", "exit")
    assert task["error"] == f"the program ended with status {status}"
    assert task["result"]["exit"] == status and task["result"]["stdout"] == "so far\n"


@pytest.mark.parametrize("name, number", [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("USR1", 10)])
def test_signal_that_ended_the_program_is_named(run, name, number):
    """It is a crash: tried again as often as crash_max says, and the last one's report is kept."""
    task = run(f"echo so far; kill -{name} $$", backoff_min="1ms")
    assert (task["state"], task["reason"]) == ("failed", "crashed")
    assert (task["attempt"], task["crashes"], task["failures"], task["suspect"]) == (2, 2, 0, False)
    assert str(number) in task["error"] and name in task["error"]
    assert task["result"]["signal"] == number and "exit" not in task["result"]
    assert task["result"]["stdout"] == "so far\n"


@pytest.mark.short
@pytest.mark.parametrize("args", [
    {}, {"a": 1}, {"text": "ünïcödé \n\t\"\\ \u0001"}, {"deep": {"list": [1, 2.5, None, True, {"x": []}]}}, {"n": 2 ** 53 - 1},
    {"$(touch /x)": "`id`; 'quotes' \"$HOME\""},
], ids=["empty", "one", "text", "nested", "large_number", "shell"])
def test_args_come_as_one_line_of_json_on_standard_input(run, args):
    task = run("cat", args)
    assert task["state"] == "done"
    text = task["result"]["stdout"]
    assert json.loads(text) == args and text.endswith("\n") and text.count("\n") == 1


def test_program_without_args_reads_an_empty_object(run):
    assert json.loads(run("cat")["result"]["stdout"]) == {}


def test_stdin_none_is_empty(run):
    task = run('cat; readlink /proc/self/fd/0', {"secret": 1}, stdin="none")
    assert task["result"]["stdout"] == "/dev/null\n"


@pytest.mark.parametrize("text", ["exit 0", "exec <&-; exit 0", "head -c 10 >/dev/null"],
                         ids=["ignored", "closed", "read_in_part"])
def test_program_need_not_read_a_megabyte_of_args(run, text):
    task = run(text, {"text": "x" * (MEGABYTE - 4096)})
    assert task["state"] == "done", task["error"]


def test_program_that_reads_late_gets_a_megabyte_of_args_whole(run):
    text = "x" * (MEGABYTE - 4096)
    task = run("echo ready; wc -c", {"text": text})
    assert task["result"]["stdout"].split() == ["ready", str(len('{"text":""}\n') + len(text))]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("limit, written", [("1K", 1023), ("1K", 1024), ("1K", 1025), ("1K", 5 * MEGABYTE), ("0", 10)])
def test_output_is_kept_up_to_max_output_and_the_rest_counted(run, stream, limit, written):
    redirect = " >&2" if stream == "stderr" else ""
    task = run(f"head -c {written} /dev/zero | tr '\\0' x{redirect}", max_output=limit)
    kept = min(written, 1024 if limit == "1K" else 0)
    assert task["state"] == "done"
    assert task["result"][stream] == "x" * kept
    assert task["result"][stream + "_bytes"] == written


def test_cut_output_ends_with_a_whole_character(run):
    # 1023 bytes and a character of two: the cut is in the middle of that.
    task = run("head -c 1023 /dev/zero | tr '\\0' x; printf 'ä and more'", max_output="1K")
    assert task["result"]["stdout"] == "x" * 1023
    assert task["result"]["stdout_bytes"] == 1023 + len("ä and more".encode())


@pytest.mark.parametrize("octal, expected", [
    (r"ok\n", "ok\n"), (r"a\377b", "a\ufffdb"), (r"\300\200", "\ufffd\ufffd"), (r"\303", "\ufffd"),
    (r"nul\000byte", None), (r"\001\033[31m", "\x01\x1b[31m"),
], ids=["valid", "ff", "overlong", "cut", "nul", "control"])
def test_output_that_is_not_utf8_arrives_as_text(run, octal, expected):
    task = run(f"printf '{octal}'")
    assert task["state"] == "done"
    text = task["result"]["stdout"]
    if expected is None:
        assert text.startswith("nul") and text.endswith("byte") and "\0" not in text
    else:
        assert text.replace("\ufffd\ufffd", "\ufffd") == expected.replace("\ufffd\ufffd", "\ufffd")


def test_control_characters_that_grow_as_json_fit_into_a_reply(start, tmp_path):
    """A byte that takes six as JSON: shorter, but the task is done and the counter right."""
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", "head -c 1000000 /dev/zero | tr '\\0' '\\001'", max_output="1M"))
    task = daemon.client().run("program")
    assert task["state"] == "done", task
    assert task["result"]["stdout_bytes"] == 1000000
    assert set(task["result"]["stdout"]) == {"\x01"} and len(task["result"]["stdout"]) > 100000


def test_output_after_the_program_closed_its_input_counts(run):
    assert run("exec <&-; echo late")["result"]["stdout"] == "late\n"


def test_program_that_closed_its_output_runs_on(run, tmp_path):
    task = run(f"exec >&- 2>&-; echo still here >{tmp_path}/proof; exit 4")
    assert task["result"]["exit"] == 4
    assert (tmp_path / "proof").read_text() == "still here\n"


def test_end_of_the_program_counts_and_not_of_its_output(start, tmp_path):
    """A background process holds the pipes: the task ends with the program, and that process with the task."""
    daemon = start(ONE + procs.shell_handler(tmp_path, "program", "sleep 600 & echo $!"))
    task = daemon.client().run("program")
    assert task["state"] == "done"
    assert task["run_us"] < 5_000_000
    procs.check_gone([int(task["result"]["stdout"])], procs.time.monotonic() + 1, "after the task")


BUSY = f"{sys.executable} -c \"import time\nwhile time.process_time() < 0.2: pass\nx = bytearray(30 << 20)\""


def check_usage(result):
    assert result["user_us"] + result["system_us"] >= 150_000
    assert 30 << 20 < result["max_rss_bytes"] < 1 << 30


@pytest.mark.parametrize("end, state", [("exit 0", "done"), ("exit 3", "failed"), ("kill -KILL $$", "failed")], ids=["done", "status", "signal"])
def test_resource_usage_is_told_however_it_ends(run, end, state):
    task = run(f"{BUSY}; {end}", crash_max=1)
    assert task["state"] == state
    check_usage(task["result"])


def test_resource_usage_of_a_program_that_was_ended_is_told(start, tmp_path):
    with procs.fifo(tmp_path) as told:
        daemon = start(ONE + procs.shell_handler(tmp_path, "program", f"{BUSY}; echo used >{told.path}; exec sleep 600"))
        client = daemon.client()
        client.send("Post", {"handler": "program", "wait": True})
        told.line()
        daemon.client().call("Cancel", {"ids": ["1"]})
        task = client.recv()["task"]
    assert task["state"] == "cancelled"
    check_usage(task["result"])


@pytest.mark.short
@pytest.mark.parametrize("make, words", [
    (lambda d: d / "missing", ["execve", "No such file"]),
    (lambda d: _file(d / "data", 0o644), ["execve", "Permission denied"]),
    (lambda d: d, ["execve", "Permission denied"]),
    (lambda d: _file(d / "empty", 0o755, "no program\x7f\n"), ["execve", "Exec format"]),
    (lambda d: _file(d / "lost", 0o755, "#!/no/such/interpreter\n"), ["execve", "No such file"]),
    (lambda d: d / "missing" / "deeper", ["execve", "No such file"]),
], ids=["missing", "not_executable", "directory", "no_format", "no_interpreter", "no_directory"])
def test_program_that_cannot_be_started_fails_the_task_clearly(start, tmp_path, make, words):
    daemon = start(ONE + procs.handler("program", make(tmp_path)))
    client = daemon.client()
    task = client.run("program")
    assert (task["state"], task["reason"]) == ("failed", "start")
    assert all(word in task["error"] for word in ["the program cannot be started", *words]), task["error"]
    # The worker is as good as before.
    assert client.run("program")["reason"] == "start"
    assert daemon.client().run("echo", {"a": 1})["result"] == {"a": 1}


def _file(path, mode, text="data"):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_working_directory_that_is_not_there_fails_the_task_clearly(start, tmp_path):
    daemon = start(ONE + procs.handler("program", "/bin/true", working_directory=tmp_path / "missing"))
    task = daemon.client().run("program")
    assert (task["state"], task["reason"]) == ("failed", "start")
    assert "chdir" in task["error"] and "No such file" in task["error"]


@pytest.mark.parametrize("keys, words", [
    ({"command": ""}, ["command"]), ({"command": "true"}, ["absolute"]), ({"command": "/bin/echo 'open"}, ["quote"]),
    ({"command": "/bin/true", "stdin": "file"}, ["args or none"]),
    ({"command": "/bin/true", "environment": "NOVALUE"}, ["NAME=value"]),
    ({"command": "/bin/true", "environment": "WORKPOOL_TASK_ID=9"}, ["WORKPOOL_"]),
    ({"command": "/bin/true", "umask": "888"}, ["octal"]),
    ({"command": "/bin/true", "nice": "20"}, ["19"]),
    ({"command": "/bin/true", "open_files_max": "3"}, ["8"]),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else None)
def test_wrong_configuration_of_a_program_is_refused_at_the_start(workpoold, tmp_path, keys, words):
    config = tmp_path / "conf"
    config.write_text("[handler x]\ntype = exec\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    config.chmod(0o600)
    ended = workpoold("--config", config, "--check-config")
    assert ended.returncode == 78, ended
    assert "[handler x]" in ended.stderr and all(word in ended.stderr for word in words), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr


def test_quoted_words_of_the_command_arrive_as_they_are(start, tmp_path):
    words = ["two words", "", "'", '"', "\\", "$HOME", "*", "`id`", "a=b", "ä"]
    program = procs.script(tmp_path, "words.py", "import json, sys\nprint(json.dumps(sys.argv[1:]))\n", sys.executable)
    daemon = start(ONE + procs.handler("program", program, *words))
    assert json.loads(daemon.client().run("program")["result"]["stdout"]) == words


def test_post_cannot_add_arguments_or_choose_the_program(start, tmp_path):
    program = procs.script(tmp_path, "words.py", "import json, sys\nprint(json.dumps(sys.argv[1:]))\n", sys.executable)
    daemon = start(ONE + procs.handler("program", program, "fixed"))
    args = {"command": "/bin/false", "argv": ["x"], "args": ["y"], "environment": "A=b", "--": "z"}
    assert json.loads(daemon.client().run("program", args)["result"]["stdout"]) == ["fixed"]
