"""Checks replies against the interface descriptions that the daemon itself gives: types, required fields, unknown fields.
The descriptions are parsed with PyPI varlink's own parser."""
import re

from varlink import scanner

SERVICE = "org.varlink.service"
WORKPOOL = "org.workpool"

# Fields that protocol.md adds to errors of the standard interface, whose description stays the standard's.
EXTRA = {SERVICE + ".InvalidParameter": {"reason"}}


class Mismatch(AssertionError):
    """A reply that is not what the interface description promises."""


class Interfaces:
    def __init__(self, texts):
        self.texts = texts
        self.parsed = {name: scanner.Interface(text) for name, text in texts.items()}

    def members(self, kind):
        """Full names of all methods ("method") or errors ("error")."""
        wanted = {"method": scanner._Method, "error": scanner._Error}[kind]
        return {f"{name}.{member}": row for name, interface in self.parsed.items()
                for member, row in interface.members.items() if isinstance(row, wanted)}

    def role_of(self, method):
        """The least role that may call the method, as its comment says."""
        interface, _, name = method.rpartition(".")
        match = re.search(r'For the role "(\w+)"\.\nmethod ' + name + r"\(", self.texts[interface])
        assert match, f"{method}: its description names no role"
        return match.group(1)

    def check_reply(self, method, reply, *, is_more=False):
        """A whole message that answers a call of `method` (None: of no method that exists)."""
        if not isinstance(reply, dict):
            raise Mismatch(f"not an object: {reply!r}")
        unknown = set(reply) - {"parameters", "error", "continues"}
        if unknown:
            raise Mismatch(f"unknown members {unknown} in {reply!r}")
        if "error" in reply:
            if "continues" in reply:
                raise Mismatch(f"an error that continues: {reply!r}")
            self._check_error(reply)
            return
        if "continues" in reply and not (is_more and reply["continues"] is True):
            raise Mismatch(f"continues without more: {reply!r}")
        row = self.members("method").get(method)
        if row is None:
            raise Mismatch(f"an answer to {method}, which is no method: {reply!r}")
        self._check(method.rpartition(".")[0], row.out_type, reply.get("parameters", {}), method)

    def _check_error(self, reply):
        name, params = reply["error"], reply.get("parameters", {})
        row = self.members("error").get(name)
        if row is None:
            raise Mismatch(f"{name} is in no interface description")
        params = {key: value for key, value in params.items() if key not in EXTRA.get(name, ())}
        self._check(name.rpartition(".")[0], row.type, params, name)

    def _check(self, interface, kind, value, where):
        if isinstance(kind, scanner._Maybe):
            if value is not None:
                self._check(interface, kind.element_type, value, where)
        elif isinstance(kind, scanner._CustomType):
            self._check(interface, self.parsed[interface].members[kind.name].type, value, where)
        elif isinstance(kind, scanner._Struct):
            self._check_struct(interface, kind, value, where)
        elif isinstance(kind, scanner._Array):
            self._need(isinstance(value, list), where, "an array", value)
            for i, one in enumerate(value):
                self._check(interface, kind.element_type, one, f"{where}[{i}]")
        elif isinstance(kind, scanner._Enum):
            self._need(isinstance(value, str) and value in kind.fields, where, f"one of {list(kind.fields)}", value)
        elif isinstance(kind, bool):  # before int: bool is one in Python
            self._need(isinstance(value, bool), where, "a bool", value)
        elif isinstance(kind, int):
            self._need(isinstance(value, int) and not isinstance(value, bool), where, "an int", value)
        elif isinstance(kind, float):
            self._need(isinstance(value, (int, float)) and not isinstance(value, bool), where, "a float", value)
        elif isinstance(kind, str):
            self._need(isinstance(value, str), where, "a string", value)
        # object: anything

    def _check_struct(self, interface, kind, value, where):
        self._need(isinstance(value, dict), where, "an object", value)
        for name in value:
            self._need(name in kind.fields, f"{where}.{name}", "a field of the description", value[name])
        for name, field in kind.fields.items():
            if not isinstance(field, scanner._Maybe):
                self._need(name in value, f"{where}.{name}", "there", None)
            if name in value:
                self._check(interface, field, value[name], f"{where}.{name}")

    @staticmethod
    def _need(holds, where, what, value):
        if not holds:
            raise Mismatch(f"{where}: not {what}: {value!r}")
