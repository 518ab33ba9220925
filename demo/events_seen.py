"""Reading the events topic as any consumer may: this run's refusals, and whether each item's numbers come in order."""

from collections import Counter
from dataclasses import dataclass, field

from demo.topic_reader import TopicReader
from runtime.settings import Settings
from schemas.envelope import from_kafka
from schemas.types import parse
from schemas.work_items import WorkItemActionRefused

TOPIC = "work-items.events.v1"


@dataclass
class Seen:
    """What the topic says. `disorder`: events of an item that came before an earlier number's first delivery."""

    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: int = 0
    repeated: int = 0
    disorder: int = 0
    last: dict[str, int] = field(default_factory=dict)


class EventsReader:
    """Notes where the topic ends before a run; reads what the run added."""

    def __init__(self, settings: Settings) -> None:
        self._topic = TopicReader(settings, TOPIC)

    async def note_start(self) -> None:
        """Remember the present end."""
        await self._topic.note_start()

    async def read(self, command_ids: frozenset[str]) -> Seen:
        """Everything since the start, to the present end. Refusals count once per command of this run."""
        seen, told = Seen(), set[str]()
        async for record in self._topic.records():
            self._take(seen, told, command_ids, record.value, record.headers)
        return seen

    def _take(self, seen: Seen, told: set[str], command_ids: frozenset[str], value: bytes | None, headers: object) -> None:
        event = from_kafka(value, headers)  # type: ignore[arg-type]
        seen.events += 1
        if event.sequence is not None:
            item = event.partitionkey or ""
            last = seen.last.get(item, 0)
            seen.repeated += event.sequence <= last
            seen.disorder += event.sequence > last + 1
            seen.last[item] = max(last, event.sequence)
        elif event.type == WorkItemActionRefused.TYPE:
            refusal = parse(event)
            assert isinstance(refusal, WorkItemActionRefused)
            if refusal.command_id in command_ids and refusal.command_id not in told:
                told.add(refusal.command_id)
                seen.refused[refusal.action or "", refusal.code] += 1
