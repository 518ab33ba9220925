"""Where a secret will stand in a rendered header. The sender puts it there just before the call, so that no row has it.

A marker begins and ends with a control character. Values with one are refused in headers, so no entity's data can make the
sender look up a secret.
"""

import re
from collections.abc import Callable

_EDGE = "\x1e"


def marker(name: str) -> str:
    """What stands for the secret until the header is sent."""
    return f"{_EDGE}{name}{_EDGE}"


def secret_names(header: str) -> tuple[str, ...]:
    """The secrets that a rendered header needs, each once."""
    return tuple(dict.fromkeys(_MARKER.findall(header)))


def with_secrets(header: str, secret: Callable[[str], str]) -> str:
    """The header as it is sent. `secret` answers a name's value and may raise."""
    return _MARKER.sub(lambda found: secret(found[1]), header)


_MARKER = re.compile(rf"{_EDGE}([A-Za-z][A-Za-z0-9_]*){_EDGE}")
