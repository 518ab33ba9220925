"""Analysts: PostgreSQL logins of the group cs_analyst, each with the tenants that it may read.

The login decides what its sessions see, never a setting: anybody may change a setting. Runs as cs_migrate, the only role
that may make logins; every change leaves a row in the audit log.
"""

import re

from domain.audit import append
from runtime.scram import verifier
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound, Rejected

queries = load_queries(__file__)

_LOGIN = re.compile(r"[a-z][a-z0-9_]{1,62}")
_SHORTEST_PASSWORD = 12


async def add_analyst(conn: Connection, login: str, tenant_id: str, password: str | None, actor: str) -> Rejected | None:
    """Make the login if there is none (a password is needed then) and let it read the tenant. None: done.

    A password for an existing analyst replaces the old one. Raises NotFound for an unknown tenant.
    """
    found = await queries.find_login(conn, login=login)
    refusal = _refuse(login, password, found is not None, bool(found and found["analyst"]))
    if refusal is not None:
        return refusal
    if not await queries.tenant_exists(conn, tenant_id=tenant_id):
        raise NotFound(f"tenant {tenant_id!r} does not exist: `casestream tenant list` shows those that do")
    if password is not None:
        render = queries.render_change_password if found else queries.render_create_login
        await conn.execute(await render(conn, login=login, verifier=verifier(password)))
    if await queries.insert_grant(conn, tenant_id=tenant_id, login=login):
        await _audit(conn, tenant_id, actor, "analyst.added", login)
    return None


async def remove_analyst(conn: Connection, login: str, tenant_id: str | None, actor: str) -> list[str]:
    """Take one tenant from a login; without a tenant take all and the login too. Returns the tenants taken.

    Raises NotFound when the login is no analyst's.
    """
    found = await queries.find_login(conn, login=login)
    if found is None or not found["analyst"]:
        raise NotFound(f"login {login!r} is no analyst's: `casestream analyst list` shows those that are")
    taken = [row["tenant_id"] for row in await queries.delete_grants(conn, login=login, tenant_id=tenant_id)]
    for tenant in taken:
        await _audit(conn, tenant, actor, "analyst.removed", login)
    if tenant_id is None:
        await conn.execute(await queries.render_drop_login(conn, login=login))
    return taken


def _refuse(login: str, password: str | None, exists: bool, analyst: bool) -> Rejected | None:
    if not _LOGIN.fullmatch(login) or login.startswith(("cs_", "pg_")):
        return Rejected(
            "InvalidLogin",
            f"login {login[:80]!r}: expected a small letter, then small letters, digits or _, at most 63 in all, "
            "and not beginning with cs_ or pg_",
        )
    if exists and not analyst:
        return Rejected("LoginTaken", f"login {login!r} is a database role of another kind: choose another name")
    if password is None:
        return None if exists else Rejected("PasswordMissing", f"login {login!r} is new: give --password-file")
    if len(password) < _SHORTEST_PASSWORD or not (password.isascii() and password.isprintable()):
        return Rejected("WeakPassword", f"expected at least {_SHORTEST_PASSWORD} signs of printable ASCII")
    return None


async def _audit(conn: Connection, tenant_id: str, actor: str, action: str, login: str) -> None:
    await append(conn, tenant_id=tenant_id, actor=actor, action=action, object_type="database-login", object_id=login)
