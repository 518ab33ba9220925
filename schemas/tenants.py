"""What a tenant's id looks like, the same at every door: no character of it ever needs quoting."""

import re

TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_ID = re.compile(TENANT_PATTERN.strip("^$"))


def is_tenant_id(text: str) -> bool:
    """Whether the whole text, without a trailing line break, is a tenant's id."""
    return _ID.fullmatch(text) is not None
