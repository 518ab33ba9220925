"""Save and remove message templates. Every save is a version; what was sent can be shown by the version that it names."""

from dataclasses import dataclass

from domain import audit
from domain.message_templates.reads import queries
from domain.message_templates.wording import Wording, faults_of, refused
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be saved. `expected`: the newest version that the author saw, 0: there is none, None: any."""

    template_id: str
    name: str
    wording: Wording
    reason: str = ""
    expected: int | None = None


async def save_template(conn: Connection, tenant_id: str, draft: Draft, *, author: str) -> int | Rejected:
    """The number of the new version. Raises asyncpg.ForeignKeyViolationError for an unknown tenant."""
    faults = faults_of(draft.wording)
    if faults:
        return refused(faults)
    version = await _next_version(conn, tenant_id, draft)
    if isinstance(version, Rejected):
        return version
    await queries.insert_version(
        conn,
        tenant_id=tenant_id,
        template_id=draft.template_id,
        version=version,
        name=draft.name,
        subject=draft.wording.subject,
        text_body=draft.wording.text,
        html_body=draft.wording.html,
        author=author,
        reason=draft.reason,
    )
    await _record(conn, tenant_id, author, "message-template.save", draft.template_id, draft.reason, version)
    return version


async def remove_template(
    conn: Connection, tenant_id: str, template_id: str, *, author: str, expected: int | None = None
) -> Rejected | None:
    """It can be chosen no longer. Raises NotFound."""
    row = await queries.lock_template(conn, tenant_id=tenant_id, template_id=template_id)
    if row is None or row["removed"]:
        raise NotFound(f"message template {template_id} not found")
    if expected not in (None, row["version"]):
        return _stale(template_id, row["version"])
    await queries.remove_template(conn, tenant_id=tenant_id, template_id=template_id)
    await _record(conn, tenant_id, author, "message-template.remove", template_id, "", row["version"])
    return None


async def _next_version(conn: Connection, tenant_id: str, draft: Draft) -> int | Rejected:
    place = {"tenant_id": tenant_id, "template_id": draft.template_id}
    if draft.expected in (None, 0) and await queries.insert_template(conn, **place):
        return 1
    row = await queries.lock_template(conn, **place)
    if row is None:
        return _stale(draft.template_id, None)
    newest: int = row["version"]
    if draft.expected not in (None, 0 if row["removed"] else newest):
        return _stale(draft.template_id, newest)
    await queries.raise_version(conn, **place, version=newest + 1)
    return newest + 1


def _stale(template_id: str, newest: int | None) -> Rejected:
    known = {} if newest is None else {"version": newest}
    return Rejected("ConflictState", f"change message template {template_id}: its version is another; read it again", known)


async def _record(
    conn: Connection, tenant_id: str, actor: str, action: str, template_id: str, reason: str, version: int
) -> None:
    await audit.append(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        object_type="message-template",
        object_id=template_id,
        reason=reason or None,
        detail={"version": version},
    )
