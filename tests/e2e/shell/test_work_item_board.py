"""The board end to end: events on the topic become rows, once, in order."""

import pytest

from projections.work_item_board import WorkItemBoard
from schemas.models import Payload
from schemas.work_items import WorkItemCreated, WorkItemStatusChanged
from tests.e2e.shell.harness import at, create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TOPIC = "work-items.events.v1"


def created(item: str, version: int = 1, minutes: float = 0) -> Payload:
    return WorkItemCreated(
        work_item_id=item, version=version, changed_by="u1", changed_at=at(minutes), source="CRM_UI", priority="high"
    )


def moved(item: str, version: int, old: str, new: str, action: str, minutes: float) -> Payload:
    return WorkItemStatusChanged.model_validate(
        {
            "workItemId": item,
            "version": version,
            "changedBy": "u1",
            "changedAt": at(minutes),
            "source": "CRM_UI",
            "oldStatus": old,
            "newStatus": new,
            "action": action,
        }
    )


def history(item: str) -> list[Payload]:
    return [
        created(item),
        moved(item, 1, "draft", "open", "Submit", 0),
        moved(item, 2, "open", "in_progress", "StartWork", 10),
        moved(item, 3, "in_progress", "resolved", "Resolve", 40),
        moved(item, 4, "resolved", "closed", "Close", 50),
    ]


@pytest.mark.requirement("SP-4", "SP-5", "SP-6")
async def test_events_delivered_twice_give_one_right_row(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    board = WorkItemBoard(1)
    await create_group_topics(fresh_kafka, board)
    settings = settings_for(database, fresh_kafka)
    events = [event(payload, sequence=number) for number, payload in enumerate(history("i1"), 1)]
    await produce(fresh_kafka, TOPIC, [*events, *events, events[0]])

    async with member(settings, board):
        await until(lambda: _closed(database), what="the row of i1")

    (row,) = await rows(database, "select * from projections.work_item_board__v1")
    assert (row["status"], row["priority"], row["reopen_count"], row["ce_sequence"]) == ("closed", "high", 0, 5)
    assert (row["seconds_open"], row["seconds_in_progress"], row["seconds_resolved"]) == (600, 1800, 600)
    assert (row["opened_at"], row["resolved_at"], row["closed_at"]) == (at(0), at(40), at(50))
    assert not await rows(database, "select * from parked_messages")


async def _closed(database: ClonedDatabase) -> bool:
    return bool(await rows(database, "select from projections.work_item_board__v1 where status = 'closed'"))
