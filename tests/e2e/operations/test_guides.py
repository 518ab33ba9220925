"""The guides' commands that only look are typed as they stand; the switch holds running members and new ones."""

import shlex

import pytest

from processors.shell import metrics
from projections.work_item_board import WorkItemBoard
from schemas.registry import GROUPS, dlt_topic
from tests.e2e.operations.commands import casestream
from tests.e2e.operations.items import GROUP, TABLE, TOPIC, create_topics, events_of
from tests.e2e.shell.harness import environ_for, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.unit.operations.test_pages import shown_commands
from tests.waiting import until

# These need a message, an id or a gap that exists, or they run for ever.
_WITH_OBJECTS = (
    *("...", "case_plain_", "--position", "--fingerprint", "skip-gap", " ID", " NAME", " RULE", "rule import", "rule export"),
    *("migrate", "casestream run", "casestream db", "projection rebuild", "projection switch", "stop", "resume"),
)
LOOKING = [line for line in shown_commands() if not any(word in line for word in _WITH_OBJECTS) and len(line.split()) > 2]


async def test_every_looking_command_of_the_guides_answers(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    topics = {
        topic for group in GROUPS.values() for topic in (*group.topics, *(dlt_topic(t, group.name) for t in group.topics))
    }
    await fresh_kafka.create_topics(sorted(topics), 1)
    environ = environ_for(database, fresh_kafka)

    assert len(LOOKING) >= 8
    for line in LOOKING:
        await casestream(environ, *[word for word in shlex.split(line)[1:] if word not in ("--output", "json")])

    assert await rows(database, "select from audit_log") == []


@pytest.mark.requirement("SP-4")
async def test_a_stopped_group_holds_its_members_and_those_that_come(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    settings = settings_for(database, fresh_kafka)
    metrics.lag_records.clear()
    await casestream(environ, "group", "stop", GROUP, "--reason", "a drill")
    await produce(fresh_kafka, TOPIC, events_of("i1", 2))

    async with member(settings, WorkItemBoard(1)):
        await until(lambda: _measured() == 2, what="the lag that the held member measures")
        assert await rows(database, f"select from {TABLE}") == []
        described = await casestream(environ, "group", "describe", GROUP)
        assert (described["state"], described["reason"], len(described["members"])) == ("stopped", "a drill", 1)
        assert [(row["next"], row["end"], row["lag"], row["owner"]) for row in described["partitions"]] == [(0, 2, 2, "test-0")]

        await casestream(environ, "group", "resume", GROUP)

        await until(lambda: rows(database, f"select from {TABLE} where ce_sequence = 2"), what="the events")


def _measured() -> float:
    return metrics.lag_records.labels(GROUP, TOPIC, "0")._value.get()
