"""Programs of type coprocess that do not keep the protocol: what they say wrong costs them their place and, if one runs, the
task; none of it holds a worker up past its time limit, fills memory, or costs the next task."""
import os
import signal
import sys
import time

import pytest

from kit import coproc, proc, procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
ONE = coproc.ONE
MEGABYTE = 1024 * 1024
OK = '{"id":ID,"result":1}\n'

# What a program writes for a task, and what the task's error says then.
NONSENSE = {
    "no_json": ("hello\n", "no answer: byte"),
    "empty_line": ("\n", "no answer: byte"),
    "half_an_object": ('{"id":ID,"result":\n', "no answer: byte"),
    "no_object": ("[1]\n", "no object"),
    "no_id": ('{"result":1}\n', "id: required"),
    "id_is_text": ('{"id":"ID","result":1}\n', "id: a number"),
    "wrong_id": ('{"id":99999,"result":1}\n', "answered for task 99999"),
    "wrong_id_of_progress": ('{"id":99999,"permille":1}\n', "answered for task 99999"),
    "no_answer": ('{"id":ID}\n', "result, error or permille is missing"),
    "two_answers_in_one": ('{"id":ID,"result":1,"error":"x"}\n', "only one of"),
    "unknown_member": ('{"id":ID,"reslut":1}\n', "reslut: unknown"),
    "wrong_progress": ('{"id":ID,"permille":0.5}\n', "permille: a number from 0 to 1000"),
    "number_too_large": ('{"id":ID,"result":9007199254740993}\n', "integer outside"),
    "twice_the_same_member": ('{"id":ID,"result":1,"result":2}\n', "duplicate"),
    "too_deep": ('{"id":ID,"result":' + "[" * 40 + "]" * 40 + "}\n", "levels deep"),
    "too_many_values": ('{"id":ID,"result":[' + "1," * 32768 + "1]}\n", "values"),
    "lone_surrogate": ('{"id":ID,"result":"\\ud800"}\n', "no answer: byte"),
    "control_characters": ("\x1b[31m\x07\n", "no answer: byte"),
}


@pytest.fixture
def kept(start):
    def one(*, config=ONE, **keys):
        keys.setdefault("max_output", "128K")
        one.daemon = start(config + coproc.handler(**keys))
        return one.daemon.client()

    return one


def check_replaced(client, pid):
    """The next task has a fresh program, and it is at its first task."""
    result = client.run("c")["result"]
    assert result["pid"] != pid and result["n"] == 1
    return result["pid"]


@pytest.mark.short
@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_fails_the_task_and_costs_the_program_its_place(kept, what):
    text, words = NONSENSE[what]
    client = kept()
    pid = client.run("c")["result"]["pid"]
    task = client.run("c", {"do": "write", "text": text})
    assert (task["state"], task["reason"]) == ("failed", "protocol") and words in task["error"], task
    check_replaced(client, pid)
    coproc.wait_gone(kept.daemon, pid)


@pytest.mark.parametrize("byte", ["\\0", "\\xff", "\\xc3", "\\xed\\xa0\\x80", "\\xc0\\xaf"])
def test_answer_that_is_no_text_is_none(kept, byte):
    client = kept()
    task = client.run("c", {"do": "python", "text": f"os.write(1, b'{{\"id\":%d,\"result\":\"{byte}\"}}\\n' % number); silent = 1"})
    assert (task["state"], task["reason"]) == ("failed", "protocol"), task
    check_replaced(client, None)


@pytest.mark.short
def test_more_than_the_answer_costs_the_program_its_place_and_not_the_task(kept):
    client = kept()
    pid = client.run("c")["result"]["pid"]
    task = client.run("c", {"do": "write", "text": OK + '{"id":ID,"result":2}\n'})
    assert task["state"] == "done" and task["result"] == 1
    check_replaced(client, pid)
    assert "wrote more than its answer" in coproc.wait_for_line(kept.daemon, ["coprocess_replaced", "c"])


