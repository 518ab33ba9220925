"""What a producer may send and what becomes of it: a message, or poison with a reason and, if possible, its event."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.shell.decoding import decode, poison
from processors.shell.messages import Message, Poison, Position, Record
from schemas.envelope import CloudEvent, to_headers
from schemas.errors import UndecodableMessage
from schemas.work_items import WorkItemAssigned

LIMIT = 4096
INTERESTS = {WorkItemAssigned.TYPE: WorkItemAssigned}
BODY = b'{"workItemId":"i1","version":2,"changedBy":"u1","changedAt":"2026-01-05T08:00:00Z","source":"CRM_UI"}'
EVENT = CloudEvent(
    "e1", "casestream", "WorkItemAssigned", "acme", data=BODY, partitionkey="acme|work_item|i1", subject="i1", sequence=2
)


def record(event: CloudEvent = EVENT, value: bytes | None = BODY, key: bytes | None = b"acme|work_item|i1") -> Record:
    return Record(Position("work-items.events.v1", 0, 7), key, value, tuple(to_headers(event)), 0)


def decoded(given: Record) -> Message | Poison:
    return decode(given, INTERESTS, LIMIT)


def test_a_right_record_is_a_message() -> None:
    message = decoded(record())
    assert isinstance(message, Message)
    assert isinstance(message.payload, WorkItemAssigned)


def test_a_type_without_interest_counts_and_is_not_parsed() -> None:
    message = decoded(record(replace(EVENT, type="WorkItemFieldsChanged"), b"{broken"))
    assert isinstance(message, Message)
    assert message.payload is None


@pytest.mark.requirement("SP-9")
@pytest.mark.parametrize(
    ("given_record", "reason", "numbered"),
    [
        (record(value=b"{broken"), "undecodable", True),
        (record(value=BODY.replace(b"i1", b"\xff1")), "undecodable", True),
        (record(value=BODY.replace(b"i1", b"a\\u0000")), "undecodable", True),
        (record(value=None), "undecodable", True),
        (record(value=BODY + b" " * LIMIT), "undecodable", True),
        (record(replace(EVENT, type="NeverHeardOf")), "unknown", True),
        (record(value=BODY.replace(b"{", b'{"schemaVersion":99,', 1)), "unknown", True),
        (record(key=b"acme|work_item|other"), "undecodable", False),
        (record(key=b"k" * 1025), "undecodable", False),
        (record(replace(EVENT, partitionkey=None, subject=None)), "undecodable", False),
        (replace(record(), headers=()), "undecodable", False),
        (replace(record(), headers=(("ce_id", b"\xff"),)), "undecodable", False),
    ],
)
def test_poison_says_why_and_keeps_the_number_that_can_be_trusted(given_record: Record, reason: str, numbered: bool) -> None:
    found = decoded(given_record)
    assert isinstance(found, Poison)
    assert found.reason.startswith(reason)
    assert (found.aggregate is not None) == numbered
    assert "i1" not in found.error.replace("work_item|i1", "")


def test_a_key_that_no_index_can_hold_orders_nothing() -> None:
    assert record(key=b"k" * 1025).order_key is None
    assert record(key=b"k" * 1024).order_key is not None


NAMES = ["ce_id", "ce_type", "ce_source", "CE_TENANT", "ce_sequence", "content-type"]
header_names = st.one_of(st.sampled_from(NAMES), st.text())


@given(
    st.one_of(st.none(), st.binary(max_size=64)),
    st.one_of(st.none(), st.binary(max_size=64), st.just(BODY)),
    st.lists(st.tuples(header_names, st.one_of(st.none(), st.binary(max_size=32))), max_size=6),
    st.booleans(),
)
def test_no_record_raises(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], real: bool) -> None:
    both = (*to_headers(EVENT), *headers) if real else tuple(headers)
    found = decode(Record(Position("t", 0, 0), key, value, tuple(both), 0), INTERESTS, LIMIT)
    assert isinstance(found, Message | Poison)


def test_a_foreign_exception_leaves_only_its_class() -> None:
    found = poison(record(), EVENT, ValueError("canary text of a row"))
    assert "canary" not in found.error
    assert found.reason == "error"


def test_equal_causes_share_a_fingerprint_and_other_causes_do_not() -> None:
    one, two = decoded(record(value=b"{")), decoded(record(value=b"["))
    other = poison(record(), None, UndecodableMessage("elsewhere"))
    assert isinstance(one, Poison)
    assert isinstance(two, Poison)
    assert one.fingerprint == two.fingerprint != other.fingerprint
