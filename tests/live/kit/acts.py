#!/usr/bin/env python3
"""What a program of a task must not be able to do. Each act does it, and answers normally if it could; a refusal is an OSError.
This file is the table of the tests, and the program of the task: it reads {"acts": [name...], ...} and says how each ended.

An act never harms: it sends signals that are ignored, writes back what was there, and opens without reading."""
import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
ACTS = {}  # name: (function, the feature that status names, or None: always refused, at least as this user)
SIGNAL = signal.SIGWINCH  # nobody minds it
NR = {"x86_64": {"pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438, "tgkill": 234, "process_vm_readv": 310,
                 "perf_event_open": 298, "kcmp": 312, "rt_sigqueueinfo": 129, "capset": 126,
                 "name_to_handle_at": 303, "open_by_handle_at": 304, "pivot_root": 155},
      "aarch64": {"pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438, "tgkill": 131, "process_vm_readv": 270,
                  "perf_event_open": 241, "kcmp": 272, "rt_sigqueueinfo": 138, "capset": 91,
                  "name_to_handle_at": 264, "open_by_handle_at": 265, "pivot_root": 41}}


def act(feature=None):
    def add(function):
        ACTS[function.__name__] = (function, feature)
        return function
    return add


def call(name, *args):
    """A system call by its name; words are passed as they are."""
    done = LIBC.syscall(ctypes.c_long(NR[os.uname().machine][name]), *args)
    if done < 0:
        raise OSError(ctypes.get_errno(), name)
    return done


def check(done, what):
    if done < 0:
        raise OSError(ctypes.get_errno(), what)
    return done


def may_fail_with(number, attempt):
    """An error that only those get who may."""
    try:
        attempt()
    except OSError as error:
        if error.errno != number:
            raise


def touch(directory, name="forbidden"):
    path = os.path.join(directory, name)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    os.unlink(path)


def read(path):
    with open(path, "rb") as file:
        return file.read(16)


# Files of the daemon.

@act("files")
def reads_store(at):
    read(at["store"])


@act("files")
def lists_state_dir(at):
    os.listdir(at["state"])


@act("files")
def reads_store_by_link(at):
    os.symlink(at["store"], "link")
    read("link")


@act("files")
def reads_store_by_proc_root(at):
    read("/proc/self/root" + at["store"])


@act("files")
def reads_store_by_own_cwd(at):
    os.chdir(at["state"])
    read(os.path.basename(at["store"]))


@act("files")
def writes_store(at):
    os.close(os.open(at["store"], os.O_WRONLY))


@act("truncation")
def truncates_store(at):
    os.truncate(at["store"], os.stat(at["store"]).st_size)


@act("files")
def removes_file_in_state_dir(at):
    os.unlink(at["spare"])


@act("files")
def creates_file_in_state_dir(at):
    touch(at["state"])


@act("files")
def renames_store_file_to_own_directory(at):
    os.rename(at["spare"], "mine")


@act("files")
def links_store_file_to_own_directory(at):
    os.link(at["spare"], "mine")
    read("mine")


@act("files")
def exchanges_own_file_into_state_dir(at):
    with open("mine", "w", encoding="utf-8"):
        pass
    os.rename("mine", at["spare"])


@act()
def opens_store_by_handle(at):
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call("name_to_handle_at", -100, at["store"].encode(), handle, ctypes.byref(mount), 0)
    folder = os.open(at["own"], os.O_RDONLY)
    os.close(call("open_by_handle_at", folder, handle, os.O_RDONLY))


@act("files")
def reads_configuration(at):
    read(at["config"])


@act("files")
def reads_credential(at):
    read(at["credential"])


@act("files")
def locks_the_lock_of_the_socket(at):
    os.close(os.open(at["socket"] + ".lock", os.O_RDONLY))


@act("files")
def removes_the_socket(at):
    if not os.path.exists(at["socket"]):
        raise FileNotFoundError(at["socket"])
    os.rename(at["socket"], at["socket"] + ".gone")
    os.rename(at["socket"] + ".gone", at["socket"])


@act("sockets by path")
def connects_to_the_socket(at):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(at["socket"])