@pytest.mark.short
@pytest.mark.parametrize("text", ["x", "\n", '{"id":1,"result":1}\n', "half a line"], ids=["byte", "newline", "answer", "half_a_line"])
def test_word_that_nobody_asked_for_costs_the_program_its_place(kept, tmp_path, text):
    """While it has no task; the next one does not suffer."""
    later = f"import threading; threading.Thread(target=lambda: (open({str(tmp_path / 'fifo')!r}).read(1), os.write(1, {text!r}.encode()))).start()"
    with procs.fifo(tmp_path) as gate:
        client = kept(birth=[later])
        pid = client.run("c")["result"]["pid"]
        os.write(gate.fd, b"x")
        coproc.wait_gone(kept.daemon, pid)
        assert "wrote to its standard output" in coproc.wait_for_line(kept.daemon, ["coprocess_replaced", str(pid)])
    assert client.run("c")["result"]["pid"] != pid


def test_result_that_is_too_long_is_refused_and_the_limit_itself_is_not(kept):
    client = kept(max_output="1K")
    good = client.run("c", {"do": "write", "text": '{"id":ID,"result":"' + "x" * 1022 + '"}\n'})
    assert good["state"] == "done" and len(good["result"]) == 1022
    task = client.run("c", {"do": "write", "text": '{"id":ID,"result":"' + "x" * 1023 + '"}\n'})
    assert (task["state"], task["reason"]) == ("failed", "output_too_long")
    assert task["error"] == "the result has 1025 bytes, 1024 are allowed"
    check_none = client.run("c", {"do": "write", "text": OK})
    assert check_none["state"] == "done"


@pytest.mark.short
def test_line_without_end_is_refused_and_fills_no_memory(kept):
    client = kept()
    host = client.pool()["host_pid"]
    before = proc.peak_reset(host)
    task = client.run("c", {"do": "python", "text": "while True: os.write(1, b'x' * 65536)"})
    assert (task["state"], task["reason"]) == ("failed", "output_too_long") and "more than" in task["error"]
    check_replaced(client, None)
    if not proc.is_sanitized(host):
        assert proc.peak_bytes(host) - before < 4 * MEGABYTE


def test_endless_lines_end_with_the_first(kept):
    client = kept()
    task = client.run("c", {"do": "python", "text": "while True: os.write(1, b'\\n' * 65536)"})
    assert (task["state"], task["reason"]) == ("failed", "protocol")
    check_replaced(client, None)


def test_half_a_line_and_no_more_ends_at_the_time_limit(kept):
    client = kept(kill_after="1s")
    task = client.run("c", {"do": "write", "text": '{"id":ID,"result":'}, timeout_ms=200)
    assert (task["state"], task["reason"]) == ("failed", "timeout")
    assert task["result"]["signal"] == signal.SIGTERM
    check_replaced(client, None)


def test_progress_without_end_ends_at_the_time_limit(kept):
    client = kept()
    task = client.run("c", {"do": "python", "text": "while True: tell(id=number, permille=1, note='for ever')"}, timeout_ms=300)
    assert (task["state"], task["reason"]) == ("failed", "timeout")
    assert task["run_us"] < 5_000_000
    check_replaced(client, None)


def test_flood_of_standard_error_ends_at_the_time_limit_and_fills_no_memory(kept):
    client = kept(max_output="1K")
    host = client.pool()["host_pid"]
    before = proc.peak_reset(host)
    task = client.run("c", {"do": "python", "text": "while True: os.write(2, b'x' * 65536)"}, timeout_ms=300)
    assert (task["state"], task["reason"]) == ("failed", "timeout")
    assert task["result"]["stderr"] == "x" * 1024 and task["result"]["stderr_bytes"] > 65536
    if not proc.is_sanitized(host):
        assert proc.peak_bytes(host) - before < 4 * MEGABYTE


@pytest.mark.short
def test_standard_error_of_an_idle_program_is_no_ones_output(kept, tmp_path):
    """It is read, so that the program does not wait; it does not go to the next task."""
    later = (f"import threading; threading.Thread(target=lambda: (open({str(tmp_path / 'gate')!r}).read(1), os.write(2, b'x' * 300000), "
             f"open({str(tmp_path / 'fifo')!r}, 'w').write('written\\n'))).start()")
    with procs.fifo(tmp_path) as told, procs.fifo(tmp_path, "gate") as gate:
        client = kept(birth=[later])
        pid = client.run("c")["result"]["pid"]
        os.write(gate.fd, b"x")
        assert told.line() == ["written"]
        task = client.run("c", {"do": "error", "text": "x"})
        assert task["result"] == {"stderr": "", "stderr_bytes": 0}
        assert client.run("c")["result"]["pid"] == pid


