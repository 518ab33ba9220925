"""The erasure registry: for every text, jsonb or bytea column that we keep, what erasing a subject does to it.

`none`: holds no subject data (ids, codes, names of staff roles); `delete`: rows go by their subject column; `shred`:
encrypted under the subject's key; `expires`: transport, gone when its retention ends. A catalogue test refuses an
undeclared column; topics declare theirs in `schemas.registry`.
"""

from typing import Literal

Rule = Literal["none", "shred", "delete", "expires"]

# table -> {column: rule}; "*" is the rule of every other text, jsonb, bytea or array-of-text column of the table.
COLUMNS: dict[str, dict[str, Rule]] = {
    "public.schema_migrations": {"*": "none"},
    "public.tenants": {"*": "none"},
    "public.users": {"*": "none", "display_name": "delete"},
    "public.teams": {"*": "none"},
    "public.team_members": {"*": "none"},
    "public.incidents": {"*": "none"},
    "public.audit_log": {"*": "none"},
    "public.leases": {"*": "none"},
    "public.analyst_tenants": {"*": "none"},
    "public.idempotency_keys": {"*": "none", "answer": "expires"},
    "public.relay_shards": {"*": "none"},
    "public.outbox_events": {"*": "none", "key": "expires", "headers": "expires", "payload": "expires", "aggregate_id": "expires"},
    "public.consumer_groups": {"*": "none"},
    "public.consumer_offsets": {"*": "none"},
    "public.skipped_ranges": {"*": "none"},
    "public.inbox": {"*": "none"},
    "public.applied_sequences": {"*": "none"},
    "public.waiting_messages": {"*": "none", "key": "expires", "value": "expires", "headers": "expires"},
    "public.parked_keys": {"*": "none", "key": "delete"},
    "public.parked_messages": {"*": "none", "key": "delete", "value": "delete", "headers": "delete"},
    "public.work_items": {"*": "none", "title": "delete", "description": "delete", "note": "delete"},
    "public.work_item_state_history": {"*": "none", "note": "delete"},
    "public.work_item_comments": {"*": "none", "body": "delete"},
    "public.work_item_instances": {"*": "none"},
    "projections.work_item_board__v1": {"*": "none"},
}


def rule(table: str, column: str) -> Rule | None:
    """The declared rule of a column, or None when nobody declared it. `table` is schema-qualified."""
    columns = COLUMNS.get(table, {})
    return columns.get(column, columns.get("*"))
