"""What names and values look like, and which secret signs webhooks. Pure.

How a text names a secret is the templates' matter (domain/templating).
"""

import base64
import binascii

# As templates write it: {{secret:NAME}}.
NAME = r"^[A-Za-z][A-Za-z0-9_]{0,99}$"
LONGEST_VALUE = 4096
# Printable ASCII: a value goes into a header, where a line end would begin another one.
VALUE = r"^[\x20-\x7e]+$"
# The name that signs a tenant's webhooks unless a rule names another.
SIGNING = "webhook_signing"

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)


def signing_key(value: str) -> bytes | None:
    """The key of a Standard Webhooks secret, `whsec_` and base64 of 24 to 64 bytes; None for anything else."""
    try:
        key = base64.b64decode(value.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if value.startswith(_PREFIX) and len(key) in _KEY_BYTES else None


def as_signing_secret(key: bytes) -> str:
    """The text of a key, as receivers' libraries read it."""
    return _PREFIX + base64.b64encode(key).decode()
