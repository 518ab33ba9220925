"""The shell's tables as Python values, around the real `Plan`: what `batch` looks up and writes, without PostgreSQL."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.shell.messages import Aggregate, Decoded, Identity, Message, OrderKey, Poison, Position, Record
from processors.shell.plan import Known, Outcome, Plan, aggregates_of
from processors.shell.processor import Decided
from schemas.envelope import CloudEvent
from schemas.models import Payload
from tests.unit.shell.oracle import Sent

TOPIC = "t"
State = tuple[str, ...]


class Noted(Payload):
    """Any payload."""

    TYPE = "Noted"


def record_of(sent: Sent) -> Record:
    key = None if sent.key is None else sent.key.encode()
    return Record(Position(TOPIC, 0, sent.offset), key, sent.name.encode(), (), 0)


def to_poison(record: Record, event: CloudEvent | None, error: Exception) -> Poison:
    return Poison(record, "broken", "broken", str(error), event)


@dataclass
class Tables:
    """One group's rows, and batches applied to them as `BatchApplier` does."""

    broken: set[str] = field(default_factory=set)
    undecodable: bool = False
    logs: dict[str, State] = field(default_factory=lambda: defaultdict(tuple))
    last: dict[Aggregate, int] = field(default_factory=dict)
    inbox: set[Identity] = field(default_factory=set)
    waiting: dict[tuple[Aggregate, int], Sent] = field(default_factory=dict)
    parked: dict[int, Sent] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    dropped: int = 0
    forget_waiting: bool = False
    latest_wins: bool = False

    def decode(self, sent: Sent) -> Decoded:
        record = record_of(sent)
        if not sent.readable:
            return to_poison(record, None, ValueError("no CloudEvent"))
        event = CloudEvent(
            sent.event_id, "upstream", "Noted", "acme", partitionkey=f"acme|x|{sent.aggregate}", sequence=sent.number
        )
        if self.undecodable and sent.name in self.broken:
            return to_poison(record, event, ValueError("broken payload"))
        return Message(record, event, Noted())

    def apply(self, batch: Sequence[Sent], redriven: bool = False, discards: frozenset[int] = frozenset()) -> Outcome:
        """One committed batch."""
        items = [self.decode(sent) for sent in batch]
        by_offset = {sent.offset: sent for sent in (*batch, *self.waiting.values())}
        plan = Plan(
            self._look_up(items, self._heads(batch) if redriven else set()),
            lambda message: message.aggregate.aggregate if message.aggregate else message.event.partitionkey,
            self._decide,
            to_poison,
            frozenset(Position(TOPIC, 0, offset) for offset in discards),
            self.latest_wins,
        )
        outcome = plan.run(items)
        self._write(outcome, by_offset)
        if redriven:
            again = {poison.record.position.offset for poison in outcome.parked}
            for sent in batch:
                if sent.offset not in again:
                    self.parked.pop(sent.offset, None)
            self.marked &= {sent.key for sent in self.parked.values() if sent.key is not None}
        return outcome

    def _heads(self, batch: Sequence[Sent]) -> set[str | None]:
        """Keys whose queue begins in this batch: only from its head may a queue move."""
        heads: dict[str | None, int] = {}
        for offset, sent in sorted(self.parked.items()):
            heads.setdefault(sent.key, offset)
        return {sent.key for sent in batch if sent.offset == heads.get(sent.key)}

    def _look_up(self, items: Sequence[Decoded], let_through: set[str | None]) -> Known:
        aggregates = set(aggregates_of(items))
        return Known(
            marked={OrderKey(TOPIC, 0, key.encode()) for key in self.marked if key not in let_through},
            last={aggregate: last for aggregate, last in self.last.items() if aggregate in aggregates},
            waiting={
                (aggregate, number): self.decode(sent)
                for (aggregate, number), sent in self.waiting.items()
                if aggregate in aggregates
            },
            seen=set(self.inbox),
            states={f"acme|x|{aggregate}": log for aggregate, log in self.logs.items()},
        )

    def _decide(self, state: State | None, message: Message) -> Decided[State, str]:
        name = (message.record.value or b"").decode()
        if name in self.broken:
            raise ValueError("cannot be decided")
        return Decided(((*(state or ()), name)), name)

    def _write(self, outcome: Outcome, by_offset: dict[int, Sent]) -> None:
        for key, state in outcome.changed.items():
            self.logs[key.removeprefix("acme|x|")] = state
        self.last.update(outcome.sequences)
        self.inbox.update(outcome.identities)
        self.dropped += outcome.duplicates
        released = {position.offset for position in outcome.released}
        self.waiting = {place: sent for place, sent in self.waiting.items() if sent.offset not in released}
        if not self.forget_waiting:
            for item, _ in outcome.wait.values():
                assert item.event is not None
                assert item.aggregate is not None
                self.waiting[item.aggregate, item.event.sequence or 0] = by_offset[item.record.position.offset]
        for poison in outcome.parked:
            sent = by_offset[poison.record.position.offset]
            self.parked[sent.offset] = sent
            if sent.key is not None:
                self.marked.add(sent.key)
