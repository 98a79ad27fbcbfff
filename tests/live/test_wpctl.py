"""wpctl's command line (wpctl.md): help, wrong usage, where it finds the daemon, exit codes, and what it says on errors."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from kit import cli
from kit.client import DEADLINE

pytestmark = pytest.mark.short
VERBS = ("status", "post", "batch", "stats", "resize", "pause", "resume", "drain", "shutdown", "list", "show", "explain", "wait", "log",
         "cancel", "retry", "handlers", "pools", "events", "bench", "tune", "reload", "config", "store", "ping", "describe", "call")
CODES = {0, 1, 2, 3, 4, 5, 69, 70, 75, 77, 78, 124, 130}
NOWHERE = "/no/such/workpool.sock"
WORDS = {"D": "1s", "N": "1", "N,N…": "1,2", "PATH": "/x", "POOL": "p", "NAME": "n", "STATE": "done", "HANDLER": "h", "WHEN": "never",
         "KEY": "k", "KIND,KIND…": "done,failed", "TASKS": "20", "N%": "5%", "JSON": "{}", "FILE": "/x", "FILE.svg": "/x"}


def run(*args, code=0, **options):
    ended = cli.run(None, *args, **options)
    assert ended.returncode == code, ended
    return ended


def usage_error(*args):
    """The line that wrong usage is answered with; no daemon is needed to see it."""
    ended = run("-s", NOWHERE, *args, code=2)
    assert ended.stdout == "" and ended.stderr.startswith("wpctl: ") and ended.stderr.count("\n") == 1, ended
    return ended.stderr.removeprefix("wpctl: ").rstrip("\n")


def flags_of(text):
    """[(letter or "", name, ARGUMENT or "", is optional)…] of a help text."""
    return [(match[1] or "", match[2], match[4] or match[5] or "", bool(match[3]))
            for match in re.finditer(r"^  (?:-(\w)|  )[, ] --([a-z0-9-]+)(?:(\[=)(\S+)\]| (\S+))? {1,}", text, re.M)]


def test_help_names_every_verb_every_global_flag_and_every_exit_code():
    text = run("--help").stdout
    listed = re.findall(r"^  ([a-z]+)\b.*$", text.partition("Verbs:\n")[2].partition("\n\n")[0], re.M)
    assert tuple(listed) == VERBS
    assert {"socket", "json", "no-legend", "color", "timeout", "help", "version"} <= {name for _, name, _, _ in flags_of(text)}
    codes = re.findall(r"^ +(\d+)  \S", text.partition("Exit codes:\n")[2], re.M)
    assert {int(code) for code in codes} == CODES and len(codes) == len(CODES)
    assert run("-h").stdout == text


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_that_needs_no_daemon(verb):
    text = run(verb, "--help").stdout
    assert text.startswith(f"Usage: wpctl {verb}") and len(text.splitlines()) >= 4
    assert run("-s", NOWHERE, verb, "-h", "more", "words").stdout == text
    assert run("--help", verb).stdout == text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize("verb", VERBS)
def test_each_flag_of_the_help_is_taken_in_all_its_forms(verb):
    overview = run("--help").stdout.partition("Flags of all verbs")[2]
    flags = flags_of(run(verb, "--help").stdout) + flags_of(overview)
    assert len(flags) >= 9
    for letter, name, arg, is_optional in flags:
        forms = [["--" + name]] if not arg or is_optional else []
        if arg:
            forms.append([f"--{name}={WORDS[arg]}"])
        if arg and not is_optional:
            forms.append(["--" + name, WORDS[arg]])
        if letter:
            forms += [["-" + letter]] if not arg else [["-" + letter, WORDS[arg]], ["-" + letter + WORDS[arg]]]
        for form in forms:
            # --help last: the command line was read until there.
            ended = cli.run(None, verb, *form, "--help")
            assert ended.returncode == 0 and ended.stdout, (form, ended)


def test_version_is_told():
    assert re.fullmatch(r"wpctl \d+\.\d+\.\d+\n", run("--version").stdout)
    assert run("-V").stdout == run("status", "--version").stdout == run("--version").stdout


@pytest.mark.parametrize("args, words", [
    (["nonsense"], ['there is no verb "nonsense"', "wpctl --help"]),
    (["post", "sleep", "--nonsense"], ["there is no flag --nonsense", "wpctl post --help"]),
    (["post", "sleep", "-Z"], ["there is no flag -Z"]),
    (["-jZ", "status"], ["there is no flag -jZ"]),
    (["list", "--watch"], ["there is no flag --watch"]),
    (["ping", "extra"], ['one argument too many: "extra"']),
    (["post", "sleep", "{}", "extra"], ['one argument too many: "extra"']),
    (["resize", "default", "3", "extra"], ['one argument too many: "extra"']),
    (["shutdown", "default"], ['one argument too many: "default"']),
    (["list", "default"], ['one argument too many: "default"']),
    (["bench", "noop", "{}", "extra"], ['one argument too many: "extra"']),
    (["post"], ["too few arguments", "usage: wpctl post"]),
    (["show"], ["too few arguments", "--name NAME"]), (["log"], ["too few arguments"]), (["log", "1", "2"], ["one argument too many"]),
    (["explain"], ["too few arguments"]), (["retry"], ["too few arguments"]), (["events", "mail"], ["one argument too many"]),
    (["cancel"], ["either ids, or --handler, --state or --pool"]), (["cancel", "--mine"], ["either ids"]),
    (["cancel", "7", "--handler", "h"], ["either ids"]), (["cancel", "7", "--mine"], ["either ids"]),
    (["config", "pool", "mail"], ['one argument too many: "mail"']), (["reload", "now"], ["one argument too many"]),
    (["post", "sleep", "--wait", "--follow"], ["either --wait or --follow"]),
    (["post", "sleep", "--propagate"], ["--propagate wants --wait or --follow"]), (["log", "7", "--propagate"], ["--propagate wants --follow"]),
    (["post", "sleep", "--priority", "10"], ["a number from 0 to 9"]), (["post", "sleep", "--retries", "-1"], ["a number from 0 to 1000"]),
    (["post", "sleep", "--delay", "soon"], ["a duration"]), (["events", "--kind", ","], ["--kind: there is none in it"]),
    (["wait"], ["too few arguments"]), (["call"], ["too few arguments"]),
    (["resize"], ["too few arguments"]), (["bench"], ["too few arguments"]),
    (["resize", "default"], ["a number of workers", "--capacity"]),
    (["resize", "default", "many"], ["N, +N or -N", "many"]),
    (["resize", "default", "3x"], ["N, +N or -N"]),
    (["pause"], ["either names of pools or --all"]), (["resume"], ["--all"]), (["drain"], ["--all"]),
    (["pause", "default", "--all"], ["either names of pools or --all"]),
    (["resume", "--all", "default"], ["--all"]), (["drain", "a", "--all", "b"], ["--all"]),
    (["shutdown", "--drain", "--now"], ["either --drain or --now"]),
    (["shutdown", "--finish", "--drain"], ["either --finish or --drain"]),
    (["stats", "--watch", "--reset-marks"], ["either --watch or --reset-marks"]),
    (["stats", "a", "b", "--watch"], ["one pool"]),
    (["call", "X.Y", "--more", "--oneway"], ["either --more or --oneway"]),
    (["post", "sleep", "--pool"], ["a value is wanted by --pool"]),
    (["post", "sleep", "-p"], ["a value is wanted by -p"]),
    (["post", "sleep", "--pool="], ["is empty"]),
    (["status", "--json=yes"], ["a value is not wanted by --json=yes"]),
    (["status", "--color", "pink"], ["auto, always or never", "pink"]),
    (["status", "--timeout", "soon"], ["a duration", "soon"]),
    (["post", "sleep", "--wait=soon"], ["a duration"]),
    (["list", "--limit", "0"], ["a number from 1"]), (["list", "--limit", "-1"], ["a number from 1"]),
    (["bench", "noop", "-n", "0"], ["a number from 1 to"]), (["bench", "noop", "-c", "65"], ["from 1 to 64"]),
    (["post", "sleep", "{"], ["arguments"]), (["post", "sleep", "[1]"], ["JSON object"]),
    (["post", "sleep", '{"a":1,"a":2}'], ["arguments", "duplicate"]), (["post", "sleep", "7"], ["arguments"]),
    (["post", "sleep", '{"a":1} x'], ["arguments"]),
    (["call", "Stats", "nonsense"], ["parameters"]),
    (["batch", "/no/such/file"], ["/no/such/file", "No such file"]),
    (["batch", "a", "b"], ["one argument too many"]),
    (["-s", "/" + "x" * 200, "status"], ["too long"]),
    (["-s", "", "status"], ["empty"]),
])
def test_wrong_usage_is_one_line_and_code_2(args, words):
    line = usage_error(*args)
    assert all(word.lower() in line.lower() for word in words), line


def test_argument_that_is_not_utf8_is_refused_and_shown_escaped():
    ended = subprocess.run([cli.program("wpctl"), "post", b"\xff\x1b[31m"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == 2 and b"not UTF-8" in ended.stderr
    assert b"\xff" not in ended.stderr and b"\x1b" not in ended.stderr and b"\\xff" in ended.stderr


def test_double_dash_ends_the_flags(start):
    daemon = start()
    assert "--help" in cli.Ctl(daemon.path).error("post", "--", "--help", code=4)


def test_without_a_verb_it_is_status(start):
    daemon = start()
    ctl = cli.Ctl(daemon.path)
    assert ctl().splitlines()[0] == ctl("status").splitlines()[0] == "daemon\trunning"


# Where the daemon is.

def test_socket_search_takes_the_flag_then_the_variable_then_the_users_own(start, tmp_path):
    one, two, three = start(), start(), start()
    runtime = tmp_path / "runtime"
    (runtime / "workpoold").mkdir(parents=True)
    (runtime / "workpoold" / "control.sock").symlink_to(three.path)

    def pid(*args, **env):
        return int(json.loads(run(*args, "-j", "status", env=env).stdout)["daemon"]["pid"])

    env = {"WORKPOOL_SOCKET": two.path, "XDG_RUNTIME_DIR": str(runtime)}
    assert pid("-s", one.path, **env) == pid(f"--socket={one.path}", **env) == one.pid
    assert pid(**env) == two.pid
    assert pid(XDG_RUNTIME_DIR=str(runtime), WORKPOOL_SOCKET="") == three.pid
    assert pid(XDG_RUNTIME_DIR=str(runtime)) == three.pid


@pytest.mark.parametrize("env", [{}, {"XDG_RUNTIME_DIR": "/no/such/dir"}, {"XDG_RUNTIME_DIR": "relative"}, {"XDG_RUNTIME_DIR": ""}])
def test_socket_search_ends_at_the_systems_own(env):
    if os.path.exists("/run/workpoold/control.sock"):
        pytest.skip("this machine has a daemon of the system")
    ended = run("-v", "--timeout", "10ms", "status", code=69, env=env)
    assert "socket /run/workpoold/control.sock" in ended.stderr


@pytest.mark.parametrize("make", ["missing", "plain_file", "nobody_listens"])
def test_daemon_that_is_not_there_is_code_69(tmp_path, make):
    path = tmp_path / "s"
    if make == "plain_file":
        path.write_text("")
    if make == "nobody_listens":
        with cli.socket.socket(cli.socket.AF_UNIX) as sock:
            sock.bind(str(path))
    line = cli.Ctl(path).error("--timeout", "50ms", "status", code=69)
    assert str(path) in line and ("is workpoold running?" in line)


def test_daemon_that_comes_a_moment_later_is_waited_for(tmp_path):
    """A restart is not an error: the socket is tried for a while."""
    with cli.Process(tmp_path / "s", "-j", "call", "Ping") as waiting:
        with cli.Fake(lambda call: cli.reply({"pong": 1})) as fake:
            os.symlink(fake.path, tmp_path / "s")
            code, out, _ = waiting.end()
    assert (code, out) == (0, '{"pong":1}\n')


def test_socket_that_may_not_be_opened_is_code_77(start, lacks):
    if os.geteuid() != 0:
        lacks("only root can become another user")
    daemon = start()
    path = shutil.copy(cli.program("wpctl"), daemon.file("wpctl"))
    ended = subprocess.run([path, "-s", daemon.path, "status"], capture_output=True, text=True, user=65534, group=65534,
                           extra_groups=[], check=False, timeout=DEADLINE)
    assert ended.returncode == 77 and "your role may not open the socket" in ended.stderr


def test_role_that_may_not_is_code_77(start, lacks):
    if os.geteuid() != 0:
        lacks("only root can become another user")
    daemon = start()
    os.chmod(daemon.path, 0o666)
    path = shutil.copy(cli.program("wpctl"), daemon.file("wpctl"))

    def as_nobody(*args):
        return subprocess.run([path, "-s", daemon.path, *args], capture_output=True, text=True, user=65534, group=65534,
                              extra_groups=[], check=False, timeout=DEADLINE)

    assert as_nobody("post", "noop", "--wait").returncode == 0
    for args in (["resize", "default", "3"], ["pause", "--all"], ["shutdown", "--now"], ["drain", "--all"], ["stats", "--reset-marks"],
                 ["bench", "noop", "--workers", "2"]):
        ended = as_nobody(*args)
        assert ended.returncode == 77 and ended.stderr.count("\n") == 1, ended
        assert ended.stderr.startswith("wpctl: PermissionDenied: your role may not do this (wpctl status shows it")
    assert "role\tpost\n" in as_nobody("status").stdout


# What daemons answer.

@pytest.mark.parametrize("name, params, code, line", [
    ("AtCapacity", {"pool": "mail", "queued": 100, "capacity": 100, "retry_after_ms": 1200}, 75,
     'AtCapacity: pool "mail" has 100 of 100 queued; room in about 1200 ms'),
    ("AtCapacity", {"pool": "mail", "queued": 100, "capacity": 100}, 75, 'AtCapacity: pool "mail" has 100 of 100 queued'),
    ("Duplicate", {"id": "7"}, 5, "Duplicate: task 7 has this key and has not ended"),
    ("Duplicate", {}, 5, "Duplicate: a post that waits for room has this key"),
    ("ConfigInvalid", {"reason": "f:3: no such key"}, 78, "ConfigInvalid: f:3: no such key"),
    ("ShuttingDown", {"mode": "drain"}, 75, "ShuttingDown: the daemon is stopping (drain) and takes no more tasks"),
    ("NoSuchPool", {"pool": "x"}, 4, 'NoSuchPool: there is no pool "x"'),
    ("NoSuchHandler", {"handler": "x"}, 4, 'NoSuchHandler: there is no handler "x"'),
    ("NoSuchTask", {"id": "7"}, 4, "NoSuchTask: there is no task 7, or it ended too long ago"),
    ("WrongState", {"id": "7", "state": "done"}, 5, "WrongState: task 7 is done"),
    ("StorageFull", {}, 75, "StorageFull: the daemon's storage is full"),
    ("StorageFailed", {"reason": "disk"}, 70, "StorageFailed: the daemon's storage failed: disk"),
    ("Internal", {"reason": "out of memory"}, 70, "Internal: out of memory"),
    ("Busy", {"limit": 3}, 75, "Busy: the daemon serves 3 connections already"),
    ("MessageTooLong", {"limit": 9}, 2, "MessageTooLong: the call is longer than 9 bytes"),
    ("NotReady", {"pool": "p"}, 75, 'NotReady: pool "p" is not ready yet'),
    ("org.varlink.service.PermissionDenied", {}, 77, "PermissionDenied: your role may not do this (wpctl status shows it; "
     "if that is refused too you have none: see [access] in workpoold.conf(5))"),
    ("org.varlink.service.InvalidParameter", {"parameter": "a", "reason": "no"}, 2, "InvalidParameter: a: no"),
    ("org.varlink.service.MethodNotFound", {"method": "X"}, 2, 'MethodNotFound: the daemon has no method "X"'),
    ("com.example.Strange", {"x": [1]}, 1, 'Strange: {"x":[1]}'), ("com.example.Plain", {}, 1, "Plain"),
    ("Internal", {"reason": "a\x1b[2Jb\nc"}, 70, "Internal: a\\x1b[2Jb\\x0ac"),
    ("NoSuchTask", {}, 4, "NoSuchTask: there is no task ?, or it ended too long ago"),
], ids=lambda value: value if isinstance(value, str) and len(value) < 40 and value.isascii() and value.isprintable() else "")
def test_errors_of_a_daemon_have_their_sentence_and_code(name, params, code, line):
    with cli.Fake(lambda call: cli.fault(name, **params)) as fake:
        assert cli.Ctl(fake.path).error("post", "x", code=code) == line


@pytest.mark.parametrize("answer, code, word", [
    (b"", 69, "closed the connection"), (b"nonsense\0", 70, "not understood"), (b"[1]\0", 70, "not understood"),
    (b'{"parameters":{}}trailing\0', 70, "not understood"), (None, 124, "in time"),
], ids=["closes", "no_json", "no_object", "trailing", "silent"])
def test_daemon_that_misbehaves_is_told_apart(answer, code, word):
    with cli.Fake(lambda call: answer) as fake:
        line = cli.Ctl(fake.path).error("--timeout", "300ms", "call", "Stats", code=code)
    assert word in line and fake.path in line


@pytest.mark.parametrize("verb", [["status"], ["post", "noop"], ["resize", "default", "2"], ["list"], ["ping"], ["handlers"]])
def test_own_deadline_is_code_124_and_kept(verb):
    with cli.Fake(lambda call: None) as fake:
        began = time.monotonic()
        cli.Ctl(fake.path).error("--timeout", "300ms", *verb, code=124)
        assert 0.3 <= time.monotonic() - began < 2
