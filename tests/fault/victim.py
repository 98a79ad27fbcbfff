"""Daemons that die in the course of a test. Each is known here until it has been taken apart, so that none outlives a test that fails."""
import signal

from kit import proc
from kit.daemon import Daemon

_alive = []


class Victim(Daemon):
    def __init__(self, config, **options):
        ready = options.pop("ready", True)
        super().__init__(config, ready=False, **options)
        _alive.append(self)
        if ready:
            self.wait_ready()

    def has_died(self):
        return bool(proc.wait_readable([self.pidfd], 0))

    def kill(self):
        """As the kernel would when memory is out; and all of it is gone then, hosts too."""
        self.expect_status = -signal.SIGKILL
        if not self.has_died():
            self.signal(signal.SIGKILL)
        self.wait_exit()
        self.finish()

    def finish(self):
        _alive.remove(self)
        super().finish()
        known = {daemon.pid for daemon in _alive}
        left = proc.take_orphans(known)
        assert not left, f"processes outlived their daemon: {left}"


def end_all():
    """After a test: those that it has left behind, whatever their state."""
    for daemon in list(_alive):
        daemon.process.kill()
        daemon.expect_status, daemon.ended = daemon.process.wait(), True
        daemon.finish()
