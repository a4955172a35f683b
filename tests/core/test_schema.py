"""Are schemas safe to use, and do their faults say where?"""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrald.core import schema
from orchestrald.core.schema import Fault

TOOL = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "pattern": "^[a-z/.]+$"},
        "n": {"type": "integer", "default": 3},
        "mode": {"enum": ["a", "b"]},
        "opts": {"type": "object", "properties": {"deep": {"type": "array", "items": {"type": "integer"}}}},
    },
    "required": ["path"],
    "additionalProperties": False,
}


def test_every_fault_is_told_with_its_path_and_keyword() -> None:
    faults = schema.errors(TOOL, {"path": "A", "mode": "c", "opts": {"deep": [1, "x"]}, "z": 1})
    assert {(fault.path, fault.keyword) for fault in faults} == {
        (("path",), "pattern"),
        (("mode",), "enum"),
        (("opts", "deep", 1), "type"),
        ((), "additionalProperties"),
    }


def test_a_value_that_fits_has_no_faults() -> None:
    assert schema.errors(TOOL, {"path": "a/b.c", "n": 1}) == []
    assert schema.errors({}, object()) == []


@pytest.mark.parametrize("trivial", [{"type": "object"}, {"type": "object", "description": "d", "title": "t"}])
def test_the_plainest_schema_still_wants_an_object(trivial: dict[str, Any]) -> None:
    assert schema.errors(trivial, {"a": 1}) == []
    assert schema.errors(trivial, [1]) == [Fault((), "a list is not of type 'object'", "type")]


def test_the_message_of_a_choice_names_the_nearest_miss() -> None:
    choice = {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["x"]}]}
    (fault,) = schema.errors(choice, {})
    assert fault.keyword == "anyOf"
    assert "nearest: 'x' is a required property" in fault.message


def test_a_huge_value_does_not_make_a_huge_message() -> None:
    (fault,) = schema.errors({"type": "integer"}, "x" * 1_000_000)
    assert len(fault.message) < 400
    assert fault.message.endswith("is not of type 'integer'")
    assert len(schema.errors({"items": {"type": "string"}}, [1] * 1_000)) == 50


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (3, "must be an object"),
        (None, "must be an object"),
        ({"type": "strin"}, "type:"),
        ({"properties": {"a": {"minimum": "3"}}}, "properties.a.minimum"),
        ({"items": [{}]}, "items"),
        ({"$ref": "http://example.invalid/x.json"}, "leaves the schema"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "leaves the schema"),
        ({"$dynamicRef": "other.json#x"}, "leaves the schema"),
        ({"$ref": "#/$defs/nope"}, "points at nothing"),
        ({"$ref": "#nope"}, "points at nothing"),
        ({"properties": {"a": {"$id": "http://x/"}}}, "$id"),
        ({"pattern": "^(a+)+$"}, "exponentially"),
        ({"pattern": "["}, "not a regular expression"),
        ({"patternProperties": {"^(a+)+$": {}}}, "exponentially"),
        ({"patternProperties": {"a*a*a*b": {}}}, "names may have 512"),
        ({"propertyNames": {"pattern": "^(a+)+$"}}, "exponentially"),
        ({"$ref": "#/definitions/X", "definitions": {"X": {"pattern": "(a+)+$"}}}, "exponentially"),
        ({"not": {"anyOf": [{"if": {"contains": {"pattern": "(a+)+$"}}}]}}, "exponentially"),
        ({"description": "x" * 300_000}, "is the limit"),
        ({"default": float("nan"), "x": object()}, "JSON cannot carry"),
    ],
    ids=lambda v: str(v)[:60],
)
def test_a_schema_that_should_not_be_used_is_refused_with_the_reason(bad: Any, says: str) -> None:
    problems = schema.check(bad)
    assert any(says in problem for problem in problems), problems


def test_all_problems_of_a_schema_are_told_at_once() -> None:
    bad = {"properties": {"a": {"$ref": "http://x"}, "b": {"pattern": "(a+)+$"}, "c": {"$ref": "#/no"}}}
    assert len(schema.check(bad)) == 3


@pytest.mark.parametrize(
    "good",
    [
        {},
        TOOL,
        {"$ref": "#"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"$id": "http://x/", "$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"$dynamicRef": "#x", "$defs": {"a": {"$dynamicAnchor": "x", "type": "integer"}}},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}, "$id": {}}},
        {"default": {"$ref": "http://x"}, "enum": [{"pattern": "(a+)+"}], "examples": [{"$ref": "#/no"}]},
        {"const": {"$ref": "file:///"}},
    ],
    ids=lambda v: str(v)[:60],
)
def test_ordinary_schemas_pass_and_data_in_them_is_not_taken_for_keywords(good: dict[str, Any]) -> None:
    assert schema.check(good) == []


def nested(depth: int) -> dict[str, Any]:
    return {} if depth == 0 else {"properties": {"a": nested(depth - 1)}}


def test_depth_is_limited_far_from_the_recursion_limit() -> None:
    assert schema.check(nested(10)) == []
    assert "nested deeper" in schema.check(nested(40))[0]
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"not": deep}
    assert schema.check(deep) != []


