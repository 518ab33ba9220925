"""Kafka headers as bytea: any bytes, any order, any repetition, and the form that rows of earlier versions have."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.headers import pack_headers, record_headers, unpack_headers
from schemas.varints import VARINTS, decode_varint, encode_varint

Headers = list[tuple[str, bytes | None]]

headers = st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.none() | st.binary()))


def packed_before(given_headers: Headers) -> bytes:
    """What earlier versions stored."""
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in given_headers])


@pytest.mark.hole("bytea-not-jsonb")
@given(headers)
def test_packed_headers_come_back_unchanged(given_headers: Headers) -> None:
    assert unpack_headers(pack_headers(given_headers)) == given_headers


def test_nul_and_broken_utf8_survive() -> None:
    odd: Headers = [("a", b"\x00\xff"), ("a", None), ("", b"")]
    assert unpack_headers(pack_headers(odd)) == odd


@given(headers)
def test_rows_of_earlier_versions_are_read_and_sent_like_new_ones(given_headers: Headers) -> None:
    assert unpack_headers(packed_before(given_headers)) == given_headers
    assert record_headers(packed_before(given_headers)) == pack_headers(given_headers)
    assert record_headers(pack_headers(given_headers)) == pack_headers(given_headers)


@pytest.mark.parametrize("count", [0, 1, 46, 63, 64, 91, 200, 10_000])
def test_no_count_of_headers_is_taken_for_json(count: int) -> None:
    many: Headers = [("n", b"v")] * count
    assert unpack_headers(pack_headers(many)) == many


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_varint_comes_back(number: int) -> None:
    encoded = encode_varint(number)
    assert VARINTS[number] == encoded
    assert decode_varint(b"!" + encoded + b"\x80", 1) == (number, 1 + len(encoded))


@pytest.mark.parametrize(("number", "encoded"), [(0, b"\0"), (-1, b"\1"), (1, b"\2"), (63, b"\x7e"), (64, b"\x80\1")])
def test_a_varint_is_kafkas(number: int, encoded: bytes) -> None:
    assert encode_varint(number) == encoded