@pytest.mark.short
def test_idle_program_that_floods_standard_error_is_ended(kept, tmp_path):
    later = (f"import threading\ndef flood():\n    open({str(tmp_path / 'gate')!r}).read(1)\n    while True: os.write(2, b'x' * 65536)\n"
             "threading.Thread(target=flood).start()")
    with procs.fifo(tmp_path, "gate") as gate:
        client = kept(birth=[later])
        pid = client.run("c")["result"]["pid"]
        os.write(gate.fd, b"x")
        coproc.wait_gone(kept.daemon, pid)
    assert "standard error" in coproc.wait_for_line(kept.daemon, ["coprocess_replaced", str(pid)])
    check_replaced(client, pid)


@pytest.mark.parametrize("fds, words", [((1,), "closed its standard output"), ((0, 1), "closed its standard output"),
                                        ((0, 1, 2), "closed its standard output")])
def test_program_that_closes_its_output_and_lives_on_fails_the_task(kept, fds, words):
    client = kept()
    pid = client.run("c")["result"]["pid"]
    close = "".join(f"os.close({fd}); " for fd in fds)
    task = client.run("c", {"do": "python", "text": close + "import time; time.sleep(600)"})
    assert (task["state"], task["reason"]) == ("failed", "protocol") and words in task["error"]
    check_replaced(client, pid)
    coproc.wait_gone(kept.daemon, pid)


def test_program_that_closes_its_input_answers_one_more_task(kept):
    client = kept()
    first = client.run("c", {"do": "python", "text": "os.close(0)\ntell(id=number, result=os.getpid())\nimport time; time.sleep(600)"})
    assert first["state"] == "done"
    pid = first["result"]
    check_replaced(client, pid)
    coproc.wait_gone(kept.daemon, pid)


def test_program_that_never_reads_ends_at_the_time_limit(kept):
    client = kept(command=("/bin/sleep", "600"), kill_after="1s")
    for args in ({}, {"text": "x" * (MEGABYTE - 4096)}):
        task = client.run("c", args, timeout_ms=200)
        assert (task["state"], task["reason"]) == ("failed", "timeout") and task["result"]["signal"] == signal.SIGTERM


def test_program_that_is_born_without_input_fails_each_task(kept):
    """A new one may not be blamed for nothing: no program is tried for ever."""
    client = kept(command=("/bin/sh", "-c", "exec <&-; exec sleep 600"))
    for _ in range(2):
        task = client.run("c", {"text": "x" * 200000}, timeout_ms=int(DEADLINE * 1000))
        assert (task["state"], task["reason"]) == ("failed", "protocol") and "closed its standard input" in task["error"], task


def test_answer_before_the_task_was_read_costs_the_program_its_place(kept):
    """It may have read the id, and not the rest of a long line."""
    client = kept(command=(sys.executable, "-ISc", "import os, re, time; id = re.search(rb'\"id\":(\\d+)', os.read(0, 200)).group(1); "
                           "os.write(1, b'{\"id\":%s,\"result\":%d}\\n' % (id, os.getpid())); time.sleep(600)"))
    task = client.run("c", {"text": "x" * 500000})
    assert task["state"] == "done"
    coproc.wait_gone(kept.daemon, task["result"])
    assert client.run("c", {"text": "x" * 500000})["result"] != task["result"]


@pytest.mark.short
@pytest.mark.parametrize("how, reason, words", [
    ("os._exit(0)", "exit", "ended with status 0 and no answer"), ("os._exit(3)", "exit", "ended with status 3 and no answer"),
    ("os.kill(os.getpid(), 11)", "crashed", "signal 11 (SEGV)"), ("os.kill(os.getpid(), 9)", "crashed", "signal 9 (KILL)"),
    ("os.write(1, b'{\"id\":'); os._exit(1)", "exit", "ended with status 1 and no answer"),
])
def test_death_during_a_task_ends_it_as_one_of_exec(kept, how, reason, words):
    client = kept(backoff_min="1ms")
    pid = client.run("c")["result"]["pid"]
    task = client.run("c", {"do": "python", "text": how})
    assert (task["state"], task["reason"]) == ("failed", reason) and words in task["error"], task
    assert (task["crashes"], task["attempt"]) == ((2, 2) if reason == "crashed" else (0, 1))
    assert ("signal" if reason == "crashed" else "exit") in task["result"] and task["result"]["max_rss_bytes"] > 0
    check_replaced(client, pid)