@act("file modes and owners")
def changes_mode_of_state_dir(at):
    os.chmod(at["state"], stat.S_IMODE(os.stat(at["state"]).st_mode))


# Files of others.

@act("files")
def lists_directory_of_other_task(at):
    os.listdir(at["other"])


@act("files")
def reads_file_of_other_task(at):
    read(os.path.join(at["other"], "secret"))


@act("files")
def writes_into_directory_of_other_task(at):
    touch(at["other"])


@act("files")
def reads_file_of_other_task_by_proc(at):
    read(f"/proc/{at['other_pid']}/cwd/secret")


@act("files")
def writes_into_the_system(at):
    touch(at["system"])


@act("files")
def appends_to_a_file_of_the_system(at):
    os.close(os.open(os.path.join(at["system"], "file"), os.O_WRONLY | os.O_APPEND))


@act("files")
def writes_into_home(at):
    touch(at["home"])


@act("files")
def writes_into_tmp(at):
    touch(at["tmp"])


@act("files")
def writes_beside_own_directory(at):
    touch(at["beside"])


@act("files")
def writes_a_setting_of_the_kernel(_):
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


@act("files")
def reads_raw_disk(_):
    for name in sorted(os.listdir("/sys/class/block")):
        if os.path.exists("/dev/" + name):
            os.close(os.open("/dev/" + name, os.O_RDONLY))
            return
    raise FileNotFoundError("no block device")


@act("files")
def uses_shared_memory(_):
    touch("/dev/shm")


# Processes.

def act_on_each(function):
    """The same act on the daemon, its host and the spawner."""
    def each(suffix, key):
        def run(at):
            function(at[key])
        run.__name__ = f"{function.__name__}_{suffix}"
        return run
    for suffix in ("daemon", "host", "spawner"):
        one = each(suffix, suffix)
        ACTS[one.__name__] = (one, function.feature)
    return function


def feature(name):
    def add(function):
        function.feature = name
        return function
    return add


@act_on_each
@feature("tracing")
def reads_environ_of(pid):
    read(f"/proc/{pid}/environ")


@act_on_each
@feature("tracing")
def opens_mem_of(pid):
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))


@act_on_each
@feature("tracing")
def opens_descriptor_of(pid):
    os.readlink(f"/proc/{pid}/fd/0")
    os.close(os.open(f"/proc/{pid}/fd/0", os.O_RDONLY))


@act_on_each
@feature("tracing")
def reads_maps_of(pid):
    read(f"/proc/{pid}/maps")


@act_on_each
@feature("tracing")
def follows_root_of(pid):
    os.listdir(f"/proc/{pid}/root/usr")


@act_on_each
@feature("tracing")
def takes_descriptor_of(pid):
    os.close(call("pidfd_getfd", os.pidfd_open(pid), 0, 0))


@act_on_each
@feature("tracing")
def traces(pid):
    check(LIBC.ptrace(ctypes.c_long(0x4206), pid, None, None), "ptrace")  # PTRACE_SEIZE, which ends with this process


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


@act_on_each
@feature("tracing")
def reads_memory_of(pid):
    mine = ctypes.create_string_buffer(8)
    here, there = _Iovec(ctypes.addressof(mine), 8), _Iovec(0x10000, 8)
    may_fail_with(errno.EFAULT, lambda: call("process_vm_readv", pid, ctypes.byref(here), ctypes.c_ulong(1), ctypes.byref(there),
                                             ctypes.c_ulong(1), ctypes.c_ulong(0)))  # nothing is at that address


@act_on_each
@feature("tracing")
def compares(pid):
    call("kcmp", os.getpid(), pid, 1, 0, 0)


@act_on_each
@feature("tracing")
def measures(pid):
    attr = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0) + bytes(24) + struct.pack("Q", 0x61) + bytes(72))
    os.close(call("perf_event_open", attr, pid, -1, -1, ctypes.c_ulong(0)))


@act_on_each
@feature("signals")
def kills(pid):
    os.kill(pid, SIGNAL)


@act_on_each
@feature("signals")
def kills_thread_of(pid):
    call("tgkill", pid, pid, SIGNAL)


