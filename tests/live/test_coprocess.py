"""Handlers of type coprocess (workpoold.conf(5), COPROCESSES): a program that is kept for the tasks of its worker: what it is
given and what becomes of what it says. For its end see test_coprocess_end.py, for one that does not keep the protocol
test_coprocess_bad.py."""
import contextlib
import os
import shutil
import sys
import tempfile
import time

import pytest

from kit import coproc, proc, procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = coproc.ONE


@pytest.fixture
def kept(start):
    """kept(keys of the handler…): a client of a daemon with one worker and the handler c."""

    def one(**keys):
        kept.daemon = start(ONE + coproc.handler(**keys))
        return kept.daemon.client()

    kept = one
    return one


@pytest.mark.short
def test_program_is_kept_between_tasks(kept):
    client = kept()
    results = [client.run("c", {"n": i})["result"] for i in range(20)]
    assert [result["n"] for result in results] == list(range(1, 21))
    assert len({result["pid"] for result in results}) == 1
    assert [result["task"]["args"] for result in results] == [{"n": i} for i in range(20)]
    assert procs.task_pids(kept.daemon) == [results[0]["pid"]]


@pytest.mark.short
def test_program_is_not_started_before_its_first_task(kept):
    client = kept()
    assert client.run("echo", {"other": 1})["state"] == "done"
    assert procs.task_pids(kept.daemon) == []
    assert client.run("c")["result"]["n"] == 1


@pytest.mark.short
def test_task_is_told_with_all_that_is_known_of_it(kept):
    client = kept()
    before = time.time()
    task = client.run("c", {"a": [1, 2.5, None]}, timeout_ms=100_000)
    told = task["result"]["task"]
    assert set(told) == {"id", "handler", "worker", "attempt", "deadline", "args"}
    assert (str(told["id"]), told["handler"], told["worker"], told["attempt"]) == (task["id"], "c", 0, 1)
    assert told["args"] == {"a": [1, 2.5, None]}
    assert before + 99 < told["deadline"] < time.time() + 101
    assert abs(told["deadline"] - task["started_at"] - 100) < 1


def test_task_without_limit_and_args_has_null_and_an_empty_object(kept):
    told = kept(timeout="0").run("c")["result"]["task"]
    assert told["deadline"] is None and told["args"] == {}


def test_attempt_grows_with_each_try(kept):
    client = kept(retries="2", backoff_min="1ms")
    task = client.run("c", {"do": "python", "text": "silent = task['attempt'] < 3\nif silent: tell(id=number, error='again')"})
    assert task["state"] == "done" and task["result"]["task"]["attempt"] == task["attempt"] == 3


@pytest.mark.parametrize("args", [
    {}, {"text": "ünïcödé \n\t\"\\ \u0001"}, {"deep": {"list": [1, 2.5, None, True, {"x": []}]}}, {"n": 2 ** 53 - 1},
    {"result": 1, "id": 2, "error": "x"},
], ids=["empty", "text", "nested", "large_number", "words_of_the_protocol"])
def test_args_and_result_travel_unharmed(kept, args):
    assert kept().run("c", args)["result"]["task"]["args"] == args


@pytest.mark.parametrize("text, expected", [
    ("null", None), ("true", True), ("0", 0), ('""', ""), ("[]", []), ("{}", {}), ("[1, {\"a\": 1.50}]", [1, {"a": 1.5}]),
    ('"\\u00e4\\n"', "ä\n"), ("-9007199254740991", -(2 ** 53 - 1)),
])
def test_result_may_be_any_value(kept, text, expected):
    task = kept().run("c", {"do": "write", "text": '{"id":ID,"result":' + text + "}\n"})
    assert task["state"] == "done" and task["result"] == expected and "error" not in task


def test_line_may_come_in_pieces_and_end_with_a_carriage_return(kept):
    text = ("import time\nfor c in '{\"id\":%d,\"result\":{\"by\":\"bytes\"}}\\r\\n' % number:\n    os.write(1, c.encode())\n"
            "silent = 1")
    client = kept()
    assert client.run("c", {"do": "python", "text": text})["result"] == {"by": "bytes"}


