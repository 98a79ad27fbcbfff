"""Much at once: 100,000 posts pipelined, posts against a small queue while the pool is resized, pipelines of many clients. None lost,
counters exact, bounds kept in every Stats that is seen meanwhile."""
import threading
import time

import pytest

from kit.client import DEADLINE, encode_call
from kit.daemon import ENDS
from kit.senders import Sender, join_all

pytestmark = pytest.mark.slow


def fast_replies(client, n):
    """n raw replies; only the first and last are decoded and checked, the rest by their beginning."""
    posted = refused = 0
    for _ in range(n):
        data = client.recv_bytes(DEADLINE)
        if data.startswith(b'{"parameters":{"id":"'):
            posted += 1
        else:
            assert data.startswith(b'{"error":"org.workpool.AtCapacity"'), data
            refused += 1
    return posted, refused


def test_hundred_thousand_posts_pipelined_on_one_connection(start):
    """The queue's order is the order of posts; none lost, all done, counters exact."""
    n = 100_000
    daemon = start(f"[daemon]\nhistory_max = {n}\n[pool default]\nworkers = 1\ncapacity = {n}\npaused = yes\n")
    client = daemon.client()
    data = encode_call("Post", {"handler": "noop"}) * n
    began = time.monotonic()
    sender = Sender(lambda: client.sock.sendall(data))
    ids = [client.recv_bytes() for _ in range(n)]
    posted_in = time.monotonic() - began
    join_all([sender])
    assert ids == [b'{"parameters":{"id":"%d","state":"queued"}}' % i for i in range(1, n + 1)]
    client.send("Post", {"handler": "noop"})
    # Nothing has ended yet: there is no rate that could tell when there is room.
    assert client.recv_error().params == {"pool": "default", "queued": n, "capacity": n, "retry_after_ms": 1000}
    pool = client.pool()
    assert (pool["queued"], pool["posted"], pool["max_queued"], pool["done"]) == (n, n, n, 0)
    waiter = daemon.client()
    tail = [str(i) for i in range(n, n - 1000, -1)]
    waiter.send("Wait", {"ids": tail}, more=True)
    began = time.monotonic()
    client.call("Resume")
    assert client.call("Drain", seconds=60)["drained"]
    print(f"{n} posts in {posted_in:.2f} s, run in {time.monotonic() - began:.2f} s")
    ended = [reply["task"]["id"] for reply in waiter.recv_stream(60)]
    assert ended == tail[::-1], "one worker: tasks end in the order of posts"
    pool = client.pool()
    assert (pool["done"], pool["posted"], pool["queued"], pool["active"], pool["refused"]) == (n, n, 0, 0, 1)
    assert pool["max_active"] == 1 and pool["run_us"]["count"] == n


@pytest.mark.parametrize("workers", [1, 6, 64])
def test_posts_of_eight_clients_against_ten_places(start, workers):
    """posted + refused = attempted, and what was posted ends as done; 8 clients pipeline, the queue holds 10."""
    each = 3000
    daemon = start(f"[pool default]\nworkers = {workers}\ncapacity = 10\n")
    counts = []

    def attempt():
        client = daemon.client()
        sender = Sender(lambda: client.sock.sendall(encode_call("Post", {"handler": "noop"}) * each))
        counts.append(fast_replies(client, each))
        join_all([sender])

    daemon.client().call("Stats")
    join_all([Sender(attempt) for _ in range(8)])
    posted, refused = (sum(column) for column in zip(*counts))
    assert posted + refused == 8 * each and posted > 0
    pool = daemon.until(lambda pool: pool["queued"] + pool["active"] == 0)
    assert (pool["posted"], pool["refused"], pool["done"]) == (posted, refused, posted)
    assert pool["max_queued"] <= 10 and pool["max_active"] <= workers


def test_posts_of_eight_clients_while_another_resizes(start):
    """1 <-> 64 two hundred times. In every Stats: queued <= capacity, active - leaving <= workers, the sum holds (check_counts)."""
    daemon = start("[pool default]\nworkers = 1\ncapacity = 10\n")
    counts, seen = [], []
    stop = threading.Event()

    def attempt():
        client, n, posted, refused = daemon.client(), 0, 0, 0
        while not stop.is_set():
            client.sock.sendall(encode_call("Post", {"handler": "sleep", "args": {"ms": 1}}) * 16)
            more, less = fast_replies(client, 16)
            n, posted, refused = n + 16, posted + more, refused + less
        counts.append((n, posted, refused))

    def look():
        for reply in daemon.watch():
            pool = reply["pools"][0]
            assert pool["queued"] <= pool["capacity"] and pool["workers"] in (1, 64), pool
            seen.append(pool["active"])
            if stop.is_set():
                return

    admin = daemon.client()
    admin.call("Stats")
    threads = [Sender(attempt) for _ in range(8)] + [Sender(look)]
    try:
        for i in range(200):
            before = admin.call("Resize", {"workers": (64, 1)[i % 2]})
            assert before["workers_before"] == (1, 64)[i % 2]
            pool = admin.pool()
            assert pool["queued"] <= 10 and pool["active"] - pool["leaving"] <= pool["workers"]
    finally:
        stop.set()
    join_all(threads)
    attempted, posted, refused = (sum(column) for column in zip(*counts))
    pool = daemon.until(lambda pool: pool["queued"] + pool["active"] == 0)
    print(f"{attempted} tried, {posted} posted, {refused} refused, {len(seen)} Stats seen, active up to {max(seen)}")
    assert attempted == posted + refused
    assert (pool["posted"], pool["refused"], pool["done"]) == (posted, refused, posted)
    assert pool["max_queued"] <= 10


def test_everything_at_once(start):
    """Posters, waiters, lists, pause and resume, marks, resizes, clients that come and go: each task ends once."""
    daemon = start("[pool default]\nworkers = 4\ncapacity = 50\n[pool mail]\nworkers = 2\ncapacity = 5\n")
    rounds = 60
    ended = []

    def post_and_wait():
        client = daemon.client()
        for i in range(rounds):
            client.sock.sendall(b"".join(client.encode("Post", {"handler": ("noop", "fail", "echo")[i % 3],
                                                                "pool": ("default", "mail")[i % 2]}) for _ in range(5)))
            messages = [client.recv_message() for _ in range(5)]
            ids = [message["parameters"]["id"] for message in messages if "error" not in message]
            if ids:
                ended.extend(task["state"] for task in client.call("Wait", {"ids": ids})["tasks"])

    def come_and_go():
        for i in range(rounds):
            client = daemon.client()
            client.send("Post", {"handler": "sleep", "args": {"ms": i % 7}, "wait": True})
            if i % 2:
                client.recv_message()
            client.close()

    def operate():
        client = daemon.client()
        for i in range(rounds):
            client.call("Pause", {"pool": "mail"})
            client.call("List", {"limit": 20, "state": "done"})
            client.call("Resize", {"pool": ("default", "mail")[i % 2], "workers": 1 + i % 9})
            client.call("ResetMarks")
            client.call("Resume", {"pool": "mail"})
            client.call("Drain", {"timeout_ms": 1})

    daemon.client().call("Stats")
    join_all([Sender(post_and_wait) for _ in range(4)] + [Sender(come_and_go) for _ in range(2)] + [Sender(operate)])
    assert set(ended) == {"done", "failed"}
    for name in ("default", "mail"):
        pool = daemon.until(lambda pool: pool["queued"] + pool["active"] == 0, pool=name)
        assert pool["posted"] == sum(pool[state] for state in ENDS)
        assert pool["crashed"] == pool["host_restarts"] == 0
