"""A JSON value as the text that a person would write: what a template shows and what a comparison as STRING compares."""

import json
from decimal import Decimal
from typing import Any


def text_of(value: Any) -> str:
    """Total: 5.0 and 5 are `5`, a boolean is `true` or `false`, null is empty, lists and objects are their JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return plain_number(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def plain_number(number: float | Decimal) -> str:
    """Without exponent and without zeros that say nothing: `50000`, `0.1`."""
    if isinstance(number, int):
        return str(number) if abs(number) < _LONG else f"{number:x}"
    exact = Decimal(repr(number)) if isinstance(number, float) else number
    # Thousands of zeros help nobody.
    if not exact.is_finite() or abs(exact.adjusted()) > _MAX_PLAIN:
        return str(number)
    text = f"{exact:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


_MAX_PLAIN = 400
# Python refuses to write longer ones in decimal; no entity counts so far.
_LONG = 10**4_300
