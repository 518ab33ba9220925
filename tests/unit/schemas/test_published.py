"""The published language: files, topics, senders, and what a topic that is never erased may carry."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter, ValidationError

from runtime import schema_files
from schemas import published
from schemas.asyncapi import document
from schemas.envelope import CloudEvent
from schemas.errors import UndecodableMessage, UnknownMessageType
from schemas.registry import (
    FOR_EVER_MS,
    GROUPS,
    PROJECTION_VERSIONS,
    TOPICS,
    dead_letter_topics,
    dlt_topic,
)
from schemas.senders import sender
from schemas.types import MODELS, parse, places

TIME = "2026-01-02T03:04:05Z"
ASSIGNED = {
    "workItemId": "w",
    "version": 2,
    "changedBy": "u",
    "changedAt": TIME,
    "source": "KAFKA",
    "newAssigneeId": "v",
}


def event(data: object, kind: str = "WorkItemAssigned") -> CloudEvent:
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    return CloudEvent(id="e", source="s", type=kind, tenant="t", data=value)


@pytest.mark.requirement("SP-10")
def test_files_equal_the_code_and_read_everything_before() -> None:
    assert schema_files.problems() == []


@pytest.mark.requirement("SP-10")
def test_a_stale_a_foreign_and_a_missing_file_are_found(tmp_path: Path) -> None:
    schema_files.publish(tmp_path)
    assert schema_files.problems(tmp_path) == []
    (tmp_path / "ApplyAction.schema.json").write_text("{}")
    (tmp_path / "Foreign.schema.json").write_text("{}")
    (tmp_path / "asyncapi.json").unlink()
    assert schema_files.stale_files(tmp_path) == ["ApplyAction.schema.json", "Foreign.schema.json", "asyncapi.json"]
    schema_files.publish(tmp_path)
    assert schema_files.problems(tmp_path) == []


@pytest.mark.requirement("SP-10")
def test_a_reader_that_would_fail_on_the_history_is_found(tmp_path: Path) -> None:
    schema_files.publish(tmp_path)
    older = published.payload_schemas()["ApplyAction"]
    older["properties"]["note"] = {"type": "string", "maxLength": 100_000}
    first = tmp_path / "history" / "ApplyAction" / "1.schema.json"
    first.write_text(published.as_text(older))
    assert "ApplyAction: version 1: /note: maxLength tightened from 100000 to 4000" in schema_files.problems(tmp_path)
    assert schema_files.unpublished(tmp_path) == ["ApplyAction"]


def test_rendering_is_repeatable() -> None:
    assert published.render() == published.render()


@pytest.mark.requirement("SP-10")
def test_unknown_fields_are_ignored() -> None:
    assert "somethingNew" not in parse(event(ASSIGNED | {"somethingNew": {"a": 1}})).model_dump()


@pytest.mark.requirement("SP-10")
@pytest.mark.parametrize("kind", ["", "workitemassigned", "WorkItemAssigned2"])
def test_an_unknown_type_is_named_so(kind: str) -> None:
    with pytest.raises(UnknownMessageType):
        parse(event(ASSIGNED, kind))


@pytest.mark.requirement("SP-10")
def test_a_newer_schema_version_is_unknown_not_broken() -> None:
    with pytest.raises(UnknownMessageType, match="schema version 2"):
        parse(event(ASSIGNED | {"schemaVersion": 2}))
    with pytest.raises(UnknownMessageType, match="schema version 2"):
        parse(event({"schemaVersion": 2, "everything": "else"}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{",
        b"null",
        b"[]",
        b"[" * 5_000,
        b'{"workItemId": "\\ud800"}',
        ASSIGNED | {"workItemId": "a\0b"},
        ASSIGNED | {"workItemId": "a|b"},
        ASSIGNED | {"workItemId": "x" * 201},
        ASSIGNED | {"version": 2**63},
        ASSIGNED | {"version": 0},
        ASSIGNED | {"version": int("9" * 4_000)},
        ASSIGNED | {"changedAt": "2026-01-02T03:04:05"},
        ASSIGNED | {"changedAt": "0001-01-01T00:00:00+01:00"},
        ASSIGNED | {"changedAt": "9999-12-31T23:59:59-01:00"},
    ],
    ids=lambda data: repr(data)[-40:],
)
def test_broken_data_is_undecodable(data: object) -> None:
    with pytest.raises(UndecodableMessage):
        parse(event(data))


def test_a_tombstone_is_no_event() -> None:
    with pytest.raises(UndecodableMessage, match="tombstone"):
        parse(CloudEvent(id="e", source="s", type="WorkItemAssigned", tenant="t"))


def test_no_reason_quotes_the_data() -> None:
    with pytest.raises(UndecodableMessage) as raised:
        parse(event(ASSIGNED | {"source": "canary-4711"}))
    assert "canary" not in str(raised.value)
    assert "/source" in str(raised.value)


def test_no_reason_names_a_place_that_the_sender_named() -> None:
    """The key of an object is the sender's text, and a reason is kept in the parked message and the log."""
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[str, dict[str, int]]).validate_python({"Ann Example": {"changedBy": "x"}})
    assert places(raised.value) == "/?/changedBy int_parsing"


