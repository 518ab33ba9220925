"""What a run leaves behind holds no value of a field that its tenant marks as sensitive; the actions carry it all the same."""

import json

import pytest

from domain.entities.kinds import put_kind
from domain.rules.reads import find_run
from tests.integration.rules.house import House, action, event

ASKS = [
    {"fieldName": "phone", "operator": "STARTS_WITH", "value": "canary"},
    {"fieldName": "value", "operator": "GREATER_THAN", "value": 5, "valueType": "NUMBER"},
]
CALL = action("CREATE_TASK", {"subject": "Call {{phone}}"})


async def mark(house: House, *fields: str) -> None:
    async with house.world.api() as conn:
        await put_kind(conn, "north", "LEAD", managed=False, sensitive_fields=fields, actor="an")


@pytest.mark.requirement("RU-12")
async def test_a_stored_trace_holds_no_sensitive_value_and_the_action_says_it(house: House) -> None:
    await mark(house, "phone")
    await house.rule(CALL, conditions=ASKS, maxExecutionsPerEntity=1)
    await house.meet(event("e1", phone="canary-1", value=7))
    await house.meet(event("e2", phone="canary-2", value=7))

    rows = await house.world.look("select * from workflow_execution_logs order by occurrence")
    assert [row["status"] for row in rows] == ["SUCCESS", "SKIPPED"]
    assert not [row["id"] for row in rows if "canary" in json.dumps(dict(row), default=str)]
    phone, value = json.loads(rows[0]["trace"])["conditions"]
    assert (phone["saw"], phone["expected"], phone["met"], value["saw"]) == ("***", "***", True, 7)
    (task,) = await house.sent("CreateWorkItem")
    assert json.loads(task["payload"])["title"] == "Call canary-1"


@pytest.mark.requirement("RU-12")
async def test_a_field_that_was_marked_later_is_hidden_in_older_runs_too(house: House) -> None:
    rule = await house.rule(CALL, conditions=ASKS)
    await house.meet(event("e1", phone="canary-1", value=7))
    (run,) = await house.runs()
    await mark(house, "phone")

    async with house.world.api() as conn:
        found = await find_run(conn, "north", rule, str(run["id"]))
    assert found is not None
    assert "canary" in run["trace"]
    assert "canary" not in found["trace"]
    assert json.loads(found["trace"])["conditions"][1]["saw"] == 7
