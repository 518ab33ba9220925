"""What a shred empties beside the keys: every room's purger, in one list, because no room may import another."""

from collections.abc import Mapping

from domain.effects.purge import EFFECTS
from domain.entities.purge import ENTITY_STATE
from domain.keys.purge import PARKED, Purger
from domain.notifications.purge import NOTIFICATIONS
from domain.rules.purge import RUNS as RULE_RUNS
from domain.timers.purge import TIMERS
from projections.versions import tombstones_of
from runtime.sql import Connection


async def _tombstones(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    return {"projections": await tombstones_of(conn, tenant, subject)}


PURGERS: tuple[Purger, ...] = (
    PARKED,
    ENTITY_STATE,
    RULE_RUNS,
    EFFECTS,
    TIMERS,
    NOTIFICATIONS,
    Purger("table versions", ("projections.",), _tombstones),
)
