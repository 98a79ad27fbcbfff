"""The test's half of shim.c: calls of the daemon that fail, from a moment on that the test chooses."""
import errno
import mmap
import os
import struct

from kit.daemon import program

MALLOC, WRITE, PWRITE, SYNC, OPEN, TRUNCATE, SYNC_FOLDER = (1 << bit for bit in range(7))
FORMAT = "iiiii"  # as struct control


class Shim:
    def __init__(self, folder):
        self.path = os.path.join(folder, "control")
        with open(self.path, "wb") as file:
            file.write(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    @property
    def env(self):
        """For a daemon; after each arm() before its start."""
        return {"LD_PRELOAD": program("faultshim.so"), "FAULT_CONTROL": self.path}

    def arm(self, kinds, nth=1, error=errno.EIO, forever=False):
        self.map[:struct.calcsize(FORMAT)] = struct.pack(FORMAT, 0, nth, error, forever, 0)
        self.map[:4] = struct.pack("i", kinds)

    def disarm(self):
        """How many calls have failed."""
        self.map[:4] = bytes(4)
        return struct.unpack_from(FORMAT, self.map)[4]
