"""Lives of leads: created, changed up to eleven times, some deleted; and the deliveries that tell of them.

An upstream numbers nothing and tells a lead's changes in order, but says each up to five times, the repetitions any time later.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent
from tests.torture.system.lives import PEOPLE, TENANTS

Values = dict[str, Any]
# Below the twenty runs of a rule for one entity within ten minutes that the loop guard allows.
MOST_CHANGES = 12
STATUSES = ("NEW", "CONTACTED", "QUALIFIED", "WON", "LOST")
# A repetition comes up to so many events later.
_LATER = 2_000


@dataclass(frozen=True, slots=True)
class Told:
    """One change of a lead, as its upstream tells it. `n`: which of the lead's changes it is, from 1."""

    tenant: str
    lead: str
    n: int
    kind: str
    old: Values | None
    new: Values | None

    @property
    def id(self) -> str:
        return f"{self.lead}-{self.n}"


@dataclass(frozen=True)
class Lives:
    """What leads there are, and when their dates lie."""

    seed: int
    now: datetime

    def told(self, events: int) -> list[Told]:
        """So many events, each lead's in order, all leads mixed."""
        dice, lives, count = random.Random(self.seed), list[list[Told]](), 0
        while count < events:
            lives.append(self._life(dice, len(lives))[: events - count])
            count += len(lives[-1])
        mixed = [life for life in lives for _ in life]
        dice.shuffle(mixed)
        turns = {id(life): iter(life) for life in lives}
        return [next(turns[id(life)]) for life in mixed]

    def _life(self, dice: random.Random, number: int) -> list[Told]:
        tenant = TENANTS[number % len(TENANTS)]
        lead, values = f"{tenant}-{number}", self._values(dice, number)
        life = [Told(tenant, lead, 1, "CREATE", None, values)]
        for n in range(2, dice.randint(2, MOST_CHANGES)):
            old, values = values, self._changed(dice, values, n)
            life.append(Told(tenant, lead, n, "UPDATE", old, values))
        if dice.random() < 0.2:
            life.append(Told(tenant, lead, len(life) + 1, "DELETE", values, None))
        return life

    def _values(self, dice: random.Random, number: int) -> Values:
        return {
            "n": 1,
            "name": f"Nguyễn {number}",
            "email": f"p{number}@example.com",
            "leadSource": "WEBSITE" if dice.random() < 0.3 else "PARTNER",
            "leadStatus": "NEW",
            "score": dice.randint(0, 100),
            "owner": dice.choice(PEOPLE),
            "followUpAt": self._date(dice),
        }

    def _changed(self, dice: random.Random, values: Values, n: int) -> Values:
        found = {**values, "n": n, "score": dice.randint(0, 100)}
        if dice.random() < 0.3:
            found["leadStatus"] = dice.choice(STATUSES)
        if dice.random() < 0.1:
            found["owner"] = dice.choice(PEOPLE)
        if dice.random() < 0.1:
            found["followUpAt"] = self._date(dice)
        return found

    def _date(self, dice: random.Random) -> str | None:
        """None, within six hours, or a month ahead; never within the hour in which the events are read."""
        drawn = dice.random()
        if drawn < 0.3:
            return None
        ahead = timedelta(days=30) if drawn < 0.4 else timedelta(minutes=dice.randint(61, 360))
        return (self.now + ahead).replace(microsecond=0).isoformat()


def deliveries(events: Sequence[Told], seed: int) -> Iterator[Told]:
    """Each event one to five times: first in order, then again any time later."""
    dice = random.Random(seed)
    placed = [(float(place), event) for place, event in enumerate(events)]
    for place, event in enumerate(events):
        placed += [(place + dice.uniform(0.1, _LATER), event) for _ in range(dice.choice((0, 0, 1, 1, 2, 4)))]
    placed.sort(key=lambda one: one[0])
    return (event for _, event in placed)


def as_event(told: Told) -> CloudEvent:
    """The event as its upstream sends it: without a number of its own."""
    payload = EntityChangeEvent.model_validate(
        {
            "eventId": told.id,
            "entityType": "LEAD",
            "entityId": told.lead,
            "changeType": told.kind,
            "oldValues": told.old,
            "newValues": told.new,
            "tenantId": told.tenant,
            "timestamp": datetime.now(UTC).isoformat(),
        }
    )
    return CloudEvent(
        id=told.id,
        source="crm",
        type=EntityChangeEvent.TYPE,
        tenant=told.tenant,
        subject=told.lead,
        time=payload.timestamp,
        data=payload.to_json(),
        dataschema=payload.dataschema(),
        partitionkey=f"{told.tenant}|LEAD|{told.lead}",
        sequence=None,
    )
