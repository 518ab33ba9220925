"""What work items are about: the entities that commands named in `relatedTo`. Actions on them are activity of the entity."""

from collections.abc import Sequence
from datetime import datetime

from runtime.sql import Connection, load_queries
from schemas.work_items import CreateWorkItem

queries = load_queries(__file__)

# (tenant, entity type, entity id)
Related = tuple[str, str, str]


async def write_relations(conn: Connection, created: Sequence[tuple[str, CreateWorkItem]]) -> None:
    """Note what new items (tenant, command) are about; the items are there."""
    named = [(tenant, command.related_to, command.work_item_id) for tenant, command in created]
    rows = [(tenant, related, item) for tenant, related, item in named if related is not None]
    if rows:
        await queries.insert_relations(
            conn,
            tenant_ids=[tenant for tenant, _, _ in rows],
            entity_types=[related.entity_type for _, related, _ in rows],
            entity_ids=[related.entity_id for _, related, _ in rows],
            ids=[item for _, _, item in rows],
        )


async def last_related_actions(conn: Connection, entities: Sequence[Related]) -> dict[Related, datetime]:
    """When an item about each of these entities was last acted upon; without one there is no entry."""
    if not entities:
        return {}
    rows = await queries.find_last_actions(
        conn,
        tenant_ids=[key[0] for key in entities],
        entity_types=[key[1] for key in entities],
        entity_ids=[key[2] for key in entities],
    )
    return {(row["tenant_id"], row["entity_type"], row["entity_id"]): row["last_action_at"] for row in rows}
