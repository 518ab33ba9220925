"""Given a case, when a command comes, then this: the deciders alone, and a property over random histories."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.case import AUDIT_FIELDS, Case, CaseClass, taken_names
from domain.cases.composing import ROOM_FOR_NAMES, compose, names_in
from domain.cases.decisions import Circumstances, Decided, Outcome, Unchanged, decide_remove, decide_store
from domain.cases.documents import parse_document
from domain.cases.known_classes import known_classes
from domain.cases.mapping.model import ClassDefinition, MappingEntry
from domain.cases.masking import masked
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import Rejected
from schemas.registry import MAX_EVENT_BYTES

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
AN = Caller("north", "an", frozenset({"agent"}), "CRM_UI")
WORK = Circumstances(True, False, CaseClass("WorkObject"), ())


def command(**fields: Any) -> StoreSnapshot:
    return StoreSnapshot(**{"case_id": "c", "class_name": "Order", "subject_id": "s", "variables": "{}"} | fields)


def case(version: int = 3, *, removed: bool = False) -> Case:
    return Case("north", "c", "Order", "s", version, removed, NOW - timedelta(days=1), "bo", NOW - timedelta(hours=1), "bo")


def code(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected)
    return outcome.code


@pytest.mark.requirement("CD-1", "CD-2")
def test_a_first_snapshot_is_version_1_of_its_creator() -> None:
    outcome = decide_store(None, command(business_key="B"), AN, NOW, WORK)
    assert isinstance(outcome, Decided)
    assert (outcome.before, outcome.after.version, outcome.after.created_by) == (None, 1, "an")
    assert tuple(outcome.fields) == (*AUDIT_FIELDS, "caseInstanceId", "businessKey")


@pytest.mark.requirement("CD-1")
def test_a_later_one_keeps_the_creation_and_never_goes_back_in_time() -> None:
    outcome = decide_store(case(), command(), AN, NOW - timedelta(days=2), WORK)
    assert isinstance(outcome, Decided)
    assert (outcome.fields["startUserId"], outcome.fields["lastUpdateUserId"]) == ("bo", "an")
    assert outcome.after.updated_at == case().updated_at
    assert outcome.after.version == 4


@pytest.mark.parametrize(
    ("caller", "known", "change", "expected"),
    [
        ({"roles": frozenset({"viewer"})}, {"tenant_active": False}, {}, "PermissionDenied"),
        ({}, {"tenant_active": False, "case_class": None}, {}, "UnknownTenant"),
        ({}, {"case_class": None, "erased": True}, {}, "UnknownCaseClass"),
        ({}, {"variables": ("tenantId",), "erased": True}, {}, "DocumentRefused"),
        ({}, {"erased": True}, {"class_name": "Other"}, "SubjectErased"),
        ({}, {}, {"class_name": "Other", "subject_id": "x"}, "CaseClassFixed"),
        ({}, {}, {"subject_id": "x", "expected_version": 1}, "CaseSubjectFixed"),
        ({}, {}, {"expected_version": 1}, "ConflictState"),
    ],
)
def test_refusals_come_in_one_order(caller: Any, known: Any, change: Any, expected: str) -> None:
    from dataclasses import replace

    assert code(decide_store(case(), command(**change), replace(AN, **caller), NOW, replace(WORK, **known))) == expected


@pytest.mark.requirement("CD-1")
@pytest.mark.parametrize("kind", ["WorkObject", "ProcessObject", "DataObject"])
def test_a_variable_may_carry_no_name_of_its_kind(kind: Any) -> None:
    for name in taken_names(kind):
        known = Circumstances(True, False, CaseClass(kind), (name,))
        assert code(decide_store(None, command(), AN, NOW, known)) == "DocumentRefused"
    assert isinstance(decide_store(None, command(), AN, NOW, Circumstances(True, False, CaseClass(kind), ("x",))), Decided)


def test_a_removal_is_a_version_and_the_second_one_is_none() -> None:
    removal = RemoveCase(case_id="c", expected_version=3)
    outcome = decide_remove(case(), removal, AN, NOW, WORK)
    assert isinstance(outcome, Decided)
    assert (outcome.after.version, outcome.after.removed, outcome.variables) == (4, True, None)
    assert isinstance(decide_remove(case(removed=True), removal, AN, NOW, WORK), Unchanged)
    assert code(decide_remove(None, removal, AN, NOW, WORK)) == "CaseNotFound"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.requirement("CD-2")
@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in taken_names("WorkObject")), VALUES, max_size=5))
def test_every_document_holds_the_fields_and_exactly_the_variables(variables: dict[str, Any]) -> None:
    import json

    text = json.dumps(variables)
    names = names_in(text)
    assert not isinstance(names, Rejected)
    outcome = decide_store(None, command(variables=text), AN, NOW, Circumstances(True, False, CaseClass("WorkObject"), names))
    assert isinstance(outcome, Decided)
    composed = compose(outcome)
    assert not isinstance(composed, Rejected)
    assert composed.document is not None
    document = parse_document(composed.document)
    assert {name: value for name, value in document.items() if name not in outcome.fields} == parse_document(text.encode())


@pytest.mark.requirement("CD-2")
@given(st.lists(st.sampled_from(["store", "remove", "stale", "foreign"]), max_size=30))
def test_versions_are_gapless_whatever_comes(steps: list[str]) -> None:
    head: Case | None = None
    versions = []
    for number, step in enumerate(steps):
        at = NOW + timedelta(seconds=number)
        match step:
            case "store":
                outcome = decide_store(head, command(), AN, at, WORK)
            case "stale":
                outcome = decide_store(head, command(expected_version=10**6), AN, at, WORK)
            case "foreign":
                outcome = decide_store(head, command(subject_id="x" if head else "s"), AN, at, WORK)
            case _:
                outcome = decide_remove(head, RemoveCase(case_id="c"), AN, at, WORK)
        if isinstance(outcome, Decided):
            head = outcome.after
            versions.append(head.version)
    assert versions == list(range(1, len(versions) + 1))


def test_a_document_too_large_for_its_event_is_refused_before_it_is_sealed() -> None:
    outcome = decide_store(None, command(variables='{"a":"' + "x" * 650_000 + '"}'), AN, NOW, WORK)
    assert isinstance(outcome, Decided)
    refused = compose(outcome)
    assert isinstance(refused, Rejected)
    assert (refused.code, ROOM_FOR_NAMES < MAX_EVENT_BYTES) == ("SnapshotTooLarge", True)


def test_classes_are_known_by_their_place_in_the_tree() -> None:
    graph = {
        one.class_name: one
        for one in (
            ClassDefinition("FlowableObject", abstract=True),
            ClassDefinition("WorkObject", "FlowableObject", abstract=True),
            ClassDefinition("Ticket", "WorkObject", mappings=(MappingEntry("phone", "$.phone", sensitivity="mask"),)),
            ClassDefinition("Vip", "Ticket", mixins=("Note",)),
            ClassDefinition("Note", is_mixin=True, mappings=(MappingEntry("note", "$.note", sensitivity="encrypt"),)),
            ClassDefinition("Ring", "Loop"),
            ClassDefinition("Loop", "Ring"),
            ClassDefinition("Lost", "Nowhere"),
        )
    }
    known = known_classes(graph)
    assert known.keys() == {"Ticket", "Vip"}
    assert known["Vip"] == CaseClass("WorkObject", ("$.phone", "$.note"))


def test_a_child_that_wants_no_column_uncovers_nothing() -> None:
    """What an ancestor calls sensitive is in the child's documents too, whether or not the child has a column of it."""
    hidden = MappingEntry("PHONE", json_path="$.phone", sensitivity="mask")
    graph = {
        made.class_name: made
        for made in (
            ClassDefinition("FlowableObject", abstract=True),
            ClassDefinition("WorkObject", "FlowableObject", abstract=True),
            ClassDefinition("Contact", is_mixin=True, mappings=(hidden,)),
            ClassDefinition("Ticket", "WorkObject", ("Contact",)),
            ClassDefinition("Bare", "Ticket", mappings=(MappingEntry("PHONE", remove=True),)),
            ClassDefinition("Moved", "Ticket", mappings=(MappingEntry("PHONE", json_path="$.contact.phone"),)),
        )
    }
    known = known_classes(graph)
    assert {name: known[name].sensitive_paths for name in known} == dict.fromkeys(("Ticket", "Bare", "Moved"), ("$.phone",))


def test_masking_hides_what_the_paths_read_and_keeps_every_value() -> None:
    document = b'{"a": {"b": "secret"}, "list": [{"p": "x", "q": 1.10}], "n": 12345678901234567890123}'
    shown = masked(document, ("$.a.b", "$.list[*].p"))
    assert b"secret" not in shown
    assert b'"x"' not in shown
    assert b"1.1}" in shown
    assert b"12345678901234567890123" in shown
    assert b"1.1" not in masked(document, ("$..",))
    assert masked(document, ()) == document
