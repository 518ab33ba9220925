"""The heart of a batch: in order, in memory, which message is applied, dropped, set aside or parked. Pure.

One pass over the items, per item:

1. its key is marked (an earlier message of the key is parked)  -> it follows into the parked rows
2. nothing of it can be read                                     -> parked, its key marked
3. it carries a number: `<= last` drop; `> last + 1` a gap: it waits; `= last + 1` apply, then whatever waited for that number
   (where the latest wins, each message carries the whole state: there is no gap, anything above `last` is applied)
4. it carries none: seen before -> drop; otherwise apply
5. apply = `decide`; poison, or an exception, is parked and its key marked

A waiting message is no poison: no mark, no dead letter copy. Numbers advance only by applying (or by an operator's
discard), so a re-sent page can never turn into loss. Poison whose headers can be read takes its turn like any other.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from processors.shell.messages import Aggregate, Decoded, Identity, Message, OrderKey, Poison, Position, Record
from processors.shell.processor import Decided
from schemas.envelope import CloudEvent

Decide = Callable[[Any, Message], Decided[Any, Any]]

FOLLOWS = "follows"


@dataclass(slots=True)
class Known:
    """What PostgreSQL knew about the batch before it was decided. `raised`: aggregates whose `last` a baseline raised."""

    marked: set[OrderKey] = field(default_factory=set)
    last: dict[Aggregate, int] = field(default_factory=dict)
    raised: set[Aggregate] = field(default_factory=set)
    waiting: dict[tuple[Aggregate, int], Decoded] = field(default_factory=dict)
    seen: set[Identity] = field(default_factory=set)
    states: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What to write. `changed` holds each key's last state; positions in `released` leave the waiting rows."""

    changed: dict[Any, Any] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)
    applied: list[Message] = field(default_factory=list)
    sequences: dict[Aggregate, int] = field(default_factory=dict)
    identities: list[Identity] = field(default_factory=list)
    parked: list[Poison] = field(default_factory=list)
    wait: dict[Position, tuple[Decoded, int]] = field(default_factory=dict)
    released: list[Position] = field(default_factory=list)
    duplicates: int = 0

    @property
    def poisoned(self) -> list[Poison]:
        """Newly poisoned, without their followers: what the park rate counts."""
        return [poison for poison in self.parked if poison.reason != FOLLOWS]


class Plan:
    """One batch being decided. `discards` are positions that an operator gave up: they count as seen, nothing is decided."""

    def __init__(
        self,
        known: Known,
        key: Callable[[Message], Hashable],
        decide: Decide,
        to_poison: Callable[[Record, CloudEvent | None, Exception], Poison],
        discards: frozenset[Position] = frozenset(),
        latest_wins: bool = False,
    ) -> None:
        self._known, self._key, self._decide, self._to_poison = known, key, decide, to_poison
        self._discards, self._latest_wins = discards, latest_wins
        self.outcome = Outcome()

    def run(self, items: Iterable[Decoded]) -> Outcome:
        """Decide all items in order."""
        for item in items:
            self._take(item)
        return self.outcome

    def _take(self, item: Decoded) -> None:
        if self._known.marked and item.record.order_key in self._known.marked:
            self._follow(item)
        elif item.event is None:
            self._apply(item)
        elif item.event.sequence is not None:
            self._take_numbered(item, item.event.sequence)
        else:
            self._take_unnumbered(item)

    def _take_numbered(self, item: Decoded, sequence: int) -> None:
        aggregate = item.aggregate
        assert aggregate is not None, "a numbered item has an aggregate"
        last = self._known.last.get(aggregate, 0)
        if sequence <= last or (aggregate, sequence) in self._known.waiting:
            self.outcome.duplicates += 1
        elif sequence > last + 1 and not self._latest_wins:
            self._known.waiting[aggregate, sequence] = item
            self.outcome.wait[item.record.position] = item, last + 1
        elif self._apply(item):
            self._advance(aggregate, sequence)
            self._release(aggregate)

    def _release(self, aggregate: Aggregate) -> None:
        while (held := self._known.waiting.pop((aggregate, self._known.last[aggregate] + 1), None)) is not None:
            if self.outcome.wait.pop(held.record.position, None) is None:
                self.outcome.released.append(held.record.position)
            if not self._apply(held):
                return
            self._advance(aggregate, self._known.last[aggregate] + 1)

    def _advance(self, aggregate: Aggregate, sequence: int) -> None:
        self._known.last[aggregate] = self.outcome.sequences[aggregate] = sequence

    def _take_unnumbered(self, item: Decoded) -> None:
        if isinstance(item, Message) and item.payload is None:
            return  # nobody wants it, so nobody need remember it
        identity = item.identity
        assert identity is not None, "an item with an event has an identity"
        if identity in self._known.seen:
            self.outcome.duplicates += 1
        elif self._apply(item):
            self._known.seen.add(identity)
            self.outcome.identities.append(identity)

    def _apply(self, item: Decoded) -> bool:
        """True when the item counts as seen from now on."""
        if item.record.position in self._discards:
            return True
        if isinstance(item, Poison):
            self._park(item)
            return False
        return item.payload is None or self._decided(item)

    def _decided(self, message: Message) -> bool:
        key = self._key(message)
        try:
            decided = self._decide(self._known.states.get(key), message)
        except Exception as error:  # noqa: BLE001 - a bug or poison: its key stops, the others go on
            self._park(self._to_poison(message.record, message.event, error))
            return False
        self._known.states[key] = self.outcome.changed[key] = decided.state
        if decided.output is not None:
            self.outcome.outputs.append(decided.output)
        self.outcome.applied.append(message)
        return True

    def _park(self, poison: Poison) -> None:
        self.outcome.parked.append(poison)
        if poison.record.order_key is not None:
            self._known.marked.add(poison.record.order_key)

    def _follow(self, item: Decoded) -> None:
        reason = "an earlier message of this key is parked"
        self.outcome.parked.append(Poison(item.record, FOLLOWS, FOLLOWS, reason, item.event))


def aggregates_of(items: Iterable[Decoded]) -> list[Aggregate]:
    """The numbered aggregates of a batch, each once."""
    return [aggregate for aggregate in {item.aggregate: None for item in items} if aggregate is not None]


def unnumbered(items: Iterable[Decoded]) -> list[Identity]:
    """The identities of messages that only the inbox knows."""
    identities = (item.identity for item in items if item.event is not None and item.event.sequence is None)
    return [identity for identity in identities if identity is not None]


def keys_of(items: Iterable[Decoded]) -> Mapping[OrderKey, None]:
    """The order keys of a batch, each once."""
    return {item.record.order_key: None for item in items if item.record.order_key is not None}
