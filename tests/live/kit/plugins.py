"""Handlers of type plugin for tests: testplugin does whatever a test asks of it."""
import os

from kit.daemon import program


def module():
    return os.path.join(os.path.dirname(program("workpoold")), "testplugin.so")


def handler(name="t", **keys):
    """A section of the configuration."""
    lines = [f"[handler {name}]", "type = plugin"] + [f"{key} = {value}" for key, value in ({"module": module()} | keys).items()]
    return "\n".join(lines) + "\n"