@pytest.mark.requirement("SP-11")
def test_the_documents_names_are_kept() -> None:
    assert "crm.entity.events" in TOPICS
    assert TOPICS["crm.entity.events"].types == ("EntityChangeEvent",)
    assert "crm.entity.events" in GROUPS["workflow-engine"].topics


@pytest.mark.hole("one-topic-one-writer")
def test_every_type_is_on_exactly_one_topic() -> None:
    spoken = [name for topic in TOPICS.values() for name in topic.types]
    assert sorted(spoken) == sorted(MODELS)


@pytest.mark.requirement("SP-6")
def test_what_a_projection_rebuilds_from_is_kept_for_ever() -> None:
    sources = {topic for _, _, topics in PROJECTION_VERSIONS.values() for topic in topics}
    assert sources
    assert all(TOPICS[name].retention_ms == FOR_EVER_MS for name in sources)


@pytest.mark.requirement("SP-4")
def test_every_group_has_dead_letter_topics_of_the_same_width() -> None:
    letters = {topic.name: topic for topic in dead_letter_topics()}
    for group in GROUPS.values():
        for name in group.topics:
            assert letters[dlt_topic(name, group.name)].partitions == TOPICS[name].partitions


def test_only_registered_internal_senders_are_internal() -> None:
    assert sender("casestream").internal
    assert sender("casestream#2").internal, "a restore gives a new incarnation, not another sender"
    assert not sender("casestream.import").internal
    assert not sender("Casestream").internal
    assert sender("anybody").roles == {"agent"}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    whole, files = document(), published.render()
    found = list(references(whole))
    assert found
    for reference in found:
        if reference.startswith("./"):
            assert reference[2:] in files
        else:
            part = whole
            for name in reference.removeprefix("#/").split("/"):
                part = part[name]


def test_the_asyncapi_document_names_every_topic_group_and_type() -> None:
    whole = document()
    assert whole["channels"].keys() == {*TOPICS, *(topic.name for topic in dead_letter_topics())}
    assert whole["components"]["messages"].keys() == MODELS.keys()
    receivers = [each["bindings"]["kafka"]["groupId"]["enum"][0] for each in whole["operations"].values() if "bindings" in each]
    assert set(receivers) == set(GROUPS)
    for topic in TOPICS.values():
        kafka = whole["channels"][topic.name]["bindings"]["kafka"]
        assert kafka["bindingVersion"] == "0.4.0"
        assert kafka["topicConfiguration"]["retention.ms"] == topic.retention_ms


ANY_TEXT = "^[^\\x00]*$"


def free_text(schema: Any, place: str = "", definitions: Any = None) -> Iterator[str]:
    """Places where a schema admits text that nobody bounded: no enum, no format, no narrow pattern; or anything at all."""
    shared = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        yield from free_text(shared[schema["$ref"].rpartition("/")[2]], place, shared)
        return
    if "enum" in schema or "const" in schema or schema.get("format") == "date-time":
        return
    for branch in schema.get("anyOf", ()):
        yield from free_text(branch, place, shared)
    kind = schema.get("type")
    if kind == "string" and (schema.get("maxLength", 10_000) > 512 or schema.get("pattern", ANY_TEXT) == ANY_TEXT):
        yield place
    if kind == "array":
        yield from free_text(schema.get("items", {}), f"{place}/*", shared)
    if kind == "object":
        if "additionalProperties" in schema or "properties" not in schema:
            yield f"{place}/<any>"
        for name, item in schema.get("properties", {}).items():
            yield from free_text(item, f"{place}/{name}", shared)
    if kind is None and "anyOf" not in schema:
        yield place


@pytest.mark.hole("erasure-catalogue")
def test_a_topic_that_is_never_erased_carries_no_free_text() -> None:
    for topic in TOPICS.values():
        if topic.erasure == "none":
            for name in topic.types:
                assert list(free_text(published.payload_schemas()[name])) == [], name


@pytest.mark.hole("erasure-catalogue")
@pytest.mark.parametrize(
    "field",
    [{"type": "string"}, {"type": "string", "maxLength": 500}, {"type": "object"}, {}, {"type": "array"}]
    + [{"anyOf": [{"type": "string", "maxLength": 4_000, "pattern": "^[^\\x00]*$"}, {"type": "null"}]}],
)
def test_the_search_for_free_text_finds_it(field: dict[str, Any]) -> None:
    schema = copy.deepcopy(published.payload_schemas()["WorkItemAssigned"])
    schema["properties"]["note"] = field
    assert any(place.startswith("/note") for place in free_text(schema))
    assert list(free_text(published.payload_schemas()["CreateWorkItem"])) == ["/title", "/description", "/note"]


@pytest.mark.requirement("WF-11")
def test_every_default_of_the_flow_format_is_what_a_file_could_say() -> None:
    schema = published.flow_schema()
    parts = [schema, *schema["$defs"].values()]
    told = [one for part in parts for one in part["properties"].values() if one.get("default") is not None]
    assert len(told) > 10
    for one in told:
        jsonschema_rs.validate({**one, "$defs": schema["$defs"]}, one["default"])
