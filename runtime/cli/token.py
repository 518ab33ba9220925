"""`casestream token`: a token of the local stack's development issuer, for trying the API by hand.

Production refuses this issuer (runtime/settings/rules.py); there, tokens come from the identity provider.
"""

import re
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from runtime.cli import output
from runtime.stack.home import default_home
from runtime.stack.issuer import open_issuer, sign

_LIFETIME = re.compile(r"([1-9][0-9]{0,6})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_SECONDS = 30 * 86_400


def lifetime_seconds(text: str) -> int:
    """`90`, `15m`, `12h` or `7d` in seconds. Raises typer.BadParameter, also above 30 days."""
    match = _LIFETIME.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise typer.BadParameter(f"{text!r}: expected a time like 90, 15m, 12h or 7d, at most 30d", param_hint="--ttl")
    return seconds


def token(
    tenant: Annotated[str, typer.Option(help="the tenant that the token is for")],
    user: Annotated[str, typer.Option(help="who calls")] = "developer",
    role: Annotated[list[str] | None, typer.Option(help="repeatable: viewer, agent, supervisor, admin, operator ...")] = None,
    ttl: Annotated[str, typer.Option(help="how long it is good: 90, 15m, 12h, 7d")] = "12h",
) -> None:
    """Print a token of the development issuer. Use it as `Authorization: Bearer TOKEN`."""
    seconds, roles = lifetime_seconds(ttl), role or ["agent"]
    made = sign({"sub": user, "tenant": tenant, "roles": roles}, open_issuer(default_home()), seconds)
    if output.chosen() is output.Format.TABLE:
        # Only the token, so that TOKEN=$(casestream token ...) works.
        print(made)
        return
    expires = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds")
    output.show_record({"token": made, "tenant": tenant, "user": user, "roles": roles, "expires": expires})
