"""A run, its effects, its statistics and its commands are there together or not at all; the tables are the documents'."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from domain.rules import reads, store
from domain.rules.store import queries
from schemas.errors import Rejected
from tests.integration.rules.house import EDITOR, HOOK, OUTBOX, TASK, UPDATE, House, action, event

REFUSE = """
create function refuse_it() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
create trigger refuse_it before insert or update on {table} for each row execute function refuse_it();
"""
WRITTEN = ("workflow_execution_logs", "workflow_rule_deltas", "effects", "outbox_events")


async def written(house: House) -> dict[str, int]:
    """Rows that a run leaves."""
    counts = {table: await house.world.look(f"select count(*)::int as n from {table}") for table in WRITTEN}
    (guard,) = await house.world.look("select coalesce(sum(executions), 0)::int as n from workflow_rule_guards")
    return {table: rows[0]["n"] for table, rows in counts.items()} | {"guards": guard["n"]}


@pytest.mark.requirement("trap-2")
@pytest.mark.parametrize("table", [*WRITTEN, "workflow_rule_guards"])
async def test_where_one_part_cannot_be_written_nothing_is_and_the_event_can_come_again(house: House, table: str) -> None:
    rule = await house.rule(UPDATE, HOOK)
    owner = await house.world.pool("migrate")
    before = await written(house)
    await owner.execute(REFUSE.format(table=table))

    with pytest.raises(asyncpg.RaiseError):
        await house.meet(event("e1", name="An"))
    assert await written(house) == before

    await owner.execute(f"drop trigger refuse_it on {table}")
    await house.meet(event("e1", name="An"))
    assert await house.statistics(rule) == (1, 0, 0)
    assert (await house.runs())[0]["status"] == "RUNNING"
    assert len(await house.sent("UpdateField")) == 1


@pytest.mark.requirement("trap-3", "trap-26")
async def test_what_the_values_do_not_allow_is_a_logged_failure_and_spoils_no_statement(house: House) -> None:
    failing = action("CHANGE_STATUS", {"status": "{{long}}"}, stopOnFailure=True)
    await house.rule(failing, TASK, name="fails")
    await house.rule(UPDATE, name="works")
    await house.meet(event("e1", long="x" * 5_000))

    runs = {run["rule_name"]: run for run in await house.runs()}
    assert (runs["fails"]["status"], runs["works"]["status"]) == ("FAILED", "SUCCESS")
    assert (runs["fails"]["error_message"], runs["fails"]["actions_skipped"]) == ("action 0: out-of-limits", 1)
    assert [row["event_type"] for row in await house.sent("CreateWorkItem")] == []


@pytest.mark.requirement("trap-29")
async def test_no_count_is_lost_while_runs_edits_and_the_folding_of_counts_meet(house: House) -> None:
    rule = await house.rule(UPDATE)
    document = {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [UPDATE]}
    await house.world.look(
        "insert into leases (name, owner, term, expires_at) values ('fold', 'test', 1, now() + interval '1 hour') returning 1"
    )

    async def run(part: int) -> None:
        for number in range(5):
            await house.meet(event(f"e{part}-{number}", f"{part}-{number}", name="An"))

    async def edit() -> None:
        for priority in range(5):
            await house.change_rule(rule, {**document, "priority": priority})

    async def fold() -> None:
        for _ in range(10):
            async with house.world.worker() as conn:
                await queries.fold_deltas(conn, lease="fold", term=1, most=3)

    await asyncio.gather(*(run(part) for part in range(4)), edit(), fold())
    async with house.world.api() as conn:
        found = await store.find_rule(conn, "north", rule)
    assert found is not None
    assert (found.version, found.definition.priority) == (6, 4)
    assert (found.statistics.executions, found.statistics.successes, found.statistics.failures) == (20, 20, 0)


@pytest.mark.requirement("RU-12", "trap-43")
async def test_a_run_that_waits_is_cancelled_and_one_that_is_over_is_not(house: House) -> None:
    rule = await house.rule(action("DELAY", {"duration": 1, "unit": "DAYS"}), UPDATE)
    await house.meet(event("e1", name="An"))
    (run,) = await house.runs()

    async def cancel(conn: Any) -> Any:
        now = await conn.fetchval("select cs_now()") + timedelta(seconds=1)
        return await reads.cancel_run(conn, OUTBOX, EDITOR, rule, str(run["id"]), now)

    async with house.world.api() as conn:
        cancelled = await cancel(conn)
        again = await cancel(conn)
    assert (run["status"], cancelled["status"], cancelled["actions_skipped"]) == ("PENDING", "CANCELLED", 2)
    assert isinstance(again, Rejected)
    assert again.code == "RunIsOver"
    assert [state for _, state in await house.effects()] == ["canceled", "canceled"]
    assert not await house.sent("UpdateField")


@pytest.mark.requirement("RU-16")
async def test_a_rule_stands_in_the_documents_tables_spread_out_for_sql(house: House) -> None:
    group = [
        {"fieldName": "stage", "operator": "EQUALS", "value": "NEW", "logicalOperator": "OR"},
        {"fieldName": "tags", "operator": "CONTAINS", "value": "hot"},
    ]
    big = {"fieldName": "value", "operator": "GREATER_THAN", "value": 5, "valueType": "NUMBER", "nullMatches": True}
    rule = await house.rule(UPDATE, TASK, conditions=[{"group": group}, big], priority=7, maxExecutionsPerEntity=3)

    (head,) = await house.world.look(
        "select name, trigger_type, entity_type, is_active, priority, max_executions_per_entity, created_by from workflow_rules"
    )
    conditions = await house.world.look(
        "select id, field_name, operator, value, value_type, logical_operator, parent_condition_id, group_order, null_matches"
        " from workflow_conditions order by id"
    )
    actions = await house.world.look(
        "select action_order, action_type, configuration from workflow_actions order by action_order"
    )
    assert tuple(head.values()) == ("A rule", "ON_UPDATE", "LEAD", True, 7, 3, "an")
    assert [(row["id"], row["field_name"], row["parent_condition_id"], row["group_order"]) for row in conditions] == [
        (1, None, None, None), (2, "value", None, None), (3, "stage", 1, 0), (4, "tags", 1, 1)
    ]  # fmt: skip
    assert (conditions[1]["value"], conditions[1]["null_matches"], conditions[2]["logical_operator"]) == ("5", True, "OR")
    assert [(row["action_order"], row["action_type"]) for row in actions] == [(0, "UPDATE_FIELD"), (1, "CREATE_TASK")]
    assert json.loads(actions[1]["configuration"]) == TASK["configuration"]
    named = await house.world.look("select indexname from pg_indexes where tablename like 'workflow\\_%'")
    documents = {"idx_workflow_rules_entity_trigger", "idx_workflow_logs_rule", "idx_workflow_logs_entity"}
    assert documents <= {row["indexname"] for row in named}

    await house.change_rule(rule, {"name": "B", "triggerType": "ON_CREATE", "entityType": "LEAD", "actions": [UPDATE]})
    assert await house.world.look("select 1 from workflow_conditions") == []
    assert len(await house.world.look("select 1 from workflow_actions")) == 1
