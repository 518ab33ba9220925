"""Tokens for commands that speak to the API: from files, or signed by the local stack's development issuer."""

from collections.abc import Sequence
from pathlib import Path


def tokens_of(given: Sequence[str], tenants: Sequence[str]) -> dict[str, str]:
    """A token per tenant, with the role of an import. `given`: entries TENANT=FILE."""
    tokens = {}
    for entry in given:
        tenant, _, path = entry.partition("=")
        tokens[tenant] = Path(path).read_text(encoding="utf-8").strip()
    if missing := [tenant for tenant in tenants if tenant not in tokens]:
        from runtime.stack.home import default_home
        from runtime.stack.issuer import open_issuer, sign

        issuer = open_issuer(default_home())
        tokens |= {tenant: sign({"sub": "service:import", "tenant": tenant, "roles": ["import"]}, issuer) for tenant in missing}
    return tokens
