"""Threads of a test: clients that do something at the same time."""
import threading
import time

from kit.client import remaining


class Sender(threading.Thread):
    """Writes the calls while somebody else reads the replies; an error is kept for join_all()."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.error = work, None
        self.start()

    def run(self):
        try:
            self.work()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error


def join_all(threads, seconds=60):
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(remaining(deadline))
        assert not thread.is_alive(), "a client did not come to its end"
        if thread.error:
            raise thread.error