@act_on_each
@feature("signals")
def kills_by_pidfd(pid):
    signal.pidfd_send_signal(os.pidfd_open(pid), SIGNAL)


@act_on_each
@feature("signals")
def kills_group_of(pid):
    os.killpg(os.getpgid(pid), SIGNAL)


@act_on_each
@feature("signals")
def queues_signal_to(pid):
    info = ctypes.create_string_buffer(struct.pack("iiiii", SIGNAL, 0, -1, os.getpid(), os.getuid()) + bytes(108))
    call("rt_sigqueueinfo", pid, SIGNAL, info)


@act_on_each
@feature("limits")
def limits(pid):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE))


@act_on_each
@feature("priorities of processes")
def renices(pid):
    os.setpriority(os.PRIO_PROCESS, pid, max(os.getpriority(os.PRIO_PROCESS, pid), 0))


@act_on_each
@feature("files")
def changes_oom_score_of(pid):
    with open(f"/proc/{pid}/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("0")


@act("signals")
def kills_other_task(at):
    os.kill(at["other_pid"], SIGNAL)


@act("tracing")
def reads_environ_of_other_task(at):
    read(f"/proc/{at['other_pid']}/environ")


# Privileges.

@act()
def makes_character_device(_):
    os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    read("device")


@act()
def makes_block_device(_):
    os.mknod("device", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    read("device")


@act()
def gains_privileges_by_program(at):
    """A set-user-ID program of root's."""
    if os.getuid() == 0:
        raise OSError(errno.EPERM, "there is no more to be gained")
    found = subprocess.run([at["setuid"], "-u"], capture_output=True, check=True, text=True).stdout.strip()
    if found != "0":
        raise OSError(errno.EPERM, "it ran as " + found)


@act()
def regains_capabilities(_):
    every = 0xffffffff
    call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", every, every, 0, every, every, 0))


@act()
def raises_own_limit(_):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    except ValueError as error:  # how setrlimit(2)'s EPERM is told
        raise OSError(errno.EPERM, str(error)) from error


@act()
def mounts(at):
    check(LIBC.mount(b"none", at["own"].encode(), b"tmpfs", 0, None), "mount")
    LIBC.umount2(at["own"].encode(), 2)


@act("files")
def mounts_in_own_namespace(at):
    LIBC.unshare(0x10000000)  # CLONE_NEWUSER; where that is not to be had, the next may be
    check(LIBC.unshare(0x00020000), "unshare")  # CLONE_NEWNS
    check(LIBC.mount(at["state"].encode(), at["own"].encode(), None, 4096, None), "mount")  # MS_BIND


@act()
def unmounts(at):
    """What is no mount: whoever may is told so."""
    may_fail_with(errno.EINVAL, lambda: check(LIBC.umount2(at["own"].encode(), 2), "umount"))


@act()
def changes_root(at):
    check(LIBC.chroot(at["own"].encode()), "chroot")


@act()
def pivots_root(at):
    may_fail_with(errno.EINVAL, lambda: call("pivot_root", at["own"].encode(), at["own"].encode()))


@act()
def sets_host_name(_):
    name = socket.gethostname().encode()
    check(LIBC.sethostname(name, len(name)), "sethostname")


@act("abstract sockets")
def connects_to_abstract_socket(at):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\0" + at["abstract"])


def attempt(name, at):
    """In a process and a directory of its own; what came of it."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.mkdir(name)
        os.chdir(name)
        try:
            ACTS[name][0](at | {"own": os.getcwd()})
            told = {"could": True}
        except OSError as error:
            told = {"could": False, "errno": errno.errorcode.get(error.errno), "error": str(error)}
        os.write(theirs, json.dumps(told).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def main():
    at = json.load(sys.stdin) | {"beside": os.path.dirname(os.getcwd())}
    told = {}
    for name in at["acts"]:
        told[name] = attempt(name, at)
        with contextlib.suppress(PermissionError):  # as it was, for the next one
            os.close(os.open(at["spare"], os.O_CREAT | os.O_WRONLY, 0o600))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
