"""Kafka headers as one `bytea`: how they lie in PostgreSQL between the outbox, the parked rows and the broker.

The bytes are those of a Kafka record (format v2): the count, then each name and value behind its length. So the relay
copies them as they are; any bytes survive exactly, NUL is legal (a `jsonb` column would refuse it), order and repeated names
are kept. Rows of earlier versions hold JSON of `[[name, value], ...]`, values as Latin-1 text. They are told apart by
the first byte: `[` would be a negative count.
"""

from collections.abc import Sequence

import orjson

from schemas.varints import VARINTS, decode_varint

_JSON = ord("[")
_NULL = -1


def pack_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Kafka headers to the bytes that a `headers` column stores."""
    parts = [VARINTS[len(headers)]]
    for name, value in headers:
        encoded = name.encode()
        parts += (VARINTS[len(encoded)], encoded)
        parts += (VARINTS[_NULL],) if value is None else (VARINTS[len(value)], value)
    return b"".join(parts)


def unpack_headers(packed: bytes) -> list[tuple[str, bytes | None]]:
    """The inverse of `pack_headers`; reads both forms."""
    if packed[0] == _JSON:
        return [(name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(packed)]
    count, at = decode_varint(packed, 0)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        length, at = decode_varint(packed, at)
        name, at = packed[at : at + length].decode(), at + length
        length, at = decode_varint(packed, at)
        headers.append((name, None if length == _NULL else packed[at : at + length]))
        at += max(length, 0)
    return headers


def record_headers(packed: bytes) -> bytes:
    """A `headers` column as it stands in a Kafka record."""
    return pack_headers(unpack_headers(packed)) if packed[0] == _JSON else packed