def test_crash_with_on_crash_lost_is_not_tried_again(kept):
    task = kept(on_crash="lost").run("c", {"do": "python", "text": "os.kill(os.getpid(), 6)"})
    assert (task["state"], task["reason"], task["attempt"]) == ("lost", "crashed", 1)


@pytest.mark.short
def test_answer_of_a_program_that_dies_with_it_counts(kept):
    client = kept()
    for signal_ in ("0", "9"):
        die = "os._exit(0)" if signal_ == "0" else "os.kill(os.getpid(), 9)"
        task = client.run("c", {"do": "python", "text": f"tell(id=number, result=os.getpid()); {die}"})
        assert task["state"] == "done"
        coproc.wait_gone(kept.daemon, task["result"])
    assert client.run("c")["result"]["n"] == 1


@pytest.mark.short
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_death_between_two_tasks_costs_no_task(kept, number):
    """Noticed and logged when it happens."""
    client = kept()
    for _ in range(5):
        pid = client.run("c")["result"]["pid"]
        os.kill(pid, number)
        coproc.wait_gone(kept.daemon, pid)
        check_replaced(client, pid)
        coproc.wait_for_line(kept.daemon, ["coprocess_ended", f"pid {pid}", f"signal {int(number)}"])
    pool = client.pool()
    assert (pool["failed"], pool["crashed"], pool["retried"]) == (0, 0, 0)


def test_idle_program_that_closes_its_output_and_lives_on_is_ended(kept, tmp_path):
    later = f"import threading; threading.Thread(target=lambda: (open({str(tmp_path / 'gate')!r}).read(1), os.close(1))).start()"
    with procs.fifo(tmp_path, "gate") as gate:
        client = kept(birth=[later, "import signal; signal.signal(signal.SIGTERM, signal.SIG_DFL)"])
        pid = client.run("c")["result"]["pid"]
        os.write(gate.fd, b"x")
        deadline = time.monotonic() + DEADLINE
        for _ in kept.daemon.watch():
            if not os.path.lexists(f"/proc/{pid}/fd/1"):
                break
            assert time.monotonic() < deadline, "it does not close its output"
        check_replaced(client, pid)
        coproc.wait_gone(kept.daemon, pid)


def test_idle_program_may_end_with_status_0(kept, tmp_path):
    """Which is told, but is no warning."""
    later = f"import threading; threading.Thread(target=lambda: (open({str(tmp_path / 'gate')!r}, 'rb', 0).read(1), os._exit(0))).start()"
    with procs.fifo(tmp_path, "gate") as gate:
        client = kept(birth=[later])
        for _ in range(3):
            pid = client.run("c")["result"]["pid"]
            os.write(gate.fd, b"x")
            coproc.wait_gone(kept.daemon, pid)
            assert "status 0" in coproc.wait_for_line(kept.daemon, ["coprocess_ended", f"pid {pid}"])
    assert "warning" not in kept.daemon.stderr()


def test_death_is_known_before_the_next_task_although_nobody_waited(kept):
    """No wait between the two: whoever is seen dead by the kernel before its line is written costs nothing."""
    client = kept(max_output="1K")
    for _ in range(30):
        pid = client.run("c")["result"]["pid"]
        fd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert proc.wait_readable([fd], DEADLINE)
        os.close(fd)
        assert client.run("c")["state"] == "done"
    assert client.pool()["failed"] == 0


def test_stopped_program_ends_at_the_time_limit(kept):
    client = kept(kill_after="10s")
    pid = client.run("c")["result"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    task = client.run("c", timeout_ms=200)
    assert (task["state"], task["reason"]) == ("failed", "timeout") and task["result"]["signal"] == signal.SIGTERM
    check_replaced(client, pid)


def test_bad_programs_cannot_pile_up(kept):
    """Each is asked to end when the next one is, and made to when another one follows it."""
    client = kept(birth=["import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGPIPE, signal.SIG_IGN)"],
                  kill_after="10min")
    stay = "tell(id=number + 1, result=1)\nimport time\nwhile True: time.sleep(600)"
    for _ in range(15):
        assert client.run("c", {"do": "python", "text": stay})["reason"] == "protocol"
    deadline = time.monotonic() + DEADLINE
    for _ in kept.daemon.watch():
        left = [pid for pid in procs.task_pids(kept.daemon) if proc.is_alive(pid)]
        if len(left) <= 1:
            break
        assert time.monotonic() < deadline, left