def test_megabyte_of_args_and_of_result(start):
    daemon = start("[daemon]\nmax_message = 2M\nmax_output = 2M\n" + ONE + coproc.handler(max_args="2M", max_output="2M"))
    text = "x" * (1 << 20)
    for n in (1, 2):
        result = daemon.client().run("c", {"text": text})["result"]
        assert result["task"]["args"]["text"] == text and result["n"] == n


@pytest.mark.short
def test_error_fails_the_task_and_not_the_program(kept):
    client = kept()
    pid = client.run("c")["result"]["pid"]
    task = client.run("c", {"do": "error", "text": "no such picture: ä\n"})
    assert (task["state"], task["reason"], task["error"]) == ("failed", "failed", "no such picture: ä\n")
    assert task["result"] == {"stderr": "", "stderr_bytes": 0}
    assert client.run("c")["result"]["pid"] == pid


def test_error_is_cut_where_it_gets_too_long(kept):
    task = kept().run("c", {"do": "error", "text": "ä" * 10000})
    assert task["state"] == "failed" and task["error"] == "ä" * 2048


def test_error_is_tried_again_as_often_as_retries_says(kept):
    client = kept(retries="2", backoff_min="1ms")
    task = client.run("c", {"do": "error", "text": "no"})
    assert (task["attempt"], task["failures"]) == (3, 2)
    assert client.run("c")["result"]["n"] == 4, "all in one program"


@pytest.mark.short
def test_progress_is_told_while_the_task_runs(kept, tmp_path):
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "fifo.go") as gate:
        client = kept()
        id_ = client.post("c", {"do": "python", "text":
                                "tell(id=number, permille=250, note='a quarter')\n"
                                f"open({told.path!r}, 'w').write('x\\n'); open({gate.path!r}, 'rb', 0).read(3)"})["id"]
        told.line()
        deadline = time.monotonic() + DEADLINE
        for _ in kept.daemon.watch():
            shown = client.call("Show", {"id": id_})["task"]
            if "progress" in shown:
                break
            assert time.monotonic() < deadline, shown
        assert shown["progress"] == {"permille": 250, "note": "a quarter"}
        os.write(gate.fd, b"go\n")
        assert client.call("Wait", {"ids": [id_]})["tasks"][0]["state"] == "done"


def test_much_progress_does_no_harm(kept):
    text = "for i in range(20000): tell(id=number, permille=i // 20, note='n' * 1000)"
    assert kept().run("c", {"do": "python", "text": text})["result"]["n"] == 1


@pytest.mark.short
def test_standard_error_is_the_output_of_the_task_that_runs(kept, tmp_path):
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "fifo.go") as gate:
        client = kept()
        client.run("c", {"do": "say", "err": "of another task\n"})
        id_ = client.post("c", {"do": "python", "text":
                                "os.write(2, b'first\\n')\n"
                                f"open({told.path!r}, 'w').write('x\\n'); open({gate.path!r}, 'rb', 0).read(3)\nos.write(2, b'second\\n')"})["id"]
        told.line()
        stream = kept.daemon.client().more("Log", {"id": id_})
        text = ""
        for reply in stream:
            text += reply.get("stderr", "")
            if text == "first\n":
                os.write(gate.fd, b"go\n")
        assert text == "first\nsecond\n" and reply["stderr_bytes"] == 13 and reply["stdout_bytes"] == 0
        assert client.call("Show", {"id": id_})["task"]["state"] == "done"


@pytest.mark.parametrize("args, reason", [({"do": "write", "text": "nonsense\n"}, "protocol"), ({"do": "error", "text": "x"}, "failed"),
                                          ({"do": "python", "text": "os._exit(3)"}, "exit")])
def test_standard_error_is_in_the_result_of_a_task_that_failed(kept, args, reason):
    client = kept(birth=["os.write(2, b'born\\n')"], max_output="1K")
    task = client.run("c", args)
    assert (task["state"], task["reason"]) == ("failed", reason)
    assert task["result"]["stderr"] == "born\n" and task["result"]["stderr_bytes"] == 5


