"""The judgement: what the oracle's file says must have happened, against database, events topic and board.

A zero means little without the number of chances: how often something was delivered twice, was retried, was killed.
"""

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from projections.work_item_board import BoardEvent, BoardRow, WorkItemBoard, fold
from runtime.kafka import consumer
from schemas.envelope import from_kafka
from schemas.types import parse
from schemas.work_items import WorkItemStatusChanged
from tests.torture.system.load import Load, Oracle
from tests.torture.system.world import PARTITIONS, World

EVENTS_TOPIC = "work-items.events.v1"
Figures = dict[str, Any]


@dataclass
class Told:
    """What the events topic says from its first offset, each number taken once, as any consumer may."""

    events: int = 0
    repeated: int = 0
    inversions: int = 0
    forked: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, BoardRow] = field(default_factory=dict)

    def take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        event = from_kafka(record.value, record.headers)
        self.events += 1
        item = event.subject or ""
        if event.sequence is None:
            self.refusals[event.type] += 1
        elif event.sequence <= len(self.ids[item]):
            self.repeated += 1
            # Another event under a number that was given: two writers, or a number drawn twice.
            self.forked += self.ids[item][event.sequence - 1] != event.id
        elif event.sequence > len(self.ids[item]) + 1:
            self.inversions += 1
        else:
            self._first(item, event)

    def _first(self, item: str, event: Any) -> None:
        self.ids[item].append(event.id)
        if event.type in WorkItemBoard.interests:
            payload: BoardEvent = parse(event)  # type: ignore[assignment]
            row = fold(self.rows.get(item), payload, event.tenant)
            self.rows[item] = BoardRow(**{**_columns(row), "ce_source": event.source, "ce_sequence": event.sequence})
            if isinstance(payload, WorkItemStatusChanged):
                self.statuses[item].append(payload.new_status)


@dataclass
class Verdict:
    """Zeros wanted. `examples` says where to look."""

    lost: int = 0
    applied_twice: int = 0
    wrong_history: int = 0
    wrong_status: int = 0
    wrong_events: int = 0
    wrong_numbers: int = 0
    board_differs: int = 0
    parked: int = 0
    waiting: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, kind: str, example: object) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < 10:
            self.examples.append(f"{kind}: {example}")


async def judge(world: World, load: Load) -> Figures:
    """Everything that can be counted after quiet. Zeros wanted: `sound` says which."""
    oracle, told, verdict = load.oracle, await read_events(world), Verdict()
    conn = await world.connect()
    try:
        await _judge_items(conn, oracle, told, verdict)
        await _judge_board(conn, told, verdict)
        verdict.parked = await conn.fetchval("select count(*) from parked_messages")
        verdict.waiting = await conn.fetchval("select count(*) from waiting_messages")
        incidents = await conn.fetch("select kind, sum(seen_count)::int as seen from incidents group by kind order by kind")
    finally:
        await conn.close()
    for command in oracle.unclear:
        if str(command.id) in oracle.answers:
            await load.repeat(command)
    return {
        **asdict(verdict),
        "inversions": told.inversions,
        "forked": told.forked,
        "refused": sum(oracle.refused.values()) + sum(told.refusals.values()),
        "other_answers": len(oracle.other_answers),
        "answers_500": oracle.failed_attempts["http 500"],
        "commands": oracle.commands,
        "items": len([life for life in oracle.lives if life.done]),
        "events": sum(len(told.ids[str(life.item)]) for life in oracle.lives),
        "events_on_topic": told.events,
        "chances": {
            "events_delivered_twice": told.repeated,
            "commands_sent_twice": dict(oracle.sent_again),
            "requests_repeated_after_no_answer": len(oracle.unclear),
            "failed_attempts": dict(oracle.failed_attempts),
        },
        "incidents": {row["kind"]: row["seen"] for row in incidents},
        "examples": [*verdict.examples, *map(str, oracle.refused), *oracle.other_answers[:3]],
    }


ZEROS = (
    "lost", "applied_twice", "wrong_history", "wrong_status", "wrong_events", "wrong_numbers", "board_differs", "waiting",
    "inversions", "forked", "refused", "other_answers", "answers_500",
)  # fmt: skip


def sound(figures: Figures, parked: int = 0) -> None:
    """Prints the figures; fails with the whole judgement when something that must be zero is not."""
    print(json.dumps(figures, default=str))
    wrong = {name: figures[name] for name in ZEROS if figures[name]}
    assert not wrong, (wrong, figures)
    assert figures["parked"] == parked, figures
    assert figures["commands"] > 0, figures


async def _judge_items(conn: Any, oracle: Oracle, told: Told, verdict: Verdict) -> None:
    lives = {str(life.item): life for life in oracle.lives if life.done}
    rows = await conn.fetch("select id::text, status, event_sequence from work_items where id = any ($1::uuid[])", list(lives))
    stored = {row["id"]: row for row in rows}
    history: dict[str, list[str]] = defaultdict(list)
    for row in await conn.fetch(
        """select work_item_id::text as item, action, position from work_item_state_history
           where work_item_id = any ($1::uuid[]) order by work_item_id, position""",
        list(lives),
    ):
        history[row["item"]].append(row["action"])
        if row["position"] != len(history[row["item"]]):
            verdict.note("wrong_numbers", f"history of {row['item']} at {row['position']}")
    for item, life in lives.items():
        found = history[item]
        if found != life.history:
            kind = (
                "lost"
                if len(found) < len(life.history)
                else "applied_twice"
                if len(found) > len(life.history)
                else "wrong_history"
            )
            verdict.note(kind, f"{item}: {found}, acknowledged {life.history}")
            continue
        if stored[item]["status"] != life.statuses[-1]:
            verdict.note("wrong_status", f"{item}: {stored[item]['status']}, acknowledged {life.statuses}")
        if told.statuses[item] != life.statuses:
            verdict.note("wrong_events", f"{item}: {told.statuses[item]}, acknowledged {life.statuses}")
        if len(told.ids[item]) != stored[item]["event_sequence"]:
            verdict.note(
                "wrong_numbers", f"{item}: {len(told.ids[item])} events told, {stored[item]['event_sequence']} numbered"
            )


async def _judge_board(conn: Any, told: Told, verdict: Verdict) -> None:
    """Row for row what a reader of the topic folds from its first offset (P6)."""
    shown = {row["work_item_id"]: dict(row) for row in await conn.fetch("select * from projections.work_item_board__v1")}
    for item, row in told.rows.items():
        if shown.pop(item, None) != _columns(row):
            verdict.note("board_differs", item)
    for item in shown:
        verdict.note("board_differs", f"{item} is on the board and not on the topic")


def _columns(row: BoardRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in BoardRow._fields}


async def read_events(world: World) -> Told:
    """The whole topic, to its present end."""
    told, reader = Told(), consumer(world.settings)
    await reader.start()
    try:
        places = [TopicPartition(EVENTS_TOPIC, number) for number in range(PARTITIONS)]
        reader.assign(places)
        ends, begins = await reader.end_offsets(places), await reader.beginning_offsets(places)
        for place in places:
            reader.seek(place, begins[place])
        unread = {place for place in places if ends[place] > begins[place]}
        while unread:
            for place, records in (await reader.getmany(timeout_ms=500, max_records=5000)).items():
                for record in records:
                    told.take(record)
                if records[-1].offset + 1 >= ends[place]:
                    unread.discard(place)
    finally:
        await reader.stop()
    return told
