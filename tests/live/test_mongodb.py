"""Handlers of type mongodb on a server that is there: operations, types, what clients may not say, limits. On every kind of server
that this machine has (tests/servers); without any: a loud skip, in CI a failure."""
import json

import pytest

from conftest import skip_loudly
from kit import cli, mongo
from kit.client import DEADLINE
from test_wpctl_bench import Table

N_FINDS, N_WORKERS = 100, 24
PLAIN = {"insert": {}, "find": {}, "count": {}}
OPERATORS = {"insert": {"operators": "yes"}, "find": {"operators": "yes"}, "count": {"operators": "yes"}, "aggregate": {"operators": "yes"}}
PEOPLE = [{"name": name, "age": age, "town": town} for name, age, town in [
    ("Ada", 36, "London"), ("Bob", 25, "Paris"), ("Cleo", 36, "Rome"), ("Dan", 41, "Paris"), ("Eve", 19, "London")]]


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow if name == "ferretdb" else ()) for name in mongo.names()])
def server(request):
    try:
        one = mongo.Server(request.param)
    except LookupError as error:
        skip_loudly(f"no MongoDB server: {error}")
    yield one
    one.close()


class Base:
    """A daemon with handlers on a collection of its own."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.client = daemon.client()

    def ok(self, handler, **args):
        task = self.client.run(handler, args)
        assert task["state"] == "done", json.dumps(task)
        return task["result"]

    def fails(self, handler, **args):
        task = self.client.run(handler, args)
        assert task["state"] == "failed", task
        return task

    def find(self, **args):
        return mongo.without_ids(self.ok("find", **args)["documents"])


@pytest.fixture
def base(server, start):
    """base(handlers): a Base."""

    def make(handlers=None, **options):
        return Base(start(mongo.config(server.uri, handlers or PLAIN, **options)))

    return make


@pytest.fixture
def people(base):
    one = base(OPERATORS)
    assert one.ok("insert", documents=PEOPLE) == {"inserted": len(PEOPLE)}
    return one


# Operations.

def test_inserted_documents_are_found_and_counted(base):
    one = base()
    assert one.ok("count") == {"count": 0}
    assert one.ok("find") == {"documents": [], "count": 0, "truncated": False}
    assert one.ok("insert", document={"a": 1}) == {"inserted": 1}
    assert one.ok("insert", documents=[{"a": 2}, {"a": 2}]) == {"inserted": 2}
    assert one.ok("count") == {"count": 3} and one.ok("count", filter={"a": 2}) == {"count": 2}
    found = one.ok("find", filter={"a": 1})
    assert found["count"] == 1 and found["truncated"] is False
    (document,) = found["documents"]
    assert document["a"] == 1 and mongo.is_object_id(document["_id"])


@pytest.mark.parametrize("args, names", [
    ({"sort": {"name": 1}}, "Ada Bob Cleo Dan Eve"), ({"sort": {"name": -1}}, "Eve Dan Cleo Bob Ada"),
    ({"sort": {"age": -1, "name": -1}}, "Dan Cleo Ada Bob Eve"), ({"sort": {"name": 1}, "limit": 2}, "Ada Bob"),
    ({"sort": {"name": 1}, "skip": 3}, "Dan Eve"), ({"sort": {"name": 1}, "skip": 1, "limit": 2}, "Bob Cleo"),
    ({"filter": {"town": "Paris"}, "sort": {"name": 1}}, "Bob Dan"), ({"filter": {"town": "Paris", "age": 41}}, "Dan"),
    ({"filter": {"town": "Oslo"}}, ""), ({"sort": {"name": 1}, "skip": 9}, ""), ({"sort": {"name": 1}, "limit": 99}, "Ada Bob Cleo Dan Eve"),
    ({"filter": {"age": {"$gt": 30}}, "sort": {"name": 1}}, "Ada Cleo Dan"),
    ({"filter": {"$or": [{"name": "Eve"}, {"name": "Bob"}]}, "sort": {"name": 1}}, "Bob Eve"),
    ({"filter": {"name": {"$in": ["Ada", "Nobody"]}}}, "Ada"),
], ids=lambda value: json.dumps(value) if isinstance(value, dict) else "")
def test_find_takes_filter_sort_skip_and_limit(people, args, names):
    result = people.ok("find", **args)
    assert [document["name"] for document in result["documents"]] == names.split()
    assert result["count"] == len(names.split()) and result["truncated"] is False


@pytest.mark.parametrize("projection, keys", [({"name": 1}, {"_id", "name"}), ({"name": 1, "_id": 0}, {"name"}), ({"age": 0}, {"_id", "name", "town"}),
                                              ({}, {"_id", "name", "age", "town"})])
def test_projection_chooses_fields(people, projection, keys):
    assert all(set(document) == keys for document in people.ok("find", projection=projection)["documents"])


def test_order_of_keys_is_the_clients(people):
    """A sort by two keys, and a document: JSON objects with an order."""
    people.ok("insert", document={"z": 1, "a": 2, "m": {"y": 1, "b": 2}})
    (document,) = people.find(filter={"z": 1})
    assert list(document) == ["z", "a", "m"] and list(document["m"]) == ["y", "b"]


def test_aggregate_runs_a_pipeline(people):
    result = people.ok("aggregate", pipeline=[{"$match": {"age": {"$gte": 25}}}, {"$group": {"_id": "$town", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}])
    assert result == {"documents": [{"_id": "London", "n": 1}, {"_id": "Paris", "n": 2}, {"_id": "Rome", "n": 1}], "count": 3, "truncated": False}
    assert people.ok("aggregate", pipeline=[])["count"] == len(PEOPLE)


def test_error_of_the_server_is_told_and_the_next_task_is_served(people):
    task = people.fails("find", filter={"age": {"$nonsense": 1}})
    assert task["reason"] == "failed" and task["error"].startswith("MongoDB: ") and len(task["error"]) > 15
    assert people.fails("aggregate", pipeline=[{"$nonsense": {}}])["reason"] == "failed"
    assert people.ok("count")["count"] == len(PEOPLE)
    assert "mongodb_away" not in people.daemon.stderr(), "it has answered"


def test_document_whose_id_is_taken_fails_and_tells_how_many_went_in(base):
    one = base()
    one.ok("insert", document={"_id": "x"})
    task = one.fails("insert", documents=[{"_id": "a"}, {"_id": "x"}, {"_id": "b"}])
    assert task["reason"] == "failed" and "uplicate" in task["error"]
    assert task["result"] == {"inserted": 1}
    assert one.ok("count") == {"count": 2}


# Types.

NESTED_ARRAYS = [1, [2, [3, {}], []]]

@pytest.mark.parametrize("value", [
    0, 1, -1, 2 ** 31 - 1, -2 ** 31, 2 ** 31, -2 ** 31 - 1, 2 ** 53 - 1, -(2 ** 53 - 1), 0.5, -1e-9, 1e300, 1.0, 3.141592653589793, True, False, None,
    "", "text", "ünïcödé 🐟", "a\"b\\c\n\t\u0001", "x" * 5000, {}, [], [1, "two", None, {"four": [4]}], NESTED_ARRAYS, {"a": {"b": {"c": [{"d": 1.5}]}}},
    {"0": "zero", "1": "one"}, "$dollar.text", {"date": "2026-01-01T00:00:00Z"},
], ids=lambda value: json.dumps(value)[:24])
def test_value_comes_back_as_it_was(server, base, value):
    if server.name == "ferretdb" and value == NESTED_ARRAYS:
        pytest.skip("FerretDB 1 takes no nested arrays")
    one = base()
    one.ok("insert", document={"value": value})
    (document,) = one.find()
    assert document == {"value": value} and type(document["value"]) is type(value)


@pytest.mark.parametrize("value, kind", [(1, "int"), (-2 ** 31, "int"), (2 ** 31, "long"), (2 ** 53 - 1, "long"), (1.0, "double"), (0.5, "double"),
                                         ("1", "string"), (True, "bool"), (None, "null"), ({}, "object")])
def test_numbers_are_stored_in_the_least_type_that_holds_them(base, value, kind):
    one = base(OPERATORS)
    one.ok("insert", document={"value": value})
    assert one.ok("count", filter={"value": {"$type": kind}}) == {"count": 1}


def test_dates_of_the_server_are_told_as_extended_json(server, base):
    if server.name == "ferretdb":
        pytest.skip("FerretDB 1 has no $toDate")
    one = base(OPERATORS)
    one.ok("insert", document={"ms": 1767225600123})
    result = one.ok("aggregate", pipeline=[{"$project": {"_id": 0, "at": {"$toDate": "$ms"}}}])
    assert result["documents"] == [{"at": {"$date": "2026-01-01T00:00:00.123Z"}}]


def test_extended_json_of_a_client_is_no_type(base):
    """{"$oid": …} and the like would be types in bson_new_from_json(): here they are refused, or plain keys."""
    one = base()
    for evil in ({"$oid": "0" * 24}, {"$date": 0}, {"$code": "x"}, {"$numberLong": "1"}, {"$binary": "", "$type": "00"}):
        assert "begins with $" in one.fails("insert", document={"value": evil})["error"]
        assert "begins with $" in one.fails("find", filter={"_id": evil})["error"]
    assert one.ok("count") == {"count": 0}


# What a client may not say.

BAD_KEYS = [("$gt", "begins with $"), ("$where", "is never allowed"), ("a.b", "holds a dot"), (".", "holds a dot"), ("", "is empty"),
            ("$", "begins with $"), ("x.$", "holds a dot")]
PLACES = {"top": lambda key: {key: 1}, "nested": lambda key: {"a": {"b": {key: 1}}}, "in_array": lambda key: {"a": [1, {"ok": 1}, {key: 1}]},
          "in_arrays": lambda key: {"a": [[[{key: {}}]]]}, "behind_good": lambda key: {"good": 1, "also": {}, key: 1}}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key, why", BAD_KEYS, ids=[key or "empty" for key, _ in BAD_KEYS])
def test_key_that_is_not_allowed_is_refused_by_its_name(base, place, key, why):
    one = base()
    args = {"find": ("filter", "projection", "sort"), "count": ("filter",), "insert": ("document",)}
    for handler, names in args.items():
        for name in names:
            task = one.fails(handler, **{name: PLACES[place](key)})
            assert task["reason"] == "refused", task
            assert task["error"] == f'{name}: the key "{key}" {why}'
    task = one.fails("insert", documents=[{"fine": 1}, PLACES[place](key)])
    assert f'the key "{key}" {why}' in task["error"]
    assert one.ok("count") == {"count": 0}, "nothing of a refused insert is in"


@pytest.mark.parametrize("key", ["$where", "$function", "$accumulator", "$out", "$merge", ""])
def test_keys_that_run_code_or_write_are_refused_even_with_operators(people, key):
    why = "is empty" if key == "" else "is never allowed"
    for place in PLACES.values():
        assert people.fails("find", filter=place(key))["error"] == f'filter: the key "{key}" {why}'
        assert people.fails("aggregate", pipeline=[{"$match": {}}, place(key)])["error"] == f'pipeline: the key "{key}" {why}'
        assert people.fails("count", filter=place(key))["reason"] == "refused"
    assert people.ok("count")["count"] == len(PEOPLE)


def test_long_or_evil_key_is_named_safely(base):
    one = base()
    error = one.fails("find", filter={"$" + "x" * 250: 1})["error"]
    assert '"$xxx' in error and len(error) < 200
    assert "\x1b" not in one.fails("find", filter={"$\x1b[31m\n": 1})["error"]


def test_keys_with_a_dot_are_paths_with_operators(people):
    people.ok("insert", document={"name": "Finn", "address": {"town": "Oslo"}})
    assert [document["name"] for document in people.find(filter={"address.town": "Oslo"})] == ["Finn"]


def test_duplicate_keys_never_reach_the_server(base):
    one = base()
    for text in ('{"document":{"a":1,"a":2}}', '{"document":{"a":{"b":1,"b":2}}}', '{"documents":[{"a":[{"x":1,"x":1}]}]}'):
        with one.daemon.client(line=True) as client:
            client.send_raw(b'{"method":"org.workpool.Post","parameters":{"handler":"insert","args":' + text.encode() + b"}}\n", expect=["Post"])
            error = client.recv_error()
            assert error.short == "MalformedMessage" and "uplicate" in error.params["reason"]
    assert one.ok("count") == {"count": 0}


@pytest.mark.parametrize("handler, args, parameter", [
    ("find", {"filter": []}, "args.filter"), ("find", {"filter": "x"}, "args.filter"), ("find", {"limit": 0}, "args.limit"),
    ("find", {"limit": -1}, "args.limit"), ("find", {"limit": 2 ** 31}, "args.limit"), ("find", {"skip": -1}, "args.skip"),
    ("find", {"sort": ["a"]}, "args.sort"), ("find", {"projection": 1}, "args.projection"), ("find", {"collection": "other"}, "args.collection"),
    ("find", {"database": "admin"}, "args.database"), ("count", {"limit": 1}, "args.limit"), ("insert", {"document": []}, "args.document"),
    ("find", {"maxTimeMS": 1}, "args.maxTimeMS"), ("find", {"hint": {}}, "args.hint"),
], ids=lambda value: json.dumps(value) if isinstance(value, dict) else value)
def test_args_of_the_wrong_kind_are_refused_at_the_post(base, handler, args, parameter):
    one = base()
    error = one.client.refused("Post", {"handler": handler, "args": args})
    assert error.short == "InvalidParameter" and error.params["parameter"] == parameter
    assert one.client.pool()["posted"] == 0


@pytest.mark.parametrize("args", [{}, {"document": {"a": 1}, "documents": [{}]}, {"documents": []}, {"documents": {}}, {"documents": [1]},
                                  {"documents": [{"a": 1}, "x"]}, {"documents": "x"}], ids=json.dumps)
def test_insert_of_no_document_is_refused(base, args):
    one = base()
    task = one.fails("insert", **args)
    assert task["reason"] == "args" and "document" in task["error"]
    assert one.ok("count") == {"count": 0}


@pytest.mark.parametrize("pipeline", [{}, "x", 1, {"$match": {}}], ids=json.dumps)
def test_pipeline_that_is_no_array_is_refused(people, pipeline):
    assert people.fails("aggregate", pipeline=pipeline)["reason"] == "args"


def test_handler_says_what_its_args_are(base):
    handlers = {handler["name"]: handler for handler in base(OPERATORS).client.call("Handlers")["handlers"]}
    assert {name: [param["name"] for param in handlers[name]["params"]] for name in OPERATORS} == {
        "find": ["filter", "projection", "sort", "limit", "skip"], "count": ["filter"], "insert": ["document", "documents"],
        "aggregate": ["pipeline"]}
    assert all(handlers[name]["type"] == "mongodb" for name in OPERATORS)


# Limits.

@pytest.mark.parametrize("n, limit, expected, truncated", [(4, None, 4, False), (5, None, 5, False), (6, None, 5, True), (20, None, 5, True),
                                                           (20, 3, 3, False), (20, 5, 5, False), (20, 6, 5, True), (20, 1000, 5, True)])
def test_max_documents_cuts_and_says_so(base, n, limit, expected, truncated):
    one = base({"insert": {"max_documents": 20}, "find": {"max_documents": 5}})
    one.ok("insert", documents=[{"n": i} for i in range(n)])
    result = one.ok("find", sort={"n": 1}, **({"limit": limit} if limit else {}))
    assert [document["n"] for document in result["documents"]] == list(range(expected))
    assert (result["count"], result["truncated"]) == (expected, truncated)


def test_max_documents_bounds_an_insert_and_an_aggregate(base):
    one = base({"insert": {"max_documents": 3}, "count": {}, "aggregate": {"operators": "yes", "max_documents": 2}})
    task = one.fails("insert", documents=[{}] * 4)
    assert task["reason"] == "args" and "from 1 to 3" in task["error"] and one.ok("count") == {"count": 0}
    one.ok("insert", documents=[{"n": i} for i in range(3)])
    result = one.ok("aggregate", pipeline=[{"$sort": {"n": 1}}])
    assert (result["count"], result["truncated"]) == (2, True)


def test_max_output_cuts_between_documents(base):
    one = base({"insert": {}, "find": {"max_output": "10K"}})
    one.ok("insert", documents=[{"n": i, "text": "x" * 900} for i in range(30)])
    result = one.ok("find", sort={"n": 1}, projection={"_id": 0})
    assert result["truncated"] is True and 8 <= result["count"] <= 11
    assert result["documents"] == [{"n": i, "text": "x" * 900} for i in range(result["count"])]
    assert len(json.dumps(result, separators=(",", ":"))) <= 10 * 1024 + 100


def test_single_document_beyond_max_output_is_cut_too(base):
    one = base({"insert": {}, "find": {"max_output": "1K"}})
    one.ok("insert", document={"text": "x" * 5000})
    assert one.ok("find") == {"documents": [], "count": 0, "truncated": True}


# Configuration.

@pytest.mark.parametrize("handlers, word", [
    ({"aggregate": {}}, "operators"), ({"find": {"database": ""}}, "database"), ({"find": {"collection": ""}}, "collection"),
    ({"find": {"operation": "drop"}}, "operation"), ({"find": {"collection": "a$b"}}, "collection"), ({"find": {"database": "a.b"}}, "database"),
    ({"find": {"max_documents": "0"}}, "max_documents"), ({"find": {"update": "{}"}}, "update"), ({"find": {"many": "yes"}}, "many"),
])
def test_handler_that_cannot_be_is_refused_at_the_start(workpoold, tmp_path, handlers, word):
    path = tmp_path / "conf"
    path.write_text(mongo.config("mongodb://127.0.0.1", handlers))
    path.chmod(0o600)
    for args in (["--socket", tmp_path / "s"], ["--check-config"]):
        ended = workpoold("--config", path, *args)
        assert ended.returncode == 78 and word in ended.stderr, ended


# Many.

def test_hundred_finds_on_24_workers(base):
    one = base(OPERATORS, workers=N_WORKERS)
    one.ok("insert", documents=[{"n": i} for i in range(N_FINDS)])
    ids = [one.client.post("find", {"filter": {"n": i}})["id"] for i in range(N_FINDS)]
    one.client.send("Wait", {"ids": ids})
    tasks = {task["id"]: task for task in one.client.recv(3 * DEADLINE)["tasks"]}
    for i, name in enumerate(ids):
        task = one.client.call("Show", {"id": name})["task"]
        assert tasks[name]["state"] == "done" and mongo.without_ids(task["result"]["documents"]) == [{"n": i}]
    pool = one.client.pool()
    assert pool["failed"] == 0 and 1 < pool["max_active"] <= N_WORKERS


def test_bench_of_a_find_prints_its_table(base):
    one = base(OPERATORS | {"customers": {"operation": "find"}}, workers=3)
    one.ok("insert", documents=[{"name": f"customer {i}", "town": "Paris"} for i in range(50)])
    ended = cli.run(one.daemon.path, "bench", "customers", '{"filter":{"town":"Paris"},"limit":10}', "--runs", "2", "--workers", "24,8",
                    seconds=6 * DEADLINE)
    assert ended.returncode == 0 and ended.stderr == "", ended
    table = Table(ended.stdout)
    assert table.workers == [24, 8, 24, 8]
    # Finds are quick: on a busy machine the first may have ended before the last is posted.
    for active, queued, n in zip(table.column(4), table.column(5), table.workers):
        assert 1 <= active <= n and 0 <= queued <= 100 - active, ended.stdout
    pool = one.client.pool()
    assert (pool["done"], pool["failed"], pool["workers"]) == (401, 0, 3)
