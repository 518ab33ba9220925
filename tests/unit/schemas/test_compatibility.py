"""BACKWARD_TRANSITIVE: each kind of change, allowed or refused, and the proof by random schemas and values."""

import copy
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.compatibility import judge, problems

Schema = dict[str, Any]

OLD: Schema = {
    "title": "Event",
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[a-z]+$"},
        "status": {"type": "string", "enum": ["open", "closed"]},
        "kind": {"const": "a"},
        "note": {"anyOf": [{"type": "string", "maxLength": 100}, {"type": "null"}], "default": None},
        "count": {"type": "integer", "minimum": 0, "maximum": 10},
        "ratio": {"type": "number"},
        "at": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 5},
        "values": {"type": "object", "additionalProperties": True},
        "numbers": {"type": "object", "additionalProperties": {"type": "integer"}},
        "coupling": {"type": "string", "enum": ["strong", "loose"], "default": "strong"},
        "inner": {"$ref": "#/$defs/Inner"},
    },
    "required": ["id", "status", "at"],
    "$defs": {"Inner": {"type": "object", "properties": {"x": {"type": "integer"}, "next": {"$ref": "#/$defs/Inner"}}}},
}


def changed(change: Callable[[Schema], object]) -> Schema:
    new = copy.deepcopy(OLD)
    change(new)
    return new


def prop(name: str, **keywords: Any) -> Schema:
    return changed(lambda new: new["properties"][name].update(keywords))


def without(name: str, keyword: str) -> Schema:
    return changed(lambda new: new["properties"][name].pop(keyword))


def replaced(name: str, schema: Any) -> Schema:
    return changed(lambda new: new["properties"].update({name: schema}))


ALLOWED = {
    "nothing": changed(lambda new: None),
    "a field removed": changed(lambda new: new["properties"].pop("ratio")),
    "a required field removed": changed(lambda new: (new["properties"].pop("status"), new["required"].remove("status"))),
    "an optional field added": replaced("added", {"type": "string", "default": ""}),
    "a required field made optional": changed(lambda new: new["required"].remove("id")),
    "a type widened to number": prop("count", type="number"),
    "a type widened to null": replaced("ratio", {"anyOf": [{"type": "number"}, {"type": "null"}]}),
    "types in a list": prop("ratio", type=["number", "null"]),
    "an enum value added": prop("status", enum=["open", "closed", "archived"]),
    "an enum became any text": replaced("status", {"type": "string", "maxLength": 10}),
    "a constant became an enum": replaced("kind", {"enum": ["a", "b"]}),
    "a bound loosened": prop("id", maxLength=300, minLength=0),
    "a bound removed": without("count", "maximum"),
    "a pattern removed": without("id", "pattern"),
    "a format removed": without("at", "format"),
    "items loosened": prop("tags", items={"type": "string"}),
    "anything goes": replaced("tags", True),
    "a nullable's text loosened": prop("note", anyOf=[{"type": "null"}, {"type": "string"}]),
    "another description": changed(lambda new: new.update(description="new", title="new")),
    "a bound on a type it does not concern": prop("ratio", maxLength=5),
}

REFUSED = {
    "a new required field": (
        changed(lambda new: (new["properties"].update(added={"type": "string"}), new["required"].append("added"))),
        "/added: required",
    ),
    "an optional field made required": (changed(lambda new: new["required"].append("ratio")), "/ratio: required"),
    "a type narrowed": (prop("ratio", type="integer"), "/ratio: type narrowed"),
    "a type replaced": (replaced("count", {"type": "string"}), "/count: type narrowed"),
    "null refused": (replaced("note", {"type": "string", "maxLength": 100}), "/note: type narrowed, null"),
    "a type spoken out where there was none": (replaced("values", {"type": "array"}), "/values: type narrowed"),
    "an enum value removed": (prop("status", enum=["open"]), "'closed' is refused"),
    "an enum value renamed": (prop("status", enum=["open", "Closed"]), "'closed' is refused"),
    "a constant replaced": (replaced("kind", {"const": "b"}), "'a' is refused"),
    "a text became an enum": (prop("at", enum=["2026"]), "/at: any value became a fixed list"),
    "maxLength tightened": (prop("id", maxLength=199), "/id: maxLength tightened from 200 to 199"),
    "minLength tightened": (prop("id", minLength=2), "/id: minLength tightened"),
    "maximum tightened": (prop("count", maximum=9), "/count: maximum tightened"),
    "minimum tightened": (prop("count", minimum=1), "/count: minimum tightened"),
    "an exclusive bound added": (prop("count", exclusiveMaximum=10), "/count: exclusiveMaximum tightened from nothing"),
    "maxItems tightened": (prop("tags", maxItems=4), "/tags: maxItems tightened"),
    "maxProperties added": (prop("values", maxProperties=3), "/values: maxProperties tightened"),
    "a pattern added": (prop("at", pattern="Z$"), "/at: pattern changed"),
    "a pattern changed": (prop("id", pattern="^[a-y]+$"), "/id: pattern changed"),
    "a format added": (prop("id", format="uuid"), "/id: format changed"),
    "an enum value that fails a new pattern": (
        replaced("status", {"type": "string", "pattern": "^o"}),
        "value 'closed' is refused",
    ),
    "items narrowed": (prop("tags", items={"type": "string", "maxLength": 19}), "/tags/*: maxLength tightened"),
    "a nullable's text tightened": (
        prop("note", anyOf=[{"type": "string", "maxLength": 99}, {"type": "null"}]),
        "/note: maxLength tightened from 100 to 99",
    ),
    "a map's values narrowed": (prop("numbers", additionalProperties={"type": "boolean"}), "/numbers/<any>: type narrowed"),
    "a name of a map got a type": (prop("numbers", properties={"a": {"type": "string"}}), "/numbers/a: type narrowed"),
    "closed content": (changed(lambda new: new.update(additionalProperties=False)), "/: closed"),
    "closed content inside": (prop("values", additionalProperties=False), "/values: closed"),
    "a definition narrowed": (
        changed(lambda new: new["$defs"]["Inner"]["properties"].update(x={"type": "boolean"})),
        "/inner/x: type narrowed",
    ),
    "no value at all": (replaced("tags", False), "/tags: no value"),
    "a default changed": (prop("coupling", default="loose"), "default changed from 'strong' to 'loose'"),
    "a keyword beyond these rules": (prop("tags", uniqueItems=True), "/tags: uniqueItems changed"),
    "a keyword beside a union": (prop("note", maxLength=5), "/note: maxLength changed"),
}


