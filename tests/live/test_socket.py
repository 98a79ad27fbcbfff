"""The socket's path, two daemons, stale files, systemd's socket activation, the command line and refused configurations."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from kit import proc
from kit.client import DEADLINE
from kit.daemon import clean_environment, program

pytestmark = pytest.mark.short


def write_config(path, text, mode=0o600):
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


# The path.

def test_second_daemon_on_the_same_path_refuses_and_the_first_goes_on(start, workpoold):
    daemon = start()
    done = workpoold("--socket", daemon.path)
    assert done.returncode != 0
    assert done.stderr == f"workpoold: error: start: {daemon.path}: another daemon listens there\n"
    daemon.check_serves()


def test_stale_socket_file_is_taken_over(start):
    """A killed daemon leaves its file; the next one on the path starts all the same."""
    first = start()
    first.signal(signal.SIGKILL)
    first.expect_status = -signal.SIGKILL
    first.wait_exit()
    assert os.path.exists(first.path)
    second = start(path=first.path)
    second.check_serves()


def test_socket_file_goes_with_the_daemon(start):
    daemon = start()
    daemon.stop()
    assert not os.path.exists(daemon.path)


def test_several_starts_at_once_leave_exactly_one_daemon(start):
    """Five on one path: one wins, the others say so; never two, never none."""
    daemon = start(ready=False)
    extra = [subprocess.Popen([program("workpoold"), "--socket", daemon.path], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              env=clean_environment()) for _ in range(4)]
    try:
        # Whoever lost ends by itself; exactly one of the five holds the path.
        statuses = [process.wait() for process in extra if proc.wait_gone(process.pid, 2)]
        assert len(statuses) >= 3 and 0 not in statuses
        if len(statuses) == 4:
            daemon.wait_ready()
            daemon.check_serves()
        else:
            daemon.expect_status = daemon.wait_exit()
            assert daemon.expect_status != 0
    finally:
        for process in extra:
            if process.poll() is None:
                process.terminate()
                assert proc.wait_gone(process.pid, DEADLINE)
            process.wait()
            process.stderr.close()


@pytest.mark.parametrize("length,works", [(107, True), (108, False), (300, False)])
def test_path_too_long_for_a_socket_is_refused_clearly(start, workpoold, tmp_path, length, works):
    base = os.path.join(tempfile.gettempdir(), f"wp{os.getpid()}")
    path = base + "x" * (length - len(base))
    if works:
        daemon = start(path=path)
        daemon.check_serves()
        daemon.stop()
        os.unlink(path + ".lock")
        return
    done = workpoold("--socket", path)
    assert done.returncode != 0 and "a socket's path has at most 107 bytes" in done.stderr
    config = write_config(tmp_path / "conf", f"[daemon]\nsocket = {path}\n")
    done = workpoold("--check-config", "--config", config)
    assert done.returncode == 78 and f"{config}:2: [daemon] socket" in done.stderr


def test_path_in_a_directory_that_is_not_there(workpoold, tmp_path):
    done = workpoold("--socket", tmp_path / "a" / "b" / "s")
    assert done.returncode != 0 and "No such file or directory" in done.stderr and done.stderr.count("\n") == 1


def test_directory_of_the_socket_is_made(start):
    daemon = start()
    start(path=os.path.join(daemon.dir, "new", "s")).check_serves()


def test_default_path_is_the_user_s_runtime_directory(start):
    """Without --socket and configuration: $XDG_RUNTIME_DIR/workpoold/control.sock."""
    daemon = start(args=("--socket", ""), ready=False)
    daemon.path = os.path.join(daemon.dir, "workpoold", "control.sock")
    daemon.wait_ready()
    daemon.check_serves()


def test_path_of_the_configuration_and_of_the_command_line(start):
    daemon = start("[daemon]\nsocket = /nowhere/s\n")
    daemon.check_serves()


# Socket activation.

@pytest.fixture
def activate(lacks):
    tool = shutil.which("systemd-socket-activate")
    if not tool:
        lacks("systemd-socket-activate is not installed")
    return tool


def activated(start, tool, *listen):
    """Starts under systemd-socket-activate, which waits for the first connection before it starts us."""
    wrapper = [tool, *[word for path in listen for word in ("-l", path)], "-E", "NOTIFY_SOCKET", "-E", "XDG_RUNTIME_DIR",
               *[word for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ for word in ("-E", name)]]
    return start(wrapper=wrapper, ready=False)


def wait_for_socket(path):
    """Connects as soon as somebody listens there: connect(2) itself is asked, the kernel has no event for it."""
    deadline = time.monotonic() + DEADLINE
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return sock
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            assert time.monotonic() < deadline, "nobody listens"


def test_socket_activation(start, activate):
    """The first connection starts the daemon and is answered; systemd's file stays when it ends."""
    path = os.path.join(tempfile.gettempdir(), f"wp{os.getpid()}.sock")
    daemon = activated(start, activate, path)
    daemon.path = path
    try:
        first = wait_for_socket(path)
        first.settimeout(DEADLINE)
        daemon.wait_note("READY=1")
        client = daemon.client(sock=first)
        assert client.run("echo", {"first": 1})["result"] == {"first": 1}
        daemon.check_serves()
        assert "(from the service manager)" in daemon.stderr()
        assert os.readlink(f"/proc/{daemon.pid}/exe").endswith("workpoold")
        client.close()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        assert os.path.exists(path), "the socket is systemd's, not ours"
        assert not os.path.exists(path + ".lock")
    finally:
        if os.path.exists(path):
            os.unlink(path)


