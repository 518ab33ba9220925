"""Sensitive columns: what of a converted value may stand in a plain table.

Pure. Keys and the sealing function are arguments; which column is sensitive is the mapping's to say. `mask` shows the end
of a long text, `hash` is a blind index for exact look-up, `encrypt` is the value under the subject's key.
"""

import hmac
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from domain.cases.conversions import ColumnType

SHOWN = 4
MASK = "****"

# (tenant, subject, case, version, column, plain bytes) -> sealed bytes. The same arguments must give the same bytes: a
# rebuild equals the live table row for row.
Sealer = Callable[[str, str, str, int, str, bytes], bytes]


def stored_sql(column: ColumnType, sensitivity: str) -> str:
    """The type of the column in the table: masks and hashes are texts, sealed values are bytes."""
    return _STORED.get(sensitivity, column.sql)


def mask(value: Any) -> str:
    """`****` and, of texts of at least three times as many characters, the last SHOWN; never how long the text is."""
    text = canonical(value)
    return MASK + text[-SHOWN:] if len(text) >= 3 * SHOWN else MASK


def blind_index(key: bytes, tenant: str, value: Any) -> str:
    """HMAC-SHA256 of tenant and value in hexadecimal: equal values of one tenant are equal, across tenants they are not.

    Neither table nor column takes part, so that analysts can join on it.
    """
    return hmac.digest(key, _framed(tenant) + canonical(value).encode(), "sha256").hex()


def canonical(value: Any) -> str:
    """The one text of a converted value: 1.50 and 1.5 are one number, an instant is in UTC."""
    if type(value) is Decimal:
        return _plain(value)
    if type(value) is bool:
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _framed(tenant: str) -> bytes:
    # The length in front: no other pair of tenant and value gives the same bytes.
    raw = tenant.encode()
    return len(raw).to_bytes(2, "big") + raw


_STORED = {"mask": "text", "hash": "text", "encrypt": "bytea"}