@pytest.mark.requirement("SP-10")
@pytest.mark.parametrize("name", ALLOWED)
def test_an_old_event_stays_readable(name: str) -> None:
    assert problems(ALLOWED[name], OLD) == []


@pytest.mark.requirement("SP-10")
@pytest.mark.parametrize("name", REFUSED)
def test_a_breaking_change_is_refused(name: str) -> None:
    new, line = REFUSED[name]
    found = problems(new, OLD)
    assert any(line in problem for problem in found), found


def test_a_change_is_judged_against_every_version_not_the_last() -> None:
    """Version 2 dropped a field, so the step from 2 to 3 alone looks harmless; version 1 wrote text there."""
    first: Schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    second: Schema = {"type": "object", "properties": {}}
    third: Schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    assert problems(third, second) == []
    assert judge({"T": third}, {"T": {1: first, 2: second}}) == ["T: version 1: /x: type narrowed, string is refused now"]


def test_a_vanished_type_and_a_hole_in_the_history_are_reported() -> None:
    schema: Schema = {"type": "object"}
    assert judge({}, {"T": {1: schema}})[0].startswith("T: the type is gone")
    assert "expected 1, 2, 3" in judge({"T": schema}, {"T": {2: schema}})[0]


scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, -1.5]), st.text("ab", max_size=3))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner), max_leaves=5
)
bounds = st.integers(-2, 3)
leaf_schemas = st.one_of(
    st.just({}),
    st.booleans(),
    st.fixed_dictionaries({"type": st.sampled_from(["null", "boolean", "integer", "number", "string"])}),
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"minimum": bounds, "exclusiveMaximum": bounds}),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": st.integers(0, 2), "maxLength": st.integers(0, 3), "pattern": st.sampled_from(["^a", "b$"])},
    ),
    st.fixed_dictionaries({"enum": st.lists(scalars, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": scalars}),
)
schemas = st.recursive(
    leaf_schemas,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"type": st.just("array")}, optional={"items": inner, "maxItems": st.integers(0, 3)}),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(st.sampled_from("xy"), inner),
                "required": st.lists(st.sampled_from("xy"), unique=True),
                "additionalProperties": inner | st.booleans(),
            },
        ),
    ),
    max_leaves=6,
)


def written_by(schema: Any, value: Any) -> bool:
    """Our writers add no field that their model lacks, except in a map: then an old event is one of the old schema."""
    if isinstance(schema, dict) and isinstance(value, dict):
        known = schema.get("properties", {})
        if "additionalProperties" not in schema and not value.keys() <= known.keys():
            return False
    return True


@pytest.mark.requirement("SP-10")
@given(schemas, schemas, values)
def test_what_is_called_compatible_is_compatible(new: Any, old: Any, value: Any) -> None:
    assume(jsonschema_rs.is_valid(old, value) and not nested_models(old))
    assume(written_by(old, value))
    if not problems(new, old):
        assert jsonschema_rs.is_valid(new, value)


def nested_models(schema: Any) -> bool:
    """Whether an open model lies below the top: `written_by` looks at the top only."""
    if not isinstance(schema, dict):
        return False
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    parts += [schema[name] for name in ("items", "additionalProperties") if name in schema]
    return any(accepts_open_object(part) or nested_models(part) for part in parts)


def accepts_open_object(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object" and "additionalProperties" not in schema


@given(schemas)
def test_a_schema_reads_itself(schema: Any) -> None:
    # The safe side refuses closed content and `false` even unchanged: they were never published.
    assume("False" not in repr(schema))
    assert problems(schema, schema) == []
