"""Rules that looked and did not run: counted, and shown now and then with what they saw. A shown skip stops no run."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.rules.purge import RUNS
from domain.rules.reads import list_runs
from domain.rules.sampling import SkipSamples
from processors.rule_metrics import skips
from tests.integration.rules.house import UPDATE, House, action, event
from tests.integration.rules.reading import Reader

VIP = [
    {"fieldName": "name", "operator": "EQUALS", "value": "An", "valueType": "STRING"},
    {"fieldName": "vip", "operator": "EQUALS", "value": True, "valueType": "BOOLEAN"},
]


@pytest.mark.requirement("RU-12")
@pytest.mark.hole("skips-are-shown")
async def test_a_skip_is_shown_with_its_trace_and_its_first_condition_that_was_not_met(house: House) -> None:
    rule = await house.rule(UPDATE, conditions=VIP)
    house.samples = SkipSamples(600)
    await house.meet(event("e1", name="An", vip=False))

    (row,) = await house.world.look("select * from workflow_execution_logs")
    assert (row["status"], row["sampled"], row["error_message"]) == ("SKIPPED", True, "/conditions/1 EQUALS: not-met")
    assert [one["met"] for one in json.loads(row["trace"])["conditions"]] == [True, False]
    async with house.world.api() as conn:
        assert await list_runs(conn, "north", rule, status=None, page=1, size=10) == ([], 0)
        ((shown,), total) = await list_runs(conn, "north", rule, status="SKIPPED", page=1, size=10)
    assert (str(shown["id"]), total) == (str(row["id"]), 1)


async def test_a_tenant_has_one_sample_in_each_part_of_a_minute_whoever_looks(house: House) -> None:
    await house.rule(UPDATE, conditions=VIP)
    other = House(house.world)
    house.samples, other.samples = SkipSamples(1), SkipSamples(1)
    for number in range(3):
        await asyncio.gather(house.meet(event(f"a{number}", name="Bo")), other.meet(event(f"b{number}", name="Bo")))

    rows = await house.world.look("select started_at from workflow_execution_logs")
    minutes = {int(row["started_at"].timestamp() // 60) for row in rows}
    assert 1 <= len(rows) == len(minutes) <= 2


@pytest.mark.requirement("RU-12", "trap-31")
async def test_a_shown_skip_stops_no_later_run_of_the_same_occurrence(house: House) -> None:
    rule = await house.rule(UPDATE, conditions=VIP)
    house.samples = SkipSamples(600)
    await house.meet(event("e1", name="Bo"))
    document = {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [UPDATE]}
    await house.change_rule(rule, document)
    # The upstream sends the event anew: another record, the same occurrence.
    await house.meet(event("e1", name="Bo"))

    assert [(run["status"], run["rule_version"]) for run in await house.runs()] == [("SUCCESS", 2)]
    assert await house.world.look("select from workflow_execution_logs where sampled") != []


async def test_a_replay_shows_nothing_and_the_counters_say_how_much_was_old(house: House) -> None:
    await house.rule(UPDATE, conditions=VIP)
    reader = Reader(house, skips_shown_per_minute=600)
    for number in range(3):
        reader.publish(f"e{number}", name="Bo")
    await reader.read()
    shown = await house.world.look("select id from workflow_execution_logs")
    assert len(shown) == 1

    before = _counted("replayed")
    await reader.move(0)
    await reader.read()
    assert await house.world.look("select id from workflow_execution_logs") == shown
    assert _counted("replayed") == before + 3


async def test_skips_are_counted_by_reason(house: House) -> None:
    limited = await house.rule(action("ADD_TAG", {"tag": "once"}), maxExecutionsPerEntity=1)
    for number in range(4):
        await house.rule(UPDATE, name=f"Rule {number}", conditions=VIP)
    before = {reason: _counted(reason) for reason in ("conditions", "older-event", "max-executions")}
    reader = Reader(house)
    reader.publish("e1", name="Bo")
    reader.publish("e2", name="Bo")
    await reader.read()
    assert limited
    assert _counted("conditions") == before["conditions"] + 8
    assert _counted("max-executions") == before["max-executions"] + 1
    assert _counted("older-event") == before["older-event"]


async def test_an_event_older_than_the_rule_is_told_as_such(house: House) -> None:
    await house.rule(UPDATE)
    house.samples = SkipSamples(600)
    await house.meet(event("e1", sent_at=datetime.now(UTC) - timedelta(days=1), name="An"))
    (row,) = await house.world.look("select error_message from workflow_execution_logs")
    assert row["error_message"] == "older-event"


@pytest.mark.requirement("trap-80")
async def test_a_shred_empties_what_a_shown_skip_saw(house: House) -> None:
    await house.rule(UPDATE, conditions=VIP)
    house.samples = SkipSamples(600)
    await house.meet(event("e1", name="Bo"))
    async with house.world.worker() as conn:
        await RUNS.purge(conn, "north", "LEAD/42")
    (row,) = await house.world.look("select trace, input_data from workflow_execution_logs")
    assert (row["trace"], row["input_data"]) == (None, None)


def _counted(reason: str) -> float:
    value: float = skips.labels(reason)._value.get()
    return value