def test_two_sockets_of_the_service_manager_are_refused(start, activate):
    base = os.path.join(tempfile.gettempdir(), f"wp{os.getpid()}")
    paths = [base + ".a", base + ".b"]
    daemon = activated(start, activate, *paths)
    try:
        wait_for_socket(paths[1]).close()
        daemon.expect_status = daemon.wait_exit()
        assert daemon.expect_status != 0
        assert "passed 2 sockets: one listening Unix stream socket is expected" in daemon.stderr()
    finally:
        for path in paths:
            if os.path.exists(path):
                os.unlink(path)


def test_socket_of_the_wrong_kind_is_refused(workpoold, tmp_path):
    """A datagram socket as descriptor 3, as a wrong .socket unit would give."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(os.fspath(tmp_path / "d"))
        code = ("import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
                f"os.dup2({sock.fileno()}, 3, inheritable=True); os.execv(sys.argv[1], sys.argv[1:])")
        done = subprocess.run([sys.executable, "-c", code, program("workpoold")], pass_fds=[sock.fileno()],
                              capture_output=True, text=True, timeout=DEADLINE, env=clean_environment(), check=False)
    assert done.returncode != 0 and "one listening Unix stream socket is expected" in done.stderr


# Command line and configuration.

def test_version_and_help(workpoold):
    done = workpoold("--version")
    assert done.returncode == 0 and done.stdout.startswith("workpoold ") and done.stdout.count("\n") == 1
    done = workpoold("--help")
    assert done.returncode == 0 and not done.stderr
    for option in ("--config", "--socket", "--check-config", "--help", "--version"):
        assert option in done.stdout


@pytest.mark.parametrize("args", [("--nothing",), ("extra",), ("--config",), ("-x",)])
def test_wrong_usage(workpoold, args):
    done = workpoold(*args)
    assert done.returncode == 64 and done.stderr and not done.stdout


def test_check_config_of_a_good_file_says_nothing(workpoold, tmp_path):
    config = write_config(tmp_path / "conf", "# fine\n[pool mail]\nworkers = 8\n[handler sleep]\npool = mail\ntimeout = 1min\n")
    done = workpoold("--check-config", "--config", config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


WRONG = [
    ("[pool mail]\nworkers = x\n", ':2: [pool mail] workers: "x": a number from 1 to 1024 or "3/core"'),
    ("[pool mail]\nworkers = 0\n", ':2: [pool mail] workers: "0": '),
    ("[pool mail]\n\n# c\ncapacity = -1\n", ':4: [pool mail] capacity: "-1": '),
    ("[daemon]\nstop_mode = later\n", ':2: [daemon] stop_mode: "later": drain, finish or now'),
    ("[daemon]\nreceive_timeout = 1ms\n", ":2: [daemon] receive_timeout: "),
    ("[daemon]\nmax_message = 1G\n", ":2: [daemon] max_message: "),
    ("[daemon]\ncolour = red\n", ":2: [daemon] colour: "),
    ("[colours]\nred = 1\n", ":1: [colours]"),
    ("[pool a]\n[pool b]\n[pool a]\n", ":3: [pool a]"),
    ("[pool a b]\n", ":1: "),
    ("workers = 3\n", ":1: "),
    ("[pool a]\nworkers 3\n", ":2: "),
    ("[handler x]\ntype = exec\n", ":1: [handler x]"),
    ("[handler x]\ntype = exec\ncommand = relative\n", ":3: [handler x] command: "),
    ("[handler echo]\npool = nowhere\n", ':2: [handler echo] pool: "nowhere": there is no section [pool nowhere]'),
    ("[handler echo]\ntype = exec\n", ":2: [handler echo] type: "),
    ("[daemon]\nlog = \x01\n", ":2: "),
]


@pytest.mark.parametrize("text,line", WRONG, ids=[line.strip(": ") for _, line in WRONG])
@pytest.mark.parametrize("check", [True, False], ids=["check", "start"])
def test_wrong_configuration_is_one_exact_line_and_nothing_starts(workpoold, tmp_path, text, line, check):
    config = write_config(tmp_path / "conf", text)
    args = ("--check-config",) if check else ("--socket", tmp_path / "s")
    done = workpoold(*args, "--config", config)
    assert done.returncode == 78
    assert done.stderr.startswith(f"workpoold: {config}{line}"), done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout
    assert not (tmp_path / "s").exists()


def test_configuration_that_others_may_write_is_refused(workpoold, tmp_path):
    for mode in (0o620, 0o602, 0o666):
        done = workpoold("--check-config", "--config", write_config(tmp_path / "conf", "[daemon]\n", mode))
        assert done.returncode == 78 and "writable" in done.stderr


def test_configuration_that_is_a_link_or_not_there_is_refused(workpoold, tmp_path):
    real = write_config(tmp_path / "conf", "[daemon]\n")
    link = tmp_path / "link"
    link.symlink_to(real)
    for path, word in ((link, "symbolic link"), (tmp_path / "none", "No such file"), (tmp_path, "regular file")):
        done = workpoold("--check-config", "--config", path)
        assert done.returncode == 78 and word in done.stderr and str(path) in done.stderr


def test_conf_d_is_read_after_the_file_in_name_order(start):
    daemon = start("[pool default]\nworkers = 1\ncapacity = 1\n")
    os.mkdir(daemon.file("conf.d"), 0o700)
    daemon.write("conf.d/20.conf", "[pool default]\nworkers = 5\n")
    daemon.write("conf.d/10.conf", "[pool default]\nworkers = 4\ncapacity = 7\n")
    daemon.write("conf.d/30.off", "[pool default]\nworkers = 9\n")
    other = start(args=("--config", daemon.config))
    pool = other.client().pool()
    assert (pool["workers"], pool["capacity"]) == (5, 7)
