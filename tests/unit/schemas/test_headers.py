"""Kafka headers as bytea: any bytes, any order, any repetition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.headers import pack_headers, unpack_headers

headers = st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.none() | st.binary()))


@pytest.mark.hole("bytea-not-jsonb")
@given(headers)
def test_packed_headers_come_back_unchanged(given_headers: list[tuple[str, bytes | None]]) -> None:
    assert unpack_headers(pack_headers(given_headers)) == given_headers


def test_nul_and_broken_utf8_survive() -> None:
    odd: list[tuple[str, bytes | None]] = [("a", b"\x00\xff"), ("a", None), ("", b"")]
    assert unpack_headers(pack_headers(odd)) == odd
