"""Masks show little, hashes compare within a tenant only."""

import hashlib
import hmac
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cases.conversions import ColumnType
from domain.cases.sensitivity import blind_index, canonical, mask, stored_sql

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("", "****"),
        ("1234", "****"),
        ("12345678901", "****"),
        ("123456789012", "****9012"),
        (Decimal("1.5"), "****"),
        (True, "****"),
    ],
)
def test_a_mask_shows_the_end_of_long_texts_only(value: Any, masked: str) -> None:
    assert mask(value) == masked


@given(st.text())
def test_a_mask_never_shows_more_than_a_third(text: str) -> None:
    assert (len(mask(text)) - 4) * 3 <= len(text)


def test_a_blind_index_is_hmac_of_the_framed_tenant_and_the_value() -> None:
    assert blind_index(KEY, "acme", "x") == hmac.new(KEY, b"\0\4acmex", hashlib.sha256).hexdigest()
    assert len({blind_index(KEY, tenant, value) for tenant, value in [("a", "bc"), ("ab", "c"), ("abc", "")]}) == 3
    assert blind_index(KEY[::-1], "acme", "x") != blind_index(KEY, "acme", "x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), "1.5"),
        (Decimal("-0.00"), "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal(1200), "1200"),
        (5, "5"),
        (True, "true"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)
def test_equal_values_have_one_canonical_text(value: Any, text: str) -> None:
    assert canonical(value) == text


def test_the_stored_type_follows_the_sensitivity() -> None:
    kind = ColumnType.parse("numeric(12,2)")

    assert [stored_sql(kind, sensitivity) for sensitivity in ("none", "mask", "hash", "encrypt")] == [
        "numeric(12,2)",
        "text",
        "text",
        "bytea",
    ]
