"""What the kernel says about processes: children, descriptors, memory, processor time. No sleeping: pidfds are waited on."""
import ctypes
import os
import re
import select
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Whatever a daemon leaves behind becomes our child, so that it is seen."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def wait_readable(fds, seconds):
    """Those of the descriptors (or sockets) that can be read, have ended or failed; as poll(2), without select's limit of 1024."""
    poll = select.poll()
    by_fd = {fd if isinstance(fd, int) else fd.fileno(): fd for fd in fds}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    return [by_fd[fd] for fd, _ in poll.poll(max(0, seconds) * 1000)]


def _read(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state (0) on; None: no such process."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    found = []
    for other in all_pids():
        fields = stat_fields(other)
        if fields and int(fields[1]) == pid:
            found.append(other)
    return found


def descendants(pid):
    """pid's children and theirs. Zombies are among them."""
    parents = {}
    for other in all_pids():
        fields = stat_fields(other)
        if fields:
            parents.setdefault(int(fields[1]), []).append(other)
    found, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def zombies(pid):
    return [other for other in descendants(pid) if (stat_fields(other) or ["gone"])[0] == "Z"]


def is_alive(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def freeze(pid, seconds=5):
    """SIGSTOP, and until it has happened: the signal alone comes when it comes."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + seconds
    for thread in os.listdir(f"/proc/{pid}/task"):
        while (stat_fields(f"{pid}/task/{thread}") or ["T"])[0] != "T":
            assert time.monotonic() < deadline, f"{pid} does not stop"


def command_line(pid):
    try:
        return _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    except OSError:
        return "(gone)"


def n_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def _status_kb(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+) kB", _read(f"/proc/{pid}/status"), re.M).group(1))


def rss_bytes(pid):
    return _status_kb(pid, "VmRSS") * 1024


def peak_reset(pid):
    """The high-water mark of memory begins again at what is used now; answers that."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
    return rss_bytes(pid)


def peak_bytes(pid):
    return _status_kb(pid, "VmHWM") * 1024


def cpu_seconds(pid):
    """Processor time of the process so far, in seconds (/proc/PID/schedstat counts nanoseconds of each thread)."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        total += int(_read(f"/proc/{pid}/task/{thread}/schedstat").split()[0])
    return total / 1e9


def is_sanitized(pid):
    """Built with a sanitizer: figures of memory and time say nothing then."""
    return re.search(r"lib(a|t|ub)san", _read(f"/proc/{pid}/maps")) is not None


def wait_gone(pid, seconds):
    """Waits for the process's end, not its reaping; whether it came in time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(wait_readable([fd], seconds))
    finally:
        os.close(fd)


def start_with_pid(pid, command):
    """A child with this number, in a session of its own: clone3(2), for root. FileExistsError: the number is taken."""
    wanted = ctypes.c_int(pid)
    args = (ctypes.c_uint64 * 11)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted), 1, 0)
    libc = ctypes.PyDLL(None, use_errno=True)  # which keeps the interpreter's lock, so that the child has it, too
    child = libc.syscall(ctypes.c_long(435), args, ctypes.c_size_t(ctypes.sizeof(args)))
    if child < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    if child == 0:
        try:
            os.setsid()
            os.execv(command[0], command)
        finally:
            os._exit(127)
    return child


def take_orphans(known):
    """Children of ours that are not in `known`: waits a while for each to end and reaps it. Answers those that had to be
    killed, as texts."""
    left = []
    deadline = time.monotonic() + 5
    while True:
        strays = [pid for pid in children(os.getpid()) if pid not in known]
        if not strays:
            return left
        for pid in strays:
            if not wait_gone(pid, max(0, deadline - time.monotonic())):
                left.append(f"{pid} ({command_line(pid)})")
                os.kill(pid, signal.SIGKILL)
                wait_gone(pid, 5)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                known.add(pid)
