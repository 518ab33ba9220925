"""Every `delete` rule of the erasure registry has a purger, or a written reason why no subject is named there."""

import json

import pytest

from domain.keys.purge import identity_of, names_subject
from runtime.cli.purgers import PURGERS
from schemas.erasure import COLUMNS

# Rows that carry no subject's id: a shred cannot find them (docs/explanation/encryption-and-erasure.md).
WITHOUT_SUBJECT = {
    "public.users": "people of the house, not subjects of cases; the directory renames them",
    "public.work_items": "texts of work items name no subject",
    "public.work_item_state_history": "the same",
    "public.work_item_comments": "the same",
}


def purged(table: str) -> bool:
    return any(table.startswith(name) if name.endswith(".") else table == name for one in PURGERS for name in one.tables)


@pytest.mark.requirement("trap-80")
@pytest.mark.hole("erasure-catalogue")
def test_what_is_deleted_with_its_subject_has_a_purger() -> None:
    declared = {table for table, columns in COLUMNS.items() if "delete" in columns.values()}
    assert {table for table in declared if not purged(table)} == set(WITHOUT_SUBJECT)
    assert purged("projections.case_plain_order_case")


def test_a_purger_answers_for_tables_that_exist() -> None:
    for purger in PURGERS:
        for table in purger.tables:
            assert table.endswith(".") or table in COLUMNS, (purger.name, table)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (b'{"subjectId": "an"}', True),
        (b'{"data": {"subjectId": "an"}}', True),
        (b'{"subjectId": "\\u0061n"}', True),
        # Somebody else's record that mentions the person.
        (b'{"subjectId": "binh", "requestedBy": "an"}', False),
        (b'{"variables": "{\\"subjectId\\": \\"an\\"}"}', False),
        (b'["an"]', False),
        (b"null", False),
        # What nobody can read is taken for the subject's when it quotes the id.
        (b'{"subjectId": "an", ', True),
        (b'\xff"an"', True),
        (b"an, unquoted", False),
        (b"", False),
        (b"[" * 100_000, False),
    ],
)
def test_whose_a_record_is(value: bytes, named: bool) -> None:
    assert names_subject(value, "an") is named


def test_only_the_identity_of_a_structured_event_is_left() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "crm", "type": "T", "who": "An", "data": {"subjectId": "an"}}
    assert json.loads(identity_of(json.dumps(event).encode()) or b"") == {
        "specversion": "1.0", "id": "1", "source": "crm", "type": "T",
    }  # fmt: skip
    for other in (b'{"subjectId": "an"}', b"[]", b"broken {", b""):
        assert identity_of(other) is None
