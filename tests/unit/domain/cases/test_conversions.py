"""Conversions are total, lose nothing and round nothing."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.conversions import ColumnType, TypeRefused, Unfit, converter

TYPES = [
    "text",
    "integer",
    "bigint",
    "numeric",
    "numeric(12,2)",
    "numeric(3,3)",
    "numeric(5)",
    "boolean",
    "date",
    "timestamptz",
    "uuid",
    "jsonb",
]
AN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def convert(kind: str, value: Any) -> Any:
    return converter(ColumnType.parse(kind))(value)


@pytest.mark.requirement("CD-4")
@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "Huế", "Huế"),
        ("text", "", ""),
        ("text", 9007199254740993, "9007199254740993"),
        ("integer", 2**31 - 1, 2**31 - 1),
        ("integer", "-2147483648", -(2**31)),
        ("integer", 5.0, 5),
        ("integer", "1e3", 1000),
        ("integer", Decimal("1.000"), 1),
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("bigint", "9007199254740993", 9007199254740993),
        ("bigint", -(2**63), -(2**63)),
        ("bigint", Decimal("9223372036854775807.0"), 2**63 - 1),
        ("numeric(12,2)", 12.5, Decimal("12.5")),
        ("numeric(12,2)", -12.5, Decimal("-12.5")),
        ("numeric(12,2)", "1234567890.12", Decimal("1234567890.12")),
        ("numeric(12,2)", "1.1000", Decimal("1.1")),
        ("numeric(12,2)", 9999999999, Decimal(9999999999)),
        ("numeric(12,2)", 0.1, Decimal("0.1")),
        ("numeric(12,2)", 1e-7 - 1e-7, Decimal(0)),
        ("numeric(12,2)", "0e-9000", Decimal(0)),
        ("numeric(12,2)", 1e9, Decimal(1000000000)),
        ("numeric(3,3)", 0.123, Decimal("0.123")),
        ("numeric(5)", 12.0, Decimal(12)),
        ("numeric", 1e-9, Decimal("1e-9")),
        (
            "numeric",
            Decimal("0.1234567890123456789012345678901234567890"),
            Decimal("0.1234567890123456789012345678901234567890"),
        ),
        ("numeric", 10**40, Decimal(10**40)),
        ("boolean", True, True),
        ("boolean", False, False),
        ("date", "2026-02-28", date(2026, 2, 28)),
        ("date", "0001-01-01", date(1, 1, 1)),
        ("timestamptz", "2026-01-31T23:59:59Z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("timestamptz", "2026-01-31T23:59:59.123Z", datetime(2026, 1, 31, 23, 59, 59, 123000, tzinfo=UTC)),
        ("timestamptz", "2026-01-31t23:59:59.1z", datetime(2026, 1, 31, 23, 59, 59, 100000, tzinfo=UTC)),
        ("timestamptz", "2026-01-31 23:59:59.123456000+07:00", datetime(2026, 1, 31, 16, 59, 59, 123456, tzinfo=UTC)),
        ("timestamptz", "2026-01-31T00:00:00-00:00", datetime(2026, 1, 31, tzinfo=UTC)),
        ("uuid", AN_ID.upper(), UUID(AN_ID)),
        ("jsonb", {"a": [1, None, True, "x"]}, '{"a":[1,null,true,"x"]}'),
        ("jsonb", "x", '"x"'),
        ("jsonb", [10**40, Decimal("0.10000000000000000001"), 0.1], f"[{10**40},0.10000000000000000001,0.1]"),
        ("jsonb", "\\u0000", '"\\\\u0000"'),
    ],
)
def test_what_fits_is_converted_exactly(kind: str, value: Any, expected: Any) -> None:
    converted = convert(kind, value)

    assert (type(converted), converted) == (type(expected), expected)


@pytest.mark.requirement("CD-4")
@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("text", "a\0b", "U+0000"),
        ("text", 1.5, "found a decimal number"),
        ("text", True, "found true or false"),
        ("text", {}, "found an object"),
        ("integer", 2**31, "32 bits"),
        ("integer", 1.5, "fraction"),
        ("integer", True, "found true or false"),
        ("integer", "", "as JSON writes it"),
        ("integer", "007", "as JSON writes it"),
        ("integer", " 7", "as JSON writes it"),
        ("integer", "+7", "as JSON writes it"),
        ("integer", "7\n", "as JSON writes it"),
        ("integer", "1_000", "as JSON writes it"),
        ("integer", "٣", "as JSON writes it"),
        ("integer", "1e99999", "too long"),
        ("bigint", 2**63, "64 bits"),
        ("bigint", "-9223372036854775809", "64 bits"),
        ("bigint", Decimal("1e9999"), "64 bits"),
        ("bigint", "9" * 5_000, "as JSON writes it"),
        ("numeric(12,2)", 0.001, "2 after the point"),
        ("numeric(12,2)", 0.005, "2 after the point"),
        ("numeric(12,2)", "10000000000", "10 digits before"),
        ("numeric(12,2)", 1e10, "10 digits before"),
        ("numeric(12,2)", 1e300, "10 digits before"),
        ("numeric(12,2)", Decimal("1e-9999"), "2 after the point"),
        ("numeric(3,3)", 1, "0 digits before"),
        ("numeric(12,2)", "NaN", "as JSON writes it"),
        ("numeric", "Infinity", "as JSON writes it"),
        ("numeric", False, "found true or false"),
        ("boolean", 1, "found an integer"),
        ("boolean", 0, "found an integer"),
        ("boolean", "true", "found text"),
        ("date", "2026-02-29", "calendar"),
        ("date", "0000-01-01", "calendar"),
        ("date", "20260131", "2026-01-31"),
        ("date", "2026-W01-1", "2026-01-31"),
        ("date", "2026-01-31T00:00:00Z", "2026-01-31"),
        ("date", 20260131, "found an integer"),
        ("timestamptz", "2026-01-31T23:59:59", "with zone"),
        ("timestamptz", "2026-01-31", "with zone"),
        ("timestamptz", "2026-01-31T23:59Z", "with zone"),
        ("timestamptz", "2026-01-31T23:59:60Z", "instant"),
        ("timestamptz", "2026-01-31T24:00:00Z", "instant"),
        ("timestamptz", "2026-01-31T23:59:59.1234567Z", "microsecond"),
        ("timestamptz", "2026-01-31T23:59:59,123Z", "with zone"),
        ("timestamptz", "2026-02-30T00:00:00Z", "calendar"),
        ("timestamptz", "0001-01-01T00:00:00+01:00", "calendar"),
        ("timestamptz", "9999-12-31T23:59:59-01:00", "calendar"),
        ("timestamptz", 1700000000, "found an integer"),
        ("uuid", AN_ID.replace("-", ""), "not a UUID"),
        ("uuid", f"{{{AN_ID}}}", "not a UUID"),
        ("uuid", AN_ID + "\n", "not a UUID"),
        ("jsonb", {"a": "\0"}, "U+0000"),
        ("jsonb", [{"\0": 1}], "U+0000"),
    ],
)
def test_what_does_not_fit_is_unfit_with_a_reason(kind: str, value: Any, reason: str) -> None:
    unfit = convert(kind, value)

    assert isinstance(unfit, Unfit)
    assert reason in unfit.reason


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("TEXT", "text"),
        (" numeric( 12 , 2 ) ", "numeric(12,2)"),
        ("numeric(5)", "numeric(5,0)"),
        ("numeric", "numeric"),
        ("Bigint", "bigint"),
    ],
)
def test_a_type_has_one_form_in_sql(text: str, sql: str) -> None:
    assert ColumnType.parse(text).sql == sql
    assert ColumnType.parse(sql) == ColumnType.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int",
        "varchar",
        "text(5)",
        "integer(4)",
        "numeric()",
        "numeric(0,0)",
        "numeric(2,3)",
        "numeric(1001,2)",
        "numeric(5,-1)",
        "numeric(5,2",
        "text; drop table x",
        "jsonb[]",
        "timestamp",
    ],
)
def test_no_other_type_exists(text: str) -> None:
    with pytest.raises(TypeRefused, match="expected one of text, integer"):
        ColumnType.parse(text)


# -- properties

scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=25, min_value=-(10**30), max_value=10**30),
    st.text(),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.dates().map(str),
    st.uuids().map(str),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,5})?"),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@given(st.sampled_from(TYPES), values)
def test_a_conversion_is_total_and_quotes_nothing(kind: str, value: Any) -> None:
    converted = convert(kind, value)

    if isinstance(converted, Unfit) and isinstance(value, str) and len(value) > 8:
        assert value not in converted.reason


@given(st.integers(1, 20), st.integers(0, 20), st.integers(-(10**22), 10**22), st.integers(0, 22))
def test_numeric_takes_exactly_what_its_digits_hold(precision: int, scale: int, digits: int, point: int) -> None:
    scale = min(scale, precision)
    number = Decimal(digits).scaleb(-point)
    text = format(number, "f")
    fits = abs(number) < Decimal(10) ** (precision - scale) and number * 10**scale % 1 == 0

    for value in (text, number, json.loads(text) if len(text) < 15 else text):
        converted = convert(f"numeric({precision},{scale})", value)
        assert isinstance(converted, Unfit) is not fits
        assert not fits or converted == number


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001
def test_an_instant_survives_in_any_zone(local: datetime, minutes: int) -> None:
    instant = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    converted = convert("timestamptz", instant.isoformat())

    assert converted == instant
    assert converted.utcoffset() == timedelta(0)


@given(st.datetimes(), st.sampled_from(["seconds", "milliseconds", "microseconds"]), st.data())
def test_the_short_way_for_instants_takes_nothing_that_the_pattern_refuses(
    instant: datetime, spec: str, data: st.DataObject
) -> None:
    text = instant.isoformat(timespec=spec) + "Z"
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from("0123456789-+:.,TtZzW /٣é")) + text[at + 1 :]

    short, long = convert("timestamptz", damaged), _by_pattern(damaged)
    assert (short if isinstance(short, datetime) else None) == long


def _by_pattern(text: str) -> datetime | None:
    # The same instant with a seventh digit never takes the short way.
    longer = text[:-1] + ("0000000" if "." in text else ".0000000") + text[-1]
    converted = convert("timestamptz", longer)
    return converted if isinstance(converted, datetime) else None


@given(st.integers(-(2**80), 2**80))
def test_a_64_bit_integer_survives_as_number_and_as_text(number: int) -> None:
    fits = -(2**63) <= number < 2**63
    for value in (number, str(number)):
        assert convert("bigint", value) == number if fits else isinstance(convert("bigint", value), Unfit)
