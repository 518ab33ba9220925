"""The shell's promises as the slowest possible program: one record at a time, no batches, nothing looked up ahead.

Written from DESIGN section 5 alone. `Oracle` is what a group's tables must hold after the same records and orders.
"""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sent:
    """A record on the topic. `key` orders it; `number` counts within `aggregate`; both may be missing."""

    offset: int
    key: str | None
    aggregate: str
    number: int | None
    event_id: str
    readable: bool = True

    @property
    def name(self) -> str:
        """What a state remembers of it."""
        return f"{self.aggregate}#{self.event_id}"


@dataclass
class Oracle:
    """State after state: who was applied, dropped, waits or is parked."""

    broken: set[str] = field(default_factory=set)
    logs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    last: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    inbox: set[str] = field(default_factory=set)
    waiting: dict[str, dict[int, Sent]] = field(default_factory=lambda: defaultdict(dict))
    queues: dict[str, list[Sent]] = field(default_factory=dict)
    alone: list[Sent] = field(default_factory=list)
    dropped: int = 0
    latest_wins: bool = False

    def deliver(self, sent: Sent) -> None:
        if sent.key is not None and sent.key in self.queues:
            self.queues[sent.key].append(sent)
        else:
            self._admit(sent, discard=False)

    def redrive(self, key: str, discards: frozenset[int] = frozenset()) -> None:
        """An operator's order: the key's queue again, from its head."""
        for sent in self.queues.pop(key, []):
            if key in self.queues:
                self.queues[key].append(sent)
            else:
                self._admit(sent, sent.offset in discards)

    def redrive_alone(self, discards: frozenset[int] = frozenset()) -> None:
        """The same for parked records without a key."""
        queue, self.alone = self.alone, []
        for sent in queue:
            self._admit(sent, sent.offset in discards)

    def _admit(self, sent: Sent, discard: bool) -> None:
        if not sent.readable:
            if not discard:
                self._park(sent)
        elif sent.number is None:
            if sent.event_id in self.inbox:
                self.dropped += 1
            elif self._apply(sent, discard):
                self.inbox.add(sent.event_id)
        elif sent.number <= self.last[sent.aggregate] or sent.number in self.waiting[sent.aggregate]:
            self.dropped += 1
        elif sent.number > self.last[sent.aggregate] + 1 and not self.latest_wins:
            self.waiting[sent.aggregate][sent.number] = sent
        elif self._apply(sent, discard):
            self._advance(sent.aggregate, sent.number)

    def _advance(self, aggregate: str, number: int) -> None:
        self.last[aggregate] = number
        while (held := self.waiting[aggregate].pop(self.last[aggregate] + 1, None)) is not None:
            if not self._apply(held, discard=False):
                return
            self.last[aggregate] += 1

    def _apply(self, sent: Sent, discard: bool) -> bool:
        if discard:
            return True
        if sent.name in self.broken:
            self._park(sent)
            return False
        self.logs[sent.aggregate].append(sent.name)
        return True

    def _park(self, sent: Sent) -> None:
        if sent.key is None:
            self.alone.append(sent)
        else:
            self.queues.setdefault(sent.key, []).append(sent)
