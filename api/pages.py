"""Keyset pages: an opaque cursor that is signed and bound to the list, its filter and the tenant.

A cursor says after which row the next page begins, so rows that arrive meanwhile move nothing; there is no total count.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import orjson

from api.problems import Problem

_SIGNATURE_BYTES = 16
_LONGEST = 1000


class Cursors:
    """Writes and reads cursors with one key; processes that share a key accept each other's."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, bound_to: bytes, position: Sequence[str]) -> str:
        """The cursor behind the row with these key values."""
        content = orjson.dumps(list(position))
        return base64.urlsafe_b64encode(self._signature(bound_to, content) + content).decode().rstrip("=")

    def read(self, bound_to: bytes, cursor: str | None) -> list[str] | None:
        """The key values, or None for the first page. Raises Problem InvalidCursor."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if len(cursor) > _LONGEST or not hmac.compare_digest(signature, self._signature(bound_to, content)):
            raise _invalid()
        position: list[str] = orjson.loads(content)
        return position

    def _signature(self, bound_to: bytes, content: bytes) -> bytes:
        return hmac.digest(self._key, bound_to + content, "sha256")[:_SIGNATURE_BYTES]


def binding(tenant_id: str, path: str, filters: Mapping[str, str]) -> bytes:
    """What a cursor belongs to: a hash of tenant, list and filter (the page's size may change on the way)."""
    return hashlib.sha256(orjson.dumps([tenant_id, path, sorted(filters.items())])).digest()


def next_link(path: str, filters: Mapping[str, str], limit: int, cursor: str) -> str:
    """The Link header of RFC 8288 for the next page."""
    return f'<{path}?{urlencode({**filters, "limit": limit, "cursor": cursor})}>; rel="next"'


def _invalid() -> Problem:
    return Problem("InvalidCursor", "The cursor was not given out for this list and filter; begin at the first page.")
