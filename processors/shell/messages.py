"""What the shell handles: a record as it came, and what decoding made of it, a `Message` or `Poison`.

A record keeps its bytes untouched, because parking and waiting must give back exactly what Kafka delivered.
"""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.envelope import CloudEvent
from schemas.models import Payload


class Position(NamedTuple):
    """A record's place. `topic` is the logical name, without a cell's prefix."""

    topic: str
    partition: int
    offset: int


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


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record. `timestamp` in milliseconds since the epoch; headers as delivered."""

    position: Position
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int

    @property
    def order_key(self) -> tuple[str, bytes] | None:
        """Records that share it must keep their order; a record without a key has none."""
        return None if self.key is None else (self.position.topic, self.key)


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded record. `payload` is None for a type that the group has no interest in: it only counts as seen."""

    record: Record
    event: CloudEvent
    payload: Payload | None

    @property
    def aggregate(self) -> Aggregate | None:
        """The numbered aggregate, or None for a message without a sequence."""
        if self.event.sequence is None:
            return None
        name = self.event.partitionkey or self.event.subject or ""
        return Aggregate(self.event.tenant, self.event.source, self.record.position.topic, name)

    @property
    def identity(self) -> Identity:
        return Identity(self.event.tenant, self.event.source, self.event.id)


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be applied, and why. `error` never quotes payload; `fingerprint` groups equal causes."""

    record: Record
    tenant_id: str
    reason: str
    fingerprint: str
    error: str


Decoded = Message | Poison