def test_standard_error_is_kept_up_to_max_output_and_counted(kept):
    task = kept(max_output="1K").run("c", {"do": "python", "text": "os.write(2, b'x' * 5000000)\nos._exit(1)"})
    assert task["result"]["stderr"] == "x" * 1024 and task["result"]["stderr_bytes"] == 5000000


@pytest.mark.short
def test_environment_and_directory_go_with_the_program(start, tmp_path):
    text = "found = {'env': dict(os.environ), 'cwd': os.getcwd(), 'files': os.listdir('.')}; open('mine', 'w').close(); " \
           "tell(id=number, result=found); silent = 1"
    daemon = start(ONE + coproc.handler(environment="A=1 LANG=C"), env={"TMPDIR": str(tmp_path), "SECRET_OF_THE_DAEMON": "1"})
    client = daemon.client()
    found = client.run("c", {"do": "python", "text": text})["result"]
    assert set(found["env"]) - {"LC_CTYPE"} == {"PATH", "LANG", "TMPDIR", "A", "WORKPOOL_PROGRAM", "WORKPOOL_WORKER"}
    assert found["env"]["TMPDIR"] == found["cwd"]
    assert (found["env"]["A"], found["env"]["LANG"], found["env"]["WORKPOOL_WORKER"]) == ("1", "C", "0")
    assert found["files"] == [] and found["cwd"].startswith(str(tmp_path)) and os.path.exists(found["cwd"])
    assert os.listdir(found["cwd"]) == ["mine"]
    daemon.signal(15)
    assert daemon.wait_exit() == 0
    assert procs.names_of(tmp_path) == []


def test_keys_of_exec_hold_for_the_program(start, tmp_path):
    text = ("import resource\numask = os.umask(0)\ntell(id=number, result=[umask, os.nice(0), os.getcwd(), "
            "resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_FSIZE), sorted(os.listdir('/proc/self/fd'))]); "
            "silent = 1")
    keys = {"umask": "022", "nice": "5", "working_directory": tmp_path, "open_files_max": "64", "file_size_max": "1M"}
    found = start(ONE + coproc.handler(command=(sys.executable, coproc.PROGRAM), **keys)).client().run(
        "c", {"do": "python", "text": text})["result"]
    assert found == [0o22, 5, str(tmp_path), [64, 64], [1 << 20, 1 << 20], ["0", "1", "2", "3"]]


ACTS = r"""
def can(path):
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write("x")
        return True
    except PermissionError:
        return False
tell(id=number, result={name: can(path) for name, path in args["paths"].items()})
silent = True
"""


@pytest.fixture
def place():
    """A folder that is no one's: not the daemon's, not below /tmp."""
    with tempfile.TemporaryDirectory(prefix="wp-", dir="/var/tmp") as path:
        os.chmod(path, 0o755)
        yield path


@pytest.mark.short
@pytest.mark.parametrize("sandbox", ["yes", "no"])
def test_sandbox_holds_for_every_task_of_a_program(start, place, sandbox):
    program = shutil.copy(coproc.PROGRAM, place)
    os.mkdir(os.path.join(place, "write"))
    daemon = start(ONE + coproc.handler(command=(sys.executable, "-IS", program), sandbox=sandbox, write_paths=os.path.join(place, "write")))
    client = daemon.client()
    paths = {"own": "mine", "write_paths": f"{place}/write/file", "elsewhere": f"{place}/file", "program": program}
    refuses = sandbox == "yes" and "files" not in client.call("Stats")["daemon"]["sandbox"]["off"]
    expected = {"own": True, "write_paths": True, "elsewhere": not refuses, "program": not refuses}
    for _ in range(2):
        for _ in range(2):
            task = client.run("c", {"do": "python", "text": ACTS, "paths": paths})
            assert task["result"] == expected, task
        (pid,) = procs.task_pids(daemon)
        os.kill(pid, 9)
        coproc.wait_gone(daemon, pid)


