"""The files for systemd that the build makes: read by systemd's own tools, offline. No systemd is started."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from kit.daemon import program

UNITS = ("workpoold.service", "workpoold.socket")
EXPOSURE_MAX = 1.5
pytestmark = pytest.mark.short


def build_file(name):
    path = os.path.join(os.path.dirname(program("workpoold")), name)
    assert os.path.exists(path), f"{path} is not there: run make"
    return path


def read(name):
    with open(build_file(name), encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def tool(lacks):
    """tool(name, arguments…): its CompletedProcess with texts."""

    def run(name, *args, cwd=None):
        if not shutil.which(name):
            lacks(f"{name} is not installed")
        env = os.environ | {"SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"}
        return subprocess.run([name, *map(os.fspath, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False, cwd=cwd, env=env)

    return run


@pytest.fixture
def units(tmp_path):
    """The build's units as they would be installed, but with programs that are there already."""
    for name in UNITS:
        text = re.sub(r"^(Exec\w+=)\S*/workpoold( |$)", lambda m: m[1] + program("workpoold") + m[2], read(name), flags=re.M)
        (tmp_path / name).write_text(text)
    return tmp_path


def settings(text):
    """[(section, key, value)…] of a unit file."""
    found, section = [], None
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            key, equal, value = line.partition("=")
            assert equal, f"no assignment: {line!r}"
            found.append((section, key, value))
    return found


def values(text, wanted):
    return [value for _, key, value in settings(text) if key == wanted]


