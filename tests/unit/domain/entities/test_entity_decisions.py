"""Commands to a managed entity: what each does, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.entities.decisions import Changed, Command, Outcome, Unchanged, decide, event_of, same
from domain.entities.entity import Entity, EntityKind, default_kind
from domain.entities.folding import fold
from schemas.entities import (
    AddTag,
    AssignTo,
    ChangeStage,
    ChangeStatus,
    CreateActivity,
    EntityReference,
    RemoveTag,
    UpdateField,
)
from schemas.errors import Rejected
from tests.unit.domain.entities.changes import ENGINE, NOW, known, minutes

KIND = EntityKind("stage", "status", NOW)
TO = {"command_id": "c-1", "entity_type": "LEAD", "entity_id": "42"}


def ruled(entity: Entity | None, command: Command, **more: Any) -> Outcome:
    return decide(entity, command, KIND, ENGINE, minutes(1), **more)


@pytest.mark.parametrize(
    ("before", "command", "after", "named"),
    [
        ({}, UpdateField(**TO, field="score", value=5), {"score": 5}, "score"),
        ({"a": {"b": 1}}, UpdateField(**TO, field="a.c", value=[2]), {"a": {"b": 1, "c": [2]}}, "a.c"),
        ({"a.b": 1}, UpdateField(**TO, field="a.b", value=2), {"a.b": 2}, "a.b"),
        ({"a": 1}, UpdateField(**TO, field="a", value=True), {"a": True}, "a"),
        ({"a": 1}, UpdateField(**TO, field="a"), {"a": None}, "a"),
        ({"stage": "NEW"}, ChangeStage(**TO, stage="WON"), {"stage": "WON"}, "stage"),
        ({}, ChangeStatus(**TO, status="OPEN"), {"status": "OPEN"}, "status"),
        ({}, AddTag(**TO, tag="hot"), {"tags": ["hot"]}, "tags"),
        ({"tags": ["a", "hot"]}, RemoveTag(**TO, tag="hot"), {"tags": ["a"]}, "tags"),
        ({}, AssignTo(**TO, assignee_id="an"), {"assignedTo": "an"}, "assignedTo"),
    ],
)
def test_what_a_command_changes(before: dict[str, Any], command: Command, after: dict[str, Any], named: str) -> None:
    outcome = ruled(known(**before), command)
    assert isinstance(outcome, Changed)
    assert dict(outcome.after.values) == after
    assert outcome.changed_fields == (named,)


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ({"a": 1}, UpdateField(**TO, field="a", value=1)),
        ({"tags": ["hot"]}, AddTag(**TO, tag="hot")),
        ({}, RemoveTag(**TO, tag="hot")),
        ({"stage": "WON"}, ChangeStage(**TO, stage="WON")),
    ],
)
def test_an_entity_that_is_as_asked_does_not_change(before: dict[str, Any], command: Command) -> None:
    assert isinstance(ruled(known(**before), command), Unchanged)


@pytest.mark.parametrize(
    ("entity", "command", "code"),
    [
        (None, AddTag(**TO, tag="x"), "EntityNotFound"),
        (replace(known(), values={}, removed=True), AddTag(**TO, tag="x"), "EntityNotFound"),
        (known(tags="x"), AddTag(**TO, tag="x"), "InvalidField"),
        (known(a=1), UpdateField(**TO, field="a.b", value=1), "InvalidField"),
        (known(), UpdateField(**TO, field="a..b", value=1), "InvalidField"),
        (known(), CreateActivity(**TO, subject="Call"), "EntityExists"),
    ],
)
def test_what_is_refused(entity: Entity | None, command: Command, code: str) -> None:
    outcome = ruled(entity, command)
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


def test_a_stranger_and_an_erased_subject_change_nothing() -> None:
    command = AddTag(**TO, tag="x")
    stranger = decide(known(), command, KIND, replace(ENGINE, roles=frozenset({"agent"})), NOW)
    erased = ruled(known(), command, erased=True)
    assert isinstance(stranger, Rejected)
    assert isinstance(erased, Rejected)
    assert (stranger.code, erased.code) == ("PermissionDenied", "SubjectErased")


@pytest.mark.requirement("RU-1")
def test_an_activity_is_created_with_what_it_is_about() -> None:
    command = CreateActivity(
        command_id="c-1",
        entity_type="ACTIVITY",
        entity_id="a-1",
        subject="Call back",
        activity_type="CALL",
        due_date=minutes(60),
        related_to=EntityReference(entity_type="LEAD", entity_id="42"),
    )
    outcome = decide(None, command, replace(default_kind("ACTIVITY"), managed_since=NOW), ENGINE, NOW)
    assert isinstance(outcome, Changed)
    assert outcome.after.values == {
        "subject": "Call back",
        "activityType": "CALL",
        "dueDate": "2026-03-01T10:00:00.000000Z",
        "status": "OPEN",
        "relatedTo": {"entityType": "LEAD", "entityId": "42"},
    }
    event = event_of(outcome, ENGINE, "e-1")
    assert (event.change_type, event.source, event.entity_version, event.old_values) == ("CREATE", "WORKFLOW", 1, None)


@pytest.mark.requirement("RU-1")
def test_types_are_an_open_set_and_some_are_built_in() -> None:
    assert default_kind("LEAD").stage_field == "leadStatus"
    assert default_kind("OPPORTUNITY").stage_field == default_kind("SHIPMENT").stage_field == "stage"


COMMANDS = st.one_of(
    st.builds(
        lambda field, value: UpdateField(**TO, field=field, value=value), st.sampled_from(("a", "b.c", "tags")), st.integers()
    ),
    st.builds(lambda tag: AddTag(**TO, tag=tag), st.sampled_from("xyz")),
    st.builds(lambda tag: RemoveTag(**TO, tag=tag), st.sampled_from("xyz")),
    st.builds(lambda stage: ChangeStage(**TO, stage=stage), st.sampled_from(("NEW", "WON"))),
)


@given(st.lists(COMMANDS, max_size=12))
def test_our_events_carry_the_whole_entity_in_gapless_numbers(commands: list[Command]) -> None:
    """Any reader of the events alone ends where we are, and our own group finds nothing new in them."""
    entity, reader, numbers = known(a=0), known(a=0), []
    for command in commands:
        outcome = ruled(entity, command)
        if isinstance(outcome, Changed):
            entity, event = outcome.after, event_of(outcome, ENGINE, "e")
            numbers.append(entity.event_sequence)
            assert fold(entity, event) is None
            reader = fold(reader, event) or reader
    assert dict(reader.values) == dict(entity.values)
    assert numbers == list(range(1, len(numbers) + 1))


def test_equal_as_json() -> None:
    assert same({"a": [1, {"b": 2.0}]}, {"a": [1.0, {"b": 2}]})
    assert not same([True], [1])
    assert not same({"a": None}, {})