@pytest.mark.short
@pytest.mark.parametrize("isolation", ["shared", "task"])
def test_each_worker_has_its_own_program_and_number(start, tmp_path, isolation):
    with contextlib.ExitStack() as stack:
        told, gate = (stack.enter_context(procs.fifo(tmp_path, name)) for name in ("fifo", "fifo.go"))
        daemon = start(f"[pool default]\nworkers = 3\nisolation = {isolation}\n" + coproc.handler())
        clients = [daemon.client() for _ in range(3)]
        pids = []
        for n in range(1, 4):
            for client in clients:
                client.send("Post", {"handler": "c", "args": {"do": "wait", "file": told.path}, "wait": True})
            pids = pids or [int(told.line()[1]) for _ in clients]
            if n > 1:
                assert {int(told.line()[1]) for _ in clients} == set(pids), "the same as before"
            os.write(gate.fd, b"go\n" * 3)
            results = [client.recv()["task"]["result"] for client in clients]
            assert {result["pid"] for result in results} == set(pids) and len(set(pids)) == 3
            assert {result["task"]["worker"] for result in results} == {0, 1, 2}
            assert [result["n"] for result in results] == [n] * 3
        assert sorted(procs.task_pids(daemon)) == sorted(pids)


@pytest.mark.short
def test_two_handlers_of_a_pool_have_programs_of_their_own(start):
    daemon = start(ONE + coproc.handler("a") + coproc.handler("b") + procs.handler("quick", "/bin/true"))
    client = daemon.client()
    pids = {"a": set(), "b": set()}
    for n in range(1, 6):
        for name, known in pids.items():
            result = client.run(name)["result"]
            known.add(result["pid"])
            assert result["n"] == n and result["task"]["handler"] == name
        assert client.run("quick")["state"] == "done"
    assert len(pids["a"]) == len(pids["b"]) == 1 and pids["a"] != pids["b"]


def test_what_a_program_starts_lives_as_long_as_the_program(start, tmp_path):
    """Not only as long as the task in which it was started; tasks of exec beside it end without harm to it."""
    with procs.fifo(tmp_path) as told:
        child = f"import subprocess; subprocess.Popen(['setsid', 'sh', '-c', 'echo child $$ >{told.path}; sleep 600; :'])"
        daemon = start(ONE + coproc.handler() + procs.handler("quick", "/bin/true"))
        client = daemon.client()
        pid = client.run("c", {"do": "python", "text": child})["result"]["pid"]
        grandchild = told.pids(1)["child"]
        for _ in range(3):
            assert client.run("quick")["state"] == "done"
            assert client.run("c")["result"]["pid"] == pid
        assert proc.is_alive(grandchild)
        os.kill(pid, 9)
        procs.check_gone([pid, grandchild], time.monotonic() + DEADLINE, "after their program")
        assert client.run("c")["result"]["n"] == 1


@pytest.mark.parametrize("command, words", [("/nonexistent/x", ["execve", "No such file"]), ("/etc/passwd", ["execve", "Permission denied"])])
def test_program_that_cannot_be_started_fails_each_task(kept, command, words):
    client = kept(command=(command,))
    for _ in range(3):
        task = client.run("c")
        assert (task["state"], task["reason"]) == ("failed", "start") and all(word in task["error"] for word in words)
    assert client.run("echo", {})["state"] == "done"


@pytest.mark.parametrize("keys, words", [
    ({"command": ""}, ["command"]), ({"command": "true"}, ["absolute"]), ({"command": "/bin/true", "stdin": "none"}, ["stdin"]),
    ({"command": "/bin/true", "recycle_tasks": "x"}, ["recycle_tasks"]), ({"command": "/bin/true", "recycle_rss": "1K"}, ["recycle_rss", "1M"]),
    ({"command": "/bin/true", "environment": "WORKPOOL_PROGRAM=9"}, ["WORKPOOL_"]),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else None)
def test_wrong_configuration_is_refused_at_the_start(workpoold, tmp_path, keys, words):
    config = tmp_path / "conf"
    config.write_text("[handler x]\ntype = coprocess\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    config.chmod(0o600)
    ended = workpoold("--config", config, "--check-config")
    assert ended.returncode == 78, ended
    assert "[handler x]" in ended.stderr and all(word in ended.stderr for word in words), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
