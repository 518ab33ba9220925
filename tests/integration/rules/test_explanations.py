"""Why a run was, or was not: told from what its row has kept, also when the guard held it back."""

from dataclasses import replace
from typing import Any

import pytest

from domain.rules import asking, store
from domain.rules.matching import Occasion
from domain.rules.reads import find_run
from tests.integration.rules.house import UPDATE, House, event

BIG = [{"fieldName": "value", "operator": "CHANGED_TO", "value": 7, "valueType": "NUMBER"}]


async def why(house: House, rule: str, occasion: Occasion, version: int | None = None) -> asking.Answer:
    named = occasion.name.removeprefix("event|crm|")
    async with house.world.api() as conn:
        stored = await store.find_rule(conn, "north", rule)
        assert stored is not None
        return await asking.why(conn, stored, occasion.change, version=version, source="crm", event_id=named)


async def told(house: House, rule: str, run: Any, language: Any = "en") -> dict[str, Any]:
    async with house.world.api() as conn:
        stored, row = await store.find_rule(conn, "north", rule), await find_run(conn, "north", rule, str(run["id"]))
        assert stored is not None
        assert row is not None
        return dict(await asking.why_run(conn, stored, row, language))


@pytest.mark.requirement("RU-12")
async def test_a_run_is_explained_by_what_it_has_kept_after_the_rule_was_changed(house: House) -> None:
    rule = await house.rule(UPDATE, conditions=BIG)
    seen = event("e1", old={"value": 5}, value=7)
    await house.meet(seen)
    (run,) = await house.runs()
    judged = await why(house, rule, seen)
    await house.change_rule(rule, {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [UPDATE]})

    answer = await told(house, rule, run)
    assert (answer["fires"], answer["version"], answer["runId"]) == (True, 1, str(run["id"]))
    assert answer["explanation"] == asking.trial_row(judged.trial, seen.change, "en")["explanation"]
    assert "it saw 5 before and 7 after" in answer["explanation"][2]
    assert answer["actions"] == [{"type": "UPDATE_FIELD", "code": None}]
    # Asked by the event, the version that ran answers, though another one is there by now.
    assert (await why(house, rule, seen)).version.version == 1
    assert (await told(house, rule, run, "vi"))["verdict"].startswith("Đã kích hoạt")


@pytest.mark.requirement("RU-7", "RU-12", "trap-6")
async def test_a_rule_that_was_held_back_says_what_held_it(house: House) -> None:
    rule = await house.rule(UPDATE, maxExecutionsPerEntity=1)
    first, second = event("e1", value=1), event("e2", value=2)
    looped = event("e3", "43", value=3, causation=[f"rule:{rule}"])
    await house.meet(first, second, looped)

    codes = [(await why(house, rule, one)).verdict.code for one in (first, second, looped)]
    assert codes == ["ran", "max-executions", "own-chain"]
    (row,) = await house.world.look("select id from workflow_execution_logs where error_message = 'max-executions'")
    answer = await told(house, rule, row)
    assert (answer["fires"], answer["actions"]) == (False, [])
    assert "maxExecutionsPerEntity" in answer["verdict"]


@pytest.mark.requirement("RU-12")
async def test_a_run_whose_subject_was_erased_says_no_more_than_its_verdict(house: House) -> None:
    rule = await house.rule(UPDATE, conditions=BIG)
    await house.meet(event("e1", old={"value": 5}, value=7))
    (run,) = await house.runs()
    await (await house.world.pool("migrate")).execute("update workflow_execution_logs set trace = null, input_data = null")

    answer = await told(house, rule, run)
    assert (answer["trace"], answer["explanation"]) == ({}, [answer["verdict"]])


@pytest.mark.requirement("RU-12")
async def test_an_event_that_nobody_has_read_yet_has_no_run(house: House) -> None:
    rule = await house.rule(UPDATE)
    unread = event("e9", value=1)
    answer = await why(house, rule, replace(unread, change=replace(unread.change)))
    assert (answer.verdict.code, answer.run_id) == ("held-back", None)