def test_verify_has_nothing_to_say(tool, units):
    ended = tool("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(units / name for name in UNITS))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("unit, section", [("workpoold.service", "Service"), ("workpoold.socket", "Socket")])
def test_verify_would_find_an_unknown_directive(tool, units, unit, section):
    """The test above can fail."""
    path = units / unit
    path.write_text(path.read_text().replace(f"[{section}]\n", f"[{section}]\nMistyped=yes\n"))
    ended = tool("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path)
    assert "Mistyped" in ended.stderr


def test_verify_would_find_a_program_that_is_not_there(tool, units):
    path = units / UNITS[0]
    path.write_text(path.read_text().replace(program("workpoold"), "/no/such/workpoold"))
    assert "/no/such/workpoold" in tool("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path).stderr


def exposure(tool, path):
    ended = tool("systemd-analyze", "security", "--offline=yes", path)
    assert ended.returncode == 0, ended.stderr
    match = re.search(r"Overall exposure level for workpoold\.service: (\d+\.\d+) ", ended.stdout)
    assert match, ended.stdout
    return float(match[1])


def test_exposure_is_low(tool, units):
    assert exposure(tool, units / UNITS[0]) <= EXPOSURE_MAX


def test_exposure_would_be_seen(tool, units):
    path = units / UNITS[0]
    path.write_text("\n".join(line for line in path.read_text().splitlines()
                              if not line.startswith(("Protect", "Restrict", "SystemCall", "Capability", "NoNew"))) + "\n")
    assert exposure(tool, path) > EXPOSURE_MAX


@pytest.mark.parametrize("name", [
    "NoNewPrivileges", "CapabilityBoundingSet_CAP_SYS_ADMIN", "CapabilityBoundingSet_CAP_SYS_PTRACE", "PrivateDevices", "PrivateTmp",
    "ProtectSystem", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups",
    "ProtectProc", "RestrictNamespaces_user", "RestrictSUIDSGID", "SystemCallArchitectures", "LockPersonality", "UserOrDynamicUser", "UMask",
])
def test_protection_is_on(tool, units, name):
    ended = tool("systemd-analyze", "security", "--offline=yes", "--json=short", units / UNITS[0])
    rows = {row["json_field"]: row["set"] for row in json.loads(ended.stdout)}
    assert rows[name] is True, (name, sorted(rows))


def test_no_placeholder_of_the_build_is_left():
    for name in (*UNITS, "workpoold-sysusers.conf", "workpoold-tmpfiles.conf"):
        left = re.findall(r"@\w+@|\$\{\w+\}", read(name))
        assert left == [], f"{name}: {left}"


def test_service_is_started_with_absolute_paths_that_take_these_arguments(workpoold, tmp_path):
    (command,) = values(read(UNITS[0]), "ExecStart")
    path, *args = shlex.split(command)
    assert os.path.isabs(path) and os.path.basename(path) == "workpoold"
    assert args[0] == "--config" and os.path.isabs(args[1]) and args[1].endswith("/workpoold/workpoold.conf") and len(args) == 2
    config = tmp_path / "conf"
    config.write_text("")
    config.chmod(0o600)
    assert workpoold(args[0], config, "--check-config").returncode == 0


def test_service_waits_for_ready_is_watched_and_gets_time_to_stop():
    text = read(UNITS[0])
    assert values(text, "Type") == ["notify"] and values(text, "NotifyAccess") == ["main"]
    assert values(text, "WatchdogSec") == ["30s"] and values(text, "Restart") == ["on-failure"]
    assert values(text, "User") == values(text, "Group") == ["workpoold"]
    # Longer than stop_timeout (80 s), or the service manager would end it before it is done; and only the daemon gets TERM.
    (seconds,) = values(text, "TimeoutStopSec")
    assert 80 < int(seconds.removesuffix("s")) <= 120
    assert values(text, "KillMode") == ["mixed"]


def test_socket_is_where_clients_look_and_for_the_group_only():
    text = read(UNITS[1])
    assert values(text, "ListenStream") == ["/run/workpoold/control.sock"]
    assert values(text, "SocketMode") == ["0660"] and values(text, "SocketGroup") == ["workpoold"]
    assert int(values(text, "Backlog")[0]) >= 4096
    assert values(text, "Accept") in ([], ["no"])


def test_manual_pages_that_the_units_name_are_in_the_tree():
    doc = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc")
    for name in UNITS:
        for page in values(read(name), "Documentation")[0].split():
            match = re.fullmatch(r"man:([\w.-]+)\((\d)\)", page)
            assert match, page
            path = os.path.join(doc, f"{match[1]}.{match[2]}")
            assert os.path.getsize(path) > 0, f"{path} is empty"


@pytest.fixture
def root(tmp_path):
    for name in ("etc", "run", "var/lib"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_sysusers_makes_a_user_without_a_shell(tool, root):
    ended = tool("systemd-sysusers", f"--root={root}", build_file("workpoold-sysusers.conf"))
    assert ended.returncode == 0, ended.stderr
    (user,) = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("workpoold:")]
    assert user[6].endswith("nologin") and int(user[2]) > 0 and int(user[2]) < 1000
    assert re.search(r"^workpoold:.*:\d+:", (root / "etc/group").read_text(), re.M)
    # The units name no other.
    names = {value for unit in UNITS for key in ("User", "Group", "SocketGroup", "SocketUser") for value in values(read(unit), key)}
    assert names == {"workpoold"}


def test_sysusers_parses_for_the_systems_own_files(tool):
    """A dry run writes nothing."""
    ended = tool("systemd-sysusers", "--dry-run", build_file("workpoold-sysusers.conf"))
    assert ended.returncode == 0, ended.stderr
    assert not re.search(r"workpoold-sysusers\.conf:\d+", ended.stderr), ended.stderr


def test_tmpfiles_makes_the_directory_of_the_socket(tool, root, lacks):
    if os.geteuid() != 0:
        lacks("only root can give a directory to another user")
    assert tool("systemd-sysusers", f"--root={root}", build_file("workpoold-sysusers.conf")).returncode == 0
    ended = tool("systemd-tmpfiles", f"--root={root}", "--create", build_file("workpoold-tmpfiles.conf"))
    assert (ended.returncode, ended.stderr) == (0, "")
    (user,) = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("workpoold:")]
    made = os.stat(root / "run/workpoold")
    assert made.st_uid == int(user[2]) and made.st_gid == int(user[3]) and made.st_mode & 0o7777 == 0o755
    (listen,) = values(read(UNITS[1]), "ListenStream")
    assert os.path.dirname(listen) == "/run/workpoold"
