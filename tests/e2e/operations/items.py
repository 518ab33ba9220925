"""Work items' events for operating on: as many as a test wants, numbered, of any item."""

from itertools import chain, cycle, islice

from schemas.envelope import CloudEvent
from schemas.models import Payload
from schemas.registry import dlt_topic
from schemas.work_items import WorkItemCreated, WorkItemStatusChanged
from tests.e2e.shell.harness import at, event
from tests.infrastructure.topics import FreshKafka

TOPIC = "work-items.events.v1"
GROUP = "projections.work_item_board.v1"
TABLE = "projections.work_item_board__v1"
_BEGUN = ("open", "in_progress", "StartWork")
_THEN = (("in_progress", "waiting_internal", "SetWaitingInternal"), ("waiting_internal", "in_progress", "BackToInProgress"))


def events_of(item: str, count: int, first: int = 1) -> list[CloudEvent]:
    """Numbers `first` to `count` of the item."""
    numbered = [event(payload, sequence=number) for number, payload in enumerate(_payloads(item, count), 1)]
    return numbered[first - 1 :]


def _payloads(item: str, count: int) -> list[Payload]:
    made: list[Payload] = [
        WorkItemCreated(work_item_id=item, version=1, changed_by="u", changed_at=at(0), source="CRM_UI", priority="high")
    ]
    for number, (old, new, action) in enumerate(islice(chain([_BEGUN], cycle(_THEN)), count - 1), 2):
        made.append(
            WorkItemStatusChanged.model_validate(
                {
                    "workItemId": item,
                    "version": number,
                    "changedBy": "u",
                    "changedAt": at(number),
                    "source": "CRM_UI",
                    "oldStatus": old,
                    "newStatus": new,
                    "action": action,
                }
            )
        )
    return made[:count]


async def create_topics(kafka: FreshKafka, partitions: int = 2) -> None:
    """The board's topic and its dead letter topic."""
    await kafka.create_topics([TOPIC, dlt_topic(TOPIC, GROUP)], partitions)
