"""What a shred empties beside the keys: every room's purger, in one list, because no room may import another."""

from domain.keys.purge import PARKED, Purger

PURGERS: tuple[Purger, ...] = (PARKED,)