def test_references_that_double_are_refused_by_their_written_out_size() -> None:
    defs: dict[str, Any] = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(25)}
    bomb = {"$defs": {**defs, "a25": {}}, "$ref": "#/$defs/a0"}
    assert "written out" in schema.check(bomb)[0]


def test_a_schema_that_refers_to_itself_for_ever_is_a_fault_not_a_crash() -> None:
    (fault,) = schema.errors({"$ref": "#"}, 1)
    assert "too deep" in fault.message


def test_a_recursive_schema_that_doubles_on_each_level_runs_out_of_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MAX_CHECKS", 10_000)
    both = {"properties": {"n": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
    assert schema.check(both) == []
    value: dict[str, Any] = {}
    for _ in range(60):
        value = {"n": value}
    (fault,) = schema.errors(both, value)  # 2**60 checks without a budget
    assert "too large to be checked" in fault.message
    assert schema.errors(both, {"n": {}}) == []  # the budget is for each validation


def test_a_text_that_is_too_long_for_its_pattern_is_a_fault() -> None:
    started = time.perf_counter()
    (fault,) = schema.errors({"type": "string", "pattern": r"^[^@]+@[^@]+\.[^@]+$"}, "a@" + "a." * 50_000 + "@")
    assert "too long" in fault.message
    assert time.perf_counter() - started < 1


def test_a_hostile_pattern_that_nobody_checked_does_not_freeze_us_either() -> None:
    (fault,) = schema.errors({"pattern": "^(a+)+$"}, "a" * 34 + "!")
    assert "cannot be used" in fault.message


def test_a_property_name_that_is_too_long_for_patterns_is_a_fault() -> None:
    (fault,) = schema.errors({"patternProperties": {"^.*a.*b$": {}}}, {"a" * 1_000: 1})
    assert "longer than 512" in fault.message


def test_many_unique_objects_are_compared_in_linear_time() -> None:
    unique = {"uniqueItems": True}
    items = [{"a": i, "b": [i]} for i in range(20_000)]
    started = time.perf_counter()
    assert schema.errors(unique, items) == []
    assert time.perf_counter() - started < 2  # each with each: minutes
    assert schema.errors(unique, [*items, {"b": [5.0], "a": 5}]) != []


class Visited(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.visits.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Visited)
    server.visits = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
def test_nothing_is_fetched_even_from_a_schema_that_nobody_checked(server: HTTPServer, keyword: str) -> None:
    url = f"http://127.0.0.1:{server.server_port}/schema.json"
    faults = schema.errors({keyword: url, "properties": {"a": {keyword: url}}}, {"a": 1})
    assert server.visits == []  # type: ignore[attr-defined]
    assert bool(faults) == (keyword in ("$ref", "$dynamicRef"))
    schema.check({keyword: url})
    assert server.visits == []  # type: ignore[attr-defined]


def test_no_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text('{"type": "integer"}', encoding="utf-8")
    (fault,) = schema.errors({"$ref": file.as_uri()}, "x")
    assert "cannot be used" in fault.message  # and not: is not of type 'integer'


# --- defaults ------------------------------------------------------------------------------------------------------


def test_defaults_fill_what_is_missing_in_nested_objects_and_lists() -> None:
    filled = {
        "properties": {
            "n": {"default": 3},
            "s": {"default": None},
            "o": {"properties": {"x": {"default": [1]}}},
            "l": {"items": {"properties": {"y": {"default": "d"}}}},
        }
    }
    assert schema.with_defaults(filled, {"o": {}, "l": [{}, {"y": 1}, 7]}) == {
        "n": 3,
        "s": None,
        "o": {"x": [1]},
        "l": [{"y": "d"}, {"y": 1}, 7],
    }


def test_defaults_come_through_local_references_and_all_of() -> None:
    filled = {
        "$defs": {"opts": {"properties": {"x": {"default": 1}}}, "a/b": {"properties": {"y": {"default": 2}}}},
        "properties": {"o": {"$ref": "#/$defs/opts"}},
        "allOf": [{"$ref": "#/$defs/a~1b"}, {"properties": {"z": {"default": 3}}}],
    }
    assert schema.with_defaults(filled, {"o": {}}) == {"o": {"x": 1}, "y": 2, "z": 3}


def test_a_value_that_is_given_wins_over_its_default_even_if_it_is_null() -> None:
    assert schema.with_defaults({"properties": {"n": {"default": 3}}}, {"n": None}) == {"n": None}


def test_the_instance_and_the_schema_stay_as_they_were() -> None:
    source: dict[str, Any] = {"properties": {"l": {"default": []}}}
    given: dict[str, Any] = {}
    schema.with_defaults(source, given)["l"].append(1)
    assert given == {}
    assert schema.with_defaults(source, {}) == {"l": []}


@pytest.mark.parametrize("value", [None, 3, "x", [1]])
def test_what_is_no_object_has_no_defaults(value: Any) -> None:
    assert schema.with_defaults({"properties": {"n": {"default": 3}}}, value) == value


def test_a_default_that_holds_its_own_schema_ends() -> None:
    endless = {"properties": {"a": {"$ref": "#", "default": {}}}, "allOf": [{"$ref": "#"}]}
    assert schema.with_defaults(endless, {}) == {"a": {}}
