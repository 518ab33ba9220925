"""What the shell handles: a record as it came, and what decoding made of it, a `Message` or `Poison`.

A record keeps its bytes untouched, because parking and waiting must give back exactly what Kafka delivered.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.envelope import CloudEvent
from schemas.models import Payload


class Position(NamedTuple):
    """A record's place. `topic` is the logical name, without a cell's prefix."""

    topic: str
    partition: int
    offset: int


class OrderKey(NamedTuple):
    """Whose messages must keep their order: a key, within the partition that its owner reads."""

    topic: str
    partition: int
    key: bytes


class Aggregate(NamedTuple):
    """Whose events are numbered: one writer's aggregate on one topic."""

    tenant_id: str
    source: str
    topic: str
    aggregate: str


class Identity(NamedTuple):
    """A message without a number is known by its CloudEvents identity."""

    tenant_id: str
    source: str
    event_id: str


# A longer key cannot stand in an index row of PostgreSQL. Ours have at most a few hundred bytes.
MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record. `timestamp` in milliseconds since the epoch; headers as delivered.

    `replayed`: the group has handled this place of the partition before, and nothing of it was left to do.
    """

    position: Position
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int
    replayed: bool = False

    @property
    def order_key(self) -> OrderKey | None:
        """Records that share it must keep their order; one without a key has none, nor one whose key is never accepted."""
        if self.key is None or len(self.key) > MAX_KEY_BYTES:
            return None
        return OrderKey(self.position.topic, self.position.partition, self.key)


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded record. `payload` is None for a type that the group has no interest in: it only counts as seen.

    `aggregate` is the numbered aggregate, or None for a message without a sequence. Every step asks for it or for `identity`.
    """

    record: Record
    event: CloudEvent
    payload: Payload | None
    aggregate: Aggregate | None = field(init=False)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "aggregate", aggregate_of(self.record, self.event))
        object.__setattr__(self, "identity", identity_of(self.event))

    @property
    def tenant_id(self) -> str:
        return self.event.tenant


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be applied, and why. `error` never quotes payload; `fingerprint` groups equal causes.

    `event` is what its headers said, if they could be read: its number or identity still orders and counts.
    """

    record: Record
    reason: str
    fingerprint: str
    error: str
    event: CloudEvent | None = None

    @property
    def tenant_id(self) -> str:
        """The empty tenant where none can be read."""
        return self.event.tenant if self.event else ""

    @property
    def aggregate(self) -> Aggregate | None:
        return aggregate_of(self.record, self.event) if self.event else None

    @property
    def identity(self) -> Identity | None:
        return identity_of(self.event) if self.event else None


def aggregate_of(record: Record, event: CloudEvent) -> Aggregate | None:
    """Whose number the event carries, or None when it carries none."""
    if event.sequence is None:
        return None
    return Aggregate(event.tenant, event.source, record.position.topic, event.partitionkey or event.subject or "")


def identity_of(event: CloudEvent) -> Identity:
    return Identity(event.tenant, event.source, event.id)


Decoded = Message | Poison
