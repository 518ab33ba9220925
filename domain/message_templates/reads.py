"""Message templates as they are: lists, versions, and the wordings that mails are made from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.message_templates.wording import Wording
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound

queries = load_queries(Path(__file__).with_name("templates.sql"))

_LAST_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A version of a template. `newest`: the template's last version."""

    template_id: str
    version: int
    newest: int
    removed: bool
    name: str
    wording: Wording
    author: str
    reason: str
    created_at: datetime
    updated_at: datetime


async def list_templates(
    conn: Connection, tenant_id: str, *, after: str | None = None, page_size: int = 100
) -> list[dict[str, Any]]:
    """One page of a tenant's templates by id, each with what its newest version says of itself."""
    return [dict(row) for row in await queries.list_templates(conn, tenant_id=tenant_id, after=after, page_size=page_size)]


async def list_versions(
    conn: Connection, tenant_id: str, template_id: str, *, before: int | None = None, page_size: int = 100
) -> list[dict[str, Any]]:
    """A template's versions, newest first; also of one that was removed. Raises NotFound."""
    rows = await queries.list_versions(
        conn, tenant_id=tenant_id, template_id=template_id, before=before or _LAST_VERSION, page_size=page_size
    )
    if not rows and before is None:
        raise NotFound(f"message template {template_id} not found")
    return [dict(row) for row in rows]


async def get_template(conn: Connection, tenant_id: str, template_id: str, version: int | None = None) -> StoredTemplate:
    """The newest version, or a named one. Raises NotFound."""
    found = await find_templates(conn, tenant_id, [(template_id, version)])
    if not found:
        raise NotFound(f"message template {template_id} not found" + (f" in version {version}" if version else ""))
    return found[template_id, version]


async def find_templates(
    conn: Connection, tenant_id: str, wanted: Collection[tuple[str, int | None]]
) -> Mapping[tuple[str, int | None], StoredTemplate]:
    """Of each wanted (id, version) what is stored; a version of None is the newest of a template that is there."""
    pairs = list(dict.fromkeys(wanted))
    rows = await queries.find_wordings(
        conn, tenant_id=tenant_id, template_ids=[pair[0] for pair in pairs], versions=[pair[1] for pair in pairs]
    )
    stored = [_stored(row) for row in rows]
    exact = {(one.template_id, one.version): one for one in stored}
    newest = {one.template_id: one for one in stored if one.version == one.newest and not one.removed}
    found = {pair: newest.get(pair[0]) if pair[1] is None else exact.get((pair[0], pair[1])) for pair in pairs}
    return {pair: one for pair, one in found.items() if one is not None}


def _stored(row: Mapping[str, Any]) -> StoredTemplate:
    return StoredTemplate(
        row["template_id"],
        row["version"],
        row["newest"],
        row["removed"],
        row["name"],
        Wording(row["subject"], row["text_body"], row["html_body"]),
        row["author"],
        row["reason"],
        row["created_at"],
        row["updated_at"],
    )
