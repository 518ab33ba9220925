"""What is looked up of interactions, and the case opened for its owner. The caller holds the subject (domain/keys/guard.py)."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from domain.interactions.interaction import Interaction, Tag
from domain.interactions.showing import snapshot, visible_names
from domain.onboarding.case_definitions import CaseDefinition
from domain.onboarding.sealing import CASE, EVENT, Keys, key_place, open_words
from runtime.sql import Connection, load_queries
from schemas.errors import DecryptionFailed

queries = load_queries(Path(__file__).with_name("interactions.sql"))
# Of more events than these, the names in older ones are not told.
_MOST_EVENTS = 200


async def find_interaction(conn: Connection, tenant_id: str, interaction_id: str) -> Interaction | None:
    """The interaction as its instance stands, without a lock."""
    row = await queries.find_interaction(conn, tenant_id=tenant_id, interaction_id=interaction_id)
    if row is None:
        return None
    return Interaction(
        id=row["interaction_id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        instance_id=row["instance_id"],
        flow=row["flow"],
        flow_version=row["flow_version"],
        state=row["current_state"],
        status=row["status"],
        entry=row["entry"],
        version=row["version"],
        case_version=row["case_version"],
        case_sealed=row["case_data"],
    )


async def open_case(keys: Keys, interaction: Interaction) -> dict[str, Any]:
    """What is known of the person by now. Raises DecryptionFailed: he was erased."""
    sealed = interaction.case_sealed
    if sealed is None:
        return {}
    secrets = await keys.secrets([key_place(interaction.subject, sealed)])
    known: dict[str, Any] = open_words(
        secrets, interaction.subject, CASE, interaction.instance_id, interaction.case_version, sealed
    )
    return known


def shown_case(
    definition: CaseDefinition | None, known: dict[str, Any], sensitive_paths: Collection[str] = ()
) -> dict[str, Any]:
    """What of it a front end sees; nothing where no definition says what is sensitive."""
    return snapshot(definition.schema, known, tuple(sensitive_paths)) if definition is not None else {}


async def changed_since(
    conn: Connection, keys: Keys, interaction: Interaction, definition: CaseDefinition | None, seen: Tag
) -> list[str]:
    """What differs from what a front end saw, as JSON pointers into the answer."""
    found = []
    if interaction.entry != seen.entry:
        found.append("/stepName")
    if interaction.status != seen.status:
        found.append("/status")
    if interaction.case_version != seen.case and definition is not None:
        names = await _written_since(conn, keys, interaction, seen.version)
        found += [f"/case/{name}" for name in sorted(names & visible_names(definition.schema))]
    return found


async def _written_since(conn: Connection, keys: Keys, interaction: Interaction, version: int) -> set[str]:
    rows = await queries.list_events_since(
        conn,
        tenant_id=interaction.tenant_id,
        instance_id=interaction.instance_id,
        version=version,
        most=_MOST_EVENTS,
    )
    secrets = await keys.secrets([key_place(interaction.subject, row["data"]) for row in rows]) if rows else {}
    names = set[str]()
    for row in rows:
        place = (EVENT, interaction.instance_id, row["sequence_number"])
        try:
            words = open_words(secrets, interaction.subject, *place, row["data"])
        except DecryptionFailed:
            continue
        names |= (words.get("data") or {}).keys()
    return names


async def list_versions(conn: Connection, tenant_id: str, interaction_ids: Collection[str]) -> dict[str, int]:
    """Where the instances of these interactions are by now."""
    if not interaction_ids:
        return {}
    rows = await queries.list_versions(conn, tenant_id=tenant_id, interaction_ids=sorted(interaction_ids))
    return {row["interaction_id"]: row["version"] for row in rows}
