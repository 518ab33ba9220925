"""Vectors of the envelope: what a broker may hand us, and what we make of it."""

import base64
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import MAX_CAUSATION, CloudEvent, from_kafka, to_headers
from schemas.errors import UndecodableMessage
from schemas.instants import format_time

Header = tuple[str, bytes | None]
BASE = {"ce_specversion": "1.0", "ce_id": "e1", "ce_source": "crm", "ce_type": "T", "ce_tenant": "t1"}
DOCUMENT = {"specversion": "1.0", "id": "e1", "source": "crm", "type": "T", "tenant": "t1"}
STRUCTURED = "application/cloudevents+json"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def binary(changes: Mapping[str, str | None] | None = None, *more: Header) -> list[Header]:
    """BASE with some headers changed (None: left out), then further headers as they are."""
    named: dict[str, str | None] = {**BASE, **(changes or {})}
    return [(name, value.encode()) for name, value in named.items() if value is not None] + list(more)


def structured(document: object, content_type: str = STRUCTURED, *more: Header) -> tuple[bytes, list[Header]]:
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return value, [("content-type", content_type.encode()), *more]


# name: headers, expected fields of the event
READ_BINARY: dict[str, tuple[list[Header], dict[str, Any]]] = {
    "the four required and a tenant": (
        binary(),
        {"id": "e1", "source": "crm", "type": "T", "tenant": "t1", "data": b"{}"},
    ),
    "upper case header names": ([(name.upper(), value) for name, value in binary()], {"id": "e1"}),
    "mixed case header names": ([(name.title(), value) for name, value in binary()], {"id": "e1"}),
    "content type in any case": (binary({"Content-Type": "application/json"}), {"content_type": "application/json"}),
    "no content type means JSON": (binary(), {"content_type": "application/json"}),
    "a charset is kept": (binary({"content-type": "application/json; charset=utf-8"}), {"id": "e1"}),
    "time with Z": (binary({"ce_time": "2026-01-02T03:04:05Z"}), {"time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
    "time with an offset": (
        binary({"ce_time": "2026-01-02T03:04:05+07:00"}),
        {"time": datetime(2026, 1, 1, 20, 4, 5, tzinfo=UTC)},
    ),
    "time with small letters": (
        binary({"ce_time": "2026-01-02t03:04:05z"}),
        {"time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)},
    ),
    "time with nanoseconds": (
        binary({"ce_time": "2026-01-02T03:04:05.123456789Z"}),
        {"time": datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)},
    ),
    "empty time is none": (binary({"ce_time": ""}), {"time": None}),
    "padded sequence": (binary({"ce_sequence": "00000000000000000042"}), {"sequence": 42}),
    "bare sequence": (binary({"ce_sequence": "42"}), {"sequence": 42}),
    "largest sequence": (binary({"ce_sequence": str(2**63 - 1)}), {"sequence": 2**63 - 1}),
    "causation chain": (binary({"ce_causation": "a,b"}), {"causation": ("a", "b")}),
    "longest causation chain": (
        binary({"ce_causation": ",".join("x" * MAX_CAUSATION)}),
        {"causation": ("x",) * MAX_CAUSATION},
    ),
    "trace context": (binary({"traceparent": TRACE}), {"traceparent": TRACE}),
    "broken trace context starts anew": (binary({"traceparent": "no"}), {"traceparent": None}),
    "trace context with a newline starts anew": (binary({"traceparent": TRACE + "\n"}), {"traceparent": None}),
    "trace context of zeros starts anew": (
        binary({"traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}),
        {"traceparent": None},
    ),
    "trace context of version ff starts anew": (binary({"traceparent": "ff" + TRACE[2:]}), {"traceparent": None}),
    "trace context that is not UTF-8 starts anew": (binary({}, ("traceparent", b"\xff\xfe")), {"traceparent": None}),
    "two trace contexts: the last hop holds": (
        binary({"traceparent": TRACE}, ("traceparent", TRACE.replace("b7", "c8").encode())),
        {"traceparent": TRACE.replace("b7", "c8")},
    ),
    "a header repeated with the same value": (binary({}, ("ce_id", b"e1")), {"id": "e1"}),
    "a null header is absent": (binary({}, ("ce_subject", None)), {"subject": None}),
    "foreign headers may be anything": (
        binary({}, ("x", b"\xff"), ("x", None), ("", b""), ("b3", b"\x00")),
        {"id": "e1"},
    ),
    "an unknown extension may be anything": (binary({}, ("ce_comexample", b"\xff" * 10_000)), {"id": "e1"}),
    "text beyond ASCII": (binary({"ce_subject": "Đơn hàng ✓"}), {"subject": "Đơn hàng ✓"}),
    "512 bytes fit": (binary({"ce_id": "x" * 512}), {"id": "x" * 512}),
    "every sign of a tenant": (binary({"ce_tenant": "A0_b-c.d"}), {"tenant": "A0_b-c.d"}),
    "64 signs of a tenant": (binary({"ce_tenant": "t" * 64}), {"tenant": "t" * 64}),
    "ce_datacontenttype does not switch the mode": (
        binary({"ce_datacontenttype": STRUCTURED}),
        {"data": b"{}", "id": "e1"},
    ),
}

# name: headers, a word of the reason
REFUSED_BINARY: dict[str, tuple[list[Header], str]] = {
    "no headers at all": ([], "no CloudEvent"),
    "only foreign headers": ([("id", b"e1"), ("specversion", b"1.0")], "no CloudEvent"),
    "only a content type": ([("content-type", b"application/json")], "no CloudEvent"),
    "no specversion": (binary({"ce_specversion": None}), "no CloudEvent"),
    "specversion 0.3": (binary({"ce_specversion": "0.3"}), "specversion"),
    "specversion 1.0.2": (binary({"ce_specversion": "1.0.2"}), "specversion"),
    "specversion with a space": (binary({"ce_specversion": "1.0 "}), "specversion"),
    "empty specversion": (binary({"ce_specversion": ""}), "specversion"),
    **{f"no {name}": (binary({f"ce_{name}": None}), name) for name in ("id", "source", "type", "tenant")},
    **{f"empty {name}": (binary({f"ce_{name}": ""}), name) for name in ("id", "source", "type", "tenant")},
    "a null id": (binary({"ce_id": None}, ("ce_id", None)), "id"),
    "an id twice": (binary({}, ("ce_id", b"e2")), "twice"),
    "an id twice in other case": (binary({}, ("CE_ID", b"e2")), "twice"),
    "a tenant twice": (binary({}, ("Ce_Tenant", b"t2")), "twice"),
    "a content type twice": (
        binary({"content-type": "application/json"}, ("Content-Type", STRUCTURED.encode())),
        "twice",
    ),
    "an id that is not UTF-8": (binary({"ce_id": None}, ("ce_id", b"\xff")), "UTF-8"),
    "a lone surrogate in UTF-8": (binary({}, ("ce_subject", b"\xed\xa0\x80")), "UTF-8"),
    "an overlong UTF-8 form": (binary({}, ("ce_subject", b"\xc0\xaf")), "UTF-8"),
    "NUL in the id": (binary({"ce_id": "a\0b"}), "control"),
    "a newline in the source": (binary({"ce_source": "a\nb"}), "control"),
    "DEL in the subject": (binary({"ce_subject": "a\x7fb"}), "control"),
    "a C1 control in the type": (binary({"ce_type": "a\x85b"}), "control"),
    "a huge id": (binary({"ce_id": "x" * 1_000_000}), "512"),
    "513 bytes": (binary({"ce_source": "x" * 513}), "512"),
    "few characters, many bytes": (binary({"ce_source": "✓" * 200}), "512"),
    "a huge partition key": (binary({"ce_partitionkey": "x" * 5_000}), "512"),
    "a huge content type": (binary({"content-type": "x" * 5_000}), "512"),
    "a tenant with a quote": (binary({"ce_tenant": "t'1"}), "tenant"),
    "a tenant with a brace": (binary({"ce_tenant": "{t1,t2}"}), "tenant"),
    "a tenant with a newline": (binary({"ce_tenant": "t1\n"}), "tenant"),
    "a tenant that begins with a dot": (binary({"ce_tenant": ".t"}), "tenant"),
    "65 signs of a tenant": (binary({"ce_tenant": "t" * 65}), "tenant"),
    "a tenant beyond ASCII": (binary({"ce_tenant": "đ"}), "tenant"),
    "time without a zone": (binary({"ce_time": "2026-01-02T03:04:05"}), "time"),
    "a date": (binary({"ce_time": "2026-01-02"}), "time"),
    "a week date": (binary({"ce_time": "2026-W01-1T00:00:00Z"}), "time"),
    "a basic format": (binary({"ce_time": "20260102T030405Z"}), "time"),
    "seconds since 1970": (binary({"ce_time": "1767322845"}), "time"),
    "the 30th of February": (binary({"ce_time": "2026-02-30T00:00:00Z"}), "time"),
    "an offset of 99 hours": (binary({"ce_time": "2026-01-02T03:04:05+99:00"}), "time"),
    "a UTC before year 1": (binary({"ce_time": "0001-01-01T00:00:00+01:00"}), "time"),
    "a UTC after year 9999": (binary({"ce_time": "9999-12-31T23:59:59-01:00"}), "time"),
    "digits of another script in time": (binary({"ce_time": "२०२६-01-02T03:04:05Z"}), "time"),
    "a huge time": (binary({"ce_time": "2026-01-02T03:04:05." + "1" * 100_000 + "Z"}), "time"),
    "sequence 0": (binary({"ce_sequence": "0"}), "sequence"),
    "negative sequence": (binary({"ce_sequence": "-1"}), "sequence"),
    "sequence 2^63": (binary({"ce_sequence": str(2**63)}), "sequence"),
    "sequence with a sign": (binary({"ce_sequence": "+1"}), "sequence"),
    "sequence with a space": (binary({"ce_sequence": " 1"}), "sequence"),
    "sequence with an underscore": (binary({"ce_sequence": "1_0"}), "sequence"),
    "sequence in another script": (binary({"ce_sequence": "४२"}), "sequence"),
    "sequence of superscripts": (binary({"ce_sequence": "²"}), "sequence"),
    "sequence of 6,000 digits": (binary({"ce_sequence": "0" * 30 + "1" * 5_970}), "sequence"),
    "causation with an empty link": (binary({"ce_causation": "a,,b"}), "causation"),
    "causation with a control": (binary({"ce_causation": "a,\0"}), "causation"),
    "causation too long": (binary({"ce_causation": ",".join("x" * (MAX_CAUSATION + 1))}), "causation"),
    "causation of a megabyte": (binary({"ce_causation": "x" * 1_000_000}), "causation"),
}

# name: value, headers, expected fields
READ_STRUCTURED: dict[str, tuple[bytes | None, list[Header], dict[str, Any]]] = {
    "without data": (*structured(DOCUMENT), {"id": "e1", "tenant": "t1", "data": None}),
    "data null": (*structured(DOCUMENT | {"data": None}), {"data": None}),
    "data": (*structured(b'{"data": {"a" :1}, ' + json.dumps(DOCUMENT).encode()[1:]), {"data": b'{"a" :1}'}),
    "data false": (*structured(DOCUMENT | {"data": False}), {"data": b"false"}),
    "data of digits that a float would lose": (
        *structured(json.dumps(DOCUMENT).encode()[:-1] + b', "data": {"x": 1.10, "y": 18446744073709551616}}'),
        {"data": b'{"x": 1.10, "y": 18446744073709551616}'},
    ),
    "base64": (*structured(DOCUMENT | {"data_base64": base64.b64encode(b'{"a":1}').decode()}), {"data": b'{"a":1}'}),
    "null attributes are absent": (
        *structured(DOCUMENT | {"subject": None, "time": None}),
        {"subject": None, "time": None},
    ),
    "media type in any case": (*structured(DOCUMENT, "Application/CloudEvents+JSON; charset=UTF-8"), {"id": "e1"}),
    "media type without a format": (*structured(DOCUMENT, "application/cloudevents"), {"id": "e1"}),
    "blanks around everything": (
        *structured(b" \r\n\t" + json.dumps(DOCUMENT, indent=2).encode() + b"\n"),
        {"id": "e1"},
    ),
    "escaped names": (*structured(json.dumps(DOCUMENT).encode().replace(b'"id"', b'"\\u0069d"')), {"id": "e1"}),
    "ce_ headers beside it say nothing": (*structured(DOCUMENT, STRUCTURED, *binary({"ce_id": "other"})), {"id": "e1"}),
    "broken ce_ lengths beside it say nothing": (
        *structured(DOCUMENT, STRUCTURED, ("ce_source", b"x" * 9_000)),
        {"source": "crm"},
    ),
    "a number as sequence": (*structured(DOCUMENT | {"sequence": 7}), {"sequence": 7}),
    "text as sequence": (*structured(DOCUMENT | {"sequence": "7"}), {"sequence": 7}),
    "unknown extensions of any type": (*structured(DOCUMENT | {"a": True, "b": 1, "c": {}, "d": []}), {"id": "e1"}),
    "names are case sensitive": (*structured(DOCUMENT | {"ID": "other"}), {"id": "e1"}),
    "the record's trace context": (
        *structured(DOCUMENT, STRUCTURED, ("traceparent", TRACE.encode())),
        {"traceparent": TRACE},
    ),
    "the event's own trace context first": (
        *structured(DOCUMENT | {"traceparent": TRACE}, STRUCTURED, ("traceparent", TRACE.replace("b7", "c8").encode())),
        {"traceparent": TRACE},
    ),
    "data content type": (
        *structured(DOCUMENT | {"datacontenttype": "text/plain", "data": "x"}),
        {"content_type": "text/plain"},
    ),
}

REFUSED_STRUCTURED: dict[str, tuple[bytes | None, list[Header], str]] = {
    "no value": (None, [("content-type", STRUCTURED.encode())], "needs a value"),
    "an empty value": (*structured(b""), "JSON"),
    "broken JSON": (*structured(b"{"), "JSON"),
    "no UTF-8": (*structured(b'{"id": "\xff"}'), "JSON"),
    "a byte order mark": (*structured(b"\xef\xbb\xbf" + json.dumps(DOCUMENT).encode()), "JSON"),
    "a lone surrogate": (*structured(json.dumps(DOCUMENT).encode()[:-1] + b', "data": "\\ud800"}'), "JSON"),
    "NaN": (*structured(json.dumps(DOCUMENT).encode()[:-1] + b', "data": NaN}'), "JSON"),
    "two documents": (*structured(b"{}{}"), "JSON"),
    "nested too deep": (
        *structured(json.dumps(DOCUMENT).encode()[:-1] + b', "data": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
        "deep",
    ),
    "an array": (*structured(b"[]"), "object"),
    "a batch": (*structured(b"[{}]", "application/cloudevents-batch+json"), "JSON only"),
    "another format": (*structured(b"\x00", "application/cloudevents+avro"), "JSON only"),
    "no specversion": (*structured({"id": "e1"}), "specversion"),
    "specversion as a number": (*structured(DOCUMENT | {"specversion": 1.0}), "specversion"),
    "id as a number": (*structured(DOCUMENT | {"id": 7}), "id must be text"),
    "source as a list": (*structured(DOCUMENT | {"source": ["crm"]}), "source must be text"),
    "sequence as a boolean": (*structured(DOCUMENT | {"sequence": True}), "sequence"),
    "sequence as a fraction": (*structured(DOCUMENT | {"sequence": 1.5}), "sequence"),
    "NUL in the id": (*structured(DOCUMENT | {"id": "a\0"}), "control"),
    "id twice": (*structured(json.dumps(DOCUMENT).encode()[:-1] + b', "id": "e2"}'), "twice"),
    "id twice, once escaped": (*structured(json.dumps(DOCUMENT).encode()[:-1] + b', "\\u0069d": "e2"}'), "twice"),
    "data in both forms": (*structured(DOCUMENT | {"data": 1, "data_base64": "e30="}), "one of them"),
    "broken base64": (*structured(DOCUMENT | {"data_base64": "e30"}), "base64"),
    "base64 of a wrong type": (*structured(DOCUMENT | {"data_base64": 5}), "base64"),
    "required attribute null": (*structured(DOCUMENT | {"tenant": None}), "tenant"),
    "only in the headers": (*structured({"specversion": "1.0"}, STRUCTURED, *binary()), "id"),
}


def fields(event: CloudEvent, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(event, name) for name in names}


@pytest.mark.requirement("SP-10")
@pytest.mark.parametrize("name", READ_BINARY)
def test_binary_mode_is_read(name: str) -> None:
    headers, expected = READ_BINARY[name]
    assert fields(from_kafka(b"{}", headers), expected) == expected


@pytest.mark.requirement("SP-10", "SP-8")
@pytest.mark.parametrize("name", REFUSED_BINARY)
def test_a_broken_binary_event_is_undecodable(name: str) -> None:
    headers, reason = REFUSED_BINARY[name]
    with pytest.raises(UndecodableMessage, match=reason):
        from_kafka(b"{}", headers)


@pytest.mark.requirement("SP-10")
@pytest.mark.parametrize("name", READ_STRUCTURED)
def test_structured_mode_is_read(name: str) -> None:
    value, headers, expected = READ_STRUCTURED[name]
    assert fields(from_kafka(value, headers), expected) == expected


@pytest.mark.requirement("SP-10", "SP-8")
@pytest.mark.parametrize("name", REFUSED_STRUCTURED)
def test_a_broken_structured_event_is_undecodable(name: str) -> None:
    value, headers, reason = REFUSED_STRUCTURED[name]
    with pytest.raises(UndecodableMessage, match=reason):
        from_kafka(value, headers)


def test_a_null_value_is_a_tombstone_in_binary_mode() -> None:
    assert from_kafka(None, binary()).data is None
    assert from_kafka(b"", binary()).data == b""


def test_no_reason_quotes_what_was_sent() -> None:
    canary = "canary-4711"
    for headers in (binary({"ce_id": canary + "\0"}), binary({"ce_tenant": canary + "'"}), binary({"ce_time": canary})):
        with pytest.raises(UndecodableMessage) as raised:
            from_kafka(canary.encode(), headers)
        assert canary not in str(raised.value)
    with pytest.raises(UndecodableMessage) as raised:
        from_kafka(*structured(json.dumps(DOCUMENT).encode()[:-1] + b', "' + canary.encode() + b'": '))
    assert canary not in str(raised.value)


def test_there_are_at_least_sixty_vectors() -> None:
    assert len(READ_BINARY) + len(REFUSED_BINARY) + len(READ_STRUCTURED) + len(REFUSED_STRUCTURED) >= 60


attribute = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=120
)  # at most 480 bytes
events = st.builds(
    CloudEvent,
    id=attribute,
    source=attribute,
    type=attribute,
    tenant=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True),
    subject=st.none() | attribute,
    time=st.none() | st.datetimes(timezones=st.just(UTC)),
    data=st.binary(),
    dataschema=st.none() | attribute,
    partitionkey=st.none() | attribute,
    sequence=st.none() | st.integers(1, 2**63 - 1),
    causation=st.lists(attribute.filter(lambda text: "," not in text), max_size=MAX_CAUSATION).map(tuple),
    traceparent=st.none() | st.just(TRACE),
)


@pytest.mark.requirement("SP-10")
@given(events)
def test_what_we_write_we_read(event: CloudEvent) -> None:
    assert from_kafka(event.data, to_headers(event)) == event


@given(
    st.none() | st.binary(max_size=200),
    st.lists(
        st.tuples(
            st.sampled_from(
                [*BASE, "ce_time", "ce_sequence", "ce_causation", "ce_subject", "content-type", "traceparent", "x"]
            ),
            st.none() | st.binary(max_size=40) | st.sampled_from([b"1.0", b"t1", STRUCTURED.encode()]),
        )
    ),
)
def test_noise_is_an_event_or_undecodable(value: bytes | None, headers: list[Header]) -> None:
    with suppress(UndecodableMessage):
        from_kafka(value, headers)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@given(json_values, st.sampled_from([None, 1, "\t"]))
def test_structured_data_keeps_its_bytes(data: object, indent: int | str | None) -> None:
    value, headers = json.dumps(DOCUMENT | {"data": data, "z": data}, indent=indent).encode(), structured({})[1]
    got = from_kafka(value, headers).data
    if data is None:
        assert got is None
    else:
        assert got is not None
        assert got in value
        assert json.loads(got) == data


def test_text_order_of_times_is_time_order() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert format_time(early) < format_time(late)
