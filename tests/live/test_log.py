"""Log: what a task's program has written, while it writes it and afterwards."""
import pytest

pytestmark = pytest.mark.short
SHELL = """
[pool default]
workers = 2
[handler say]
type = exec
command = /bin/sh -c 'read -r args; {script}'
max_output = {max_output}
kill_after = 100ms
retries = {retries}
backoff_min = 1ms
"""


def config(script, max_output="64K", retries=0):
    return SHELL.format(script=script, max_output=max_output, retries=retries)


def gather(replies, attempt=None):
    """Both streams of one attempt (the last, if not said), the last reply."""
    out, err, last = {}, {}, None
    for last in replies:
        out[last["attempt"]] = out.get(last["attempt"], "") + last.get("stdout", "")
        err[last["attempt"]] = err.get(last["attempt"], "") + last.get("stderr", "")
    return out[attempt or last["attempt"]], err[attempt or last["attempt"]], last


def test_of_a_task_that_has_ended(start):
    client = start(config("echo out; echo err >&2")).client()
    task = client.run("say")
    assert client.call("Log", {"id": task["id"]}) == {
        "state": "done", "attempt": 1, "stdout": "out\n", "stdout_bytes": 4, "stderr": "err\n", "stderr_bytes": 4}
    assert gather(client.more("Log", {"id": task["id"]}))[:2] == ("out\n", "err\n")


def test_follows_a_running_task_from_its_beginning(start):
    daemon = start(config("echo first; mkfifo gate; echo $PWD; read -r go <gate; echo last; echo oops >&2"))
    poster, follower = daemon.client(), daemon.client()
    task = poster.post("say")["id"]
    replies = follower.more("Log", {"id": task})
    text = ""
    while text.count("\n") < 2:  # it waits for us now
        reply = next(replies)
        text += reply.get("stdout", "")
        assert reply["state"] == "active"
    assert text.startswith("first\n")
    late = daemon.client()  # whoever comes later gets all of it, too
    late_replies = late.more("Log", {"id": task})
    assert next(late_replies)["stdout"] == text
    now = daemon.client().call("Log", {"id": task})  # and so does who does not follow
    assert (now["stdout"], now["stdout_bytes"], now["state"]) == (text, len(text), "active")
    with open(text.split("\n")[1] + "/gate", "w", encoding="ascii") as gate:
        gate.write("go\n")
    for stream in (replies, late_replies):
        out, err, last = gather(stream)
        assert (out, err, last["state"]) == ("last\n", "oops\n", "done")


def test_of_a_task_that_waits_begins_when_it_starts(start):
    daemon = start(config("echo here"))
    client = daemon.client()
    client.call("Pause", {"pool": "default"})
    task = client.post("say")["id"]
    assert client.call("Log", {"id": task})["stdout"] == ""
    follower = daemon.client()
    follower.send("Log", {"id": task}, more=True)
    client.call("Resume", {"pool": "default"})
    assert gather(follower.recv_stream())[0] == "here\n"


def test_each_attempt_begins_again(start):
    daemon = start(config('echo try $WORKPOOL_ATTEMPT; exit 3', retries=2))
    client = daemon.client()
    client.call("Pause", {"pool": "default"})
    task = client.post("say")["id"]
    follower = daemon.client()
    follower.send("Log", {"id": task}, more=True)
    client.call("Resume", {"pool": "default"})
    replies = list(follower.recv_stream())
    for attempt in (1, 2, 3):
        assert gather(replies, attempt)[0] == f"try {attempt}\n"
    assert replies[-1]["state"] == "failed"
    assert client.call("Log", {"id": task})["stdout"] == "try 3\n"


@pytest.mark.parametrize("n", [100, 200000])
def test_long_output_comes_whole_or_cut_with_its_length(start, n):
    daemon = start(config(f"head -c {n} /dev/zero | tr \\\\0 x; head -c {n} /dev/zero | tr \\\\0 y >&2", max_output="64K"))
    client = daemon.client()
    client.call("Pause", {"pool": "default"})
    task = client.post("say")["id"]
    follower = daemon.client()
    follower.send("Log", {"id": task}, more=True)
    client.call("Resume", {"pool": "default"})
    replies = list(follower.recv_stream())
    out, err, _ = gather(replies)
    kept = min(n, 65536)
    assert (out, err) == ("x" * kept, "y" * kept)
    assert [reply["stdout_bytes"] for reply in replies if "stdout_bytes" in reply][-1] == n
    log = client.call("Log", {"id": task})
    assert (len(log["stdout"]), log["stdout_bytes"], len(log["stderr"]), log["stderr_bytes"]) == (kept, n, kept, n)


def test_bytes_that_are_no_text(start):
    daemon = start(config("printf \"a\\377\\342\\202\"; printf \"\\254\\000b\\n\""))
    client = daemon.client()
    task = client.run("say")["id"]
    assert client.call("Log", {"id": task})["stdout"] == "a�€�b\n"


def test_a_program_that_is_cancelled_keeps_what_it_said(start):
    daemon = start(config("echo said; exec sleep 1000"))
    client, follower = daemon.client(), daemon.client()
    task = client.post("say")["id"]
    replies = follower.more("Log", {"id": task})
    while not next(replies).get("stdout"):
        pass
    client.call("Cancel", {"ids": [task]})
    last = gather(replies)[2]
    assert last["state"] == "cancelled"
    assert client.call("Log", {"id": task})["stdout"] == "said\n"


def test_a_follower_that_does_not_read_holds_nobody(start):
    daemon = start(config("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", max_output="1M"))
    client, follower = daemon.client(), daemon.client()
    task = client.post("say", timeout_ms=700)["id"]
    follower.send("Log", {"id": task}, more=True)
    ended = client.call("Wait", {"ids": [task]})["tasks"][0]
    assert ended["reason"] == "timeout"
    out, _, last = gather(follower.recv_stream())
    assert last["state"] == "failed" and len(out) == 1 << 20


def test_handlers_without_output(start):
    daemon = start()
    client = daemon.client()
    task = client.run("echo", {"stdout": "a trap"})["id"]
    assert client.call("Log", {"id": task}).get("state") == "done"
    running = client.post("sleep", {"ms": 60000})["id"]
    assert client.call("Log", {"id": running})["state"] == "active"
    client.call("Cancel", {"ids": [running]})


def test_whose_log_it_is(start):
    daemon = start(config("echo secret"))
    mine = daemon.client()
    task = mine.run("say")["id"]
    other = daemon.client_as(1, 1)
    assert other.refused("Log", {"id": task}).name == "org.varlink.service.PermissionDenied"
    assert mine.refused("Log", {"id": "999"}).short == "NoSuchTask"
    his = other.run("say")["id"]
    assert other.call("Log", {"id": his})["stdout"] == "secret\n"
    assert mine.call("Log", {"id": his})["stdout"] == "secret\n"
