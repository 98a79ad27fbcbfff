"""Handlers of type mongodb: update and delete, and what the configuration fixes of an operation, with values of the task in it."""
import json

import pytest

from test_mongodb import PEOPLE, Base, base, server  # noqa: F401  (fixtures)

FIXED = {
    "insert": {},
    "all": {"operation": "find", "sort": '{"name": 1}', "projection": '{"_id": 0}'},
    "of_town": {"operation": "find", "filter": '{"town": "$args.town"}', "projection": '{"_id": 0, "name": 1}', "sort": '{"name": 1}'},
    "of_age": {"operation": "find", "filter": '{"age": {"$gte": "$args.age.from", "$lt": "$args.age.to"}}', "sort": '{"name": 1}'},
    "count_town": {"operation": "count", "filter": '{"town": "$args.town"}'},
    "per_town": {"operation": "aggregate",
                 "pipeline": '[{"$match": {"age": {"$gte": "$args.from"}}}, {"$group": {"_id": "$town", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]'},
    "move": {"operation": "update", "filter": '{"name": "$args.name"}', "update": '{"$set": {"town": "$args.town"}}'},
    "age_all": {"operation": "update", "filter": '{"town": "$args.town"}', "update": '{"$inc": {"age": 1}}', "many": "yes"},
    "put": {"operation": "update", "filter": '{"name": "$args.name"}', "update": '{"$set": {"age": "$args.age"}}', "upsert": "yes"},
    "replace": {"operation": "update"},
    "note": {"operation": "insert", "document": '{"kind": "note", "text": "$args.text"}'},
    "remove": {"operation": "delete"},
    "remove_town": {"operation": "delete", "filter": '{"town": "$args.town"}', "many": "yes"},
}


@pytest.fixture
def people(base):  # noqa: F811
    one = base(FIXED)
    one.ok("insert", documents=PEOPLE)
    return one


def names(one, **args):
    return [document["name"] for document in one.ok("all", **args)["documents"]]


def test_values_of_the_task_go_where_the_configuration_says(people):
    assert people.ok("of_town", town="Paris")["documents"] == [{"name": "Bob"}, {"name": "Dan"}]
    assert people.ok("count_town", town="Rome") == {"count": 1}
    found = people.ok("of_age", age={"from": 20, "to": 40})["documents"]
    assert [document["name"] for document in found] == ["Ada", "Bob", "Cleo"]
    told = people.ok("per_town", **{"from": 30})["documents"]
    assert told == [{"_id": "London", "n": 1}, {"_id": "Paris", "n": 1}, {"_id": "Rome", "n": 1}]


@pytest.mark.parametrize("value", ['Paris", "$ne": "', "$args.town", "$where", "{\"$gt\": \"\"}", "", "Pa\u0001ris"], ids=json.dumps)
def test_value_is_a_value_whatever_it_looks_like(people, value):
    assert people.ok("of_town", town=value)["documents"] == []


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$ne": None}, {"a": {"$exists": True}}, [{"$gt": 1}], {"a.b": 1}], ids=json.dumps)
def test_operator_in_a_value_is_refused(people, value):
    task = people.fails("of_town", town=value)
    assert task["reason"] == "refused" and "filter" in task["error"], task
    assert people.ok("remove_town", town="nowhere") == {"deleted": 0}
    assert people.fails("remove_town", town=value)["reason"] == "refused"
    assert len(names(people)) == len(PEOPLE), "nothing went"


def test_value_that_is_not_given_is_refused_at_the_post_and_so_is_a_part_that_is_fixed(people):
    for handler, args, parameter in [("of_town", {}, "args.town"), ("of_town", {"town": None}, "args.town"), ("of_town", {"town": "x", "filter": {}}, "args.filter"),
                                     ("move", {"name": "Ada"}, "args.town"), ("move", {"name": "Ada", "town": "x", "update": {}}, "args.update"),
                                     ("remove", {}, "args.filter"), ("replace", {"filter": {}}, "args.update"),
                                     ("note", {"text": "x", "documents": [{}]}, "args.documents")]:
        error = people.client.refused("Post", {"handler": handler, "args": args})
        assert error.short == "InvalidParameter" and error.params["parameter"] == parameter, (handler, args, error)
    task = people.fails("of_age", age={"from": 1})
    assert task["reason"] == "args" and "args.age.to" in task["error"]


def test_handler_says_which_values_it_needs(people):
    (move,) = [handler for handler in people.client.call("Handlers")["handlers"] if handler["name"] == "move"]
    assert {param["name"]: param.get("required") for param in move["params"]} == {"name": True, "town": True}


def test_update_changes_one_or_all(people):
    assert people.ok("move", name="Ada", town="Oslo") == {"matched": 1, "modified": 1}
    assert people.ok("move", name="Nobody", town="Oslo") == {"matched": 0, "modified": 0}
    assert people.ok("count_town", town="Oslo") == {"count": 1}
    assert people.ok("age_all", town="Paris") == {"matched": 2, "modified": 2}
    assert {person["name"]: person["age"] for person in people.ok("all")["documents"]} == {"Ada": 36, "Bob": 26, "Cleo": 36, "Dan": 42, "Eve": 19}


def test_upsert_puts_a_document_in_and_tells_its_id(people):
    told = people.ok("put", name="Fay", age=7)
    assert told["matched"] == 0 and told["modified"] == 0 and "$oid" in told["upserted"]
    assert people.ok("put", name="Fay", age=8) == {"matched": 1, "modified": 1}
    assert names(people) == ["Ada", "Bob", "Cleo", "Dan", "Eve", "Fay"]


def test_update_of_a_client_replaces_and_has_no_operators(people):
    assert people.ok("replace", filter={"name": "Eve"}, update={"name": "Eva"}) == {"matched": 1, "modified": 1}
    assert people.ok("all", filter={"name": "Eva"})["documents"] == [{"name": "Eva"}]
    task = people.fails("replace", filter={"name": "Ada"}, update={"$set": {"age": 1}})
    assert task["reason"] == "refused" and "$set" in task["error"]


def test_delete_takes_one_or_all(people):
    assert people.ok("remove", filter={"town": "Paris"}) == {"deleted": 1}
    assert people.ok("remove_town", town="Paris") == {"deleted": 1}
    assert people.ok("remove_town", town="Paris") == {"deleted": 0}
    assert names(people) == ["Ada", "Cleo", "Eve"]


def test_document_is_made_of_values(people):
    assert people.ok("note", text={"lines": [1, "two"]}) == {"inserted": 1}
    assert people.ok("all", filter={"kind": "note"})["documents"] == [{"kind": "note", "text": {"lines": [1, "two"]}}]


def test_concerns_are_taken(base):  # noqa: F811
    one = base({"insert": {"write_concern": "1"}, "find": {"read_concern": "local"}, "majority": {"operation": "insert", "write_concern": "majority"}})
    assert one.ok("insert", document={"a": 1}) == {"inserted": 1}
    assert one.ok("majority", document={"a": 2}) == {"inserted": 1}
    assert one.ok("find")["count"] == 2
