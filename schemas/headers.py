"""Kafka headers as one `bytea`: how they lie in PostgreSQL between the outbox, the parked rows and the broker.

JSON of `[[name, value], ...]` where a value is Latin-1 text of its bytes, so any bytes survive exactly and NUL is legal
(a `jsonb` column would refuse it). Order and repeated names are kept.
"""

from collections.abc import Sequence

import orjson


def pack_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Kafka headers to the bytes that a `headers` column stores."""
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def unpack_headers(packed: bytes) -> list[tuple[str, bytes | None]]:
    """The inverse of `pack_headers`."""
    return [(name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(packed)]
