"""Rules on the real broker and database, down to the webhook, the changed lead and the task; and nothing of it twice."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.entities.store import unpack_values
from domain.rules.admission import link
from tests.e2e.rules.stage import Stage, open_stage, ordered
from tests.e2e.shell.harness import execute, produce
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.outgoing.receivers import Receiver, receiver, reply
from tests.integration.rules.house import TASK, UPDATE, action

COMMANDS = "crm.entity.commands"
ON_SCORE = {"triggerType": "ON_FIELD_CHANGE", "triggerField": "score"}


def hook(at: Receiver, **attributes: Any) -> Mapping[str, Any]:
    told = {"url": f"http://127.0.0.1:{at.port}/hook", "bodyTemplate": {"score": "{{score}}"}}
    return action("CALL_WEBHOOK", told, **attributes)


async def values(stage: Stage) -> dict[str, Any]:
    (row,) = await stage.rows("select entity_values from entity_state")
    return dict(unpack_values(row["entity_values"]))


async def counts(stage: Stage) -> dict[str, int]:
    """What a second application would change."""
    (row,) = await stage.rows(
        "select (select count(*) from workflow_execution_logs where status <> 'SKIPPED') as runs,"
        " (select count(*) from effects) as effects,"
        " (select coalesce(sum(executions), 0)::int from workflow_rule_deltas) as executions,"
        " (select coalesce(sum(successes), 0)::int from workflow_rule_deltas) as successes,"
        " (select count(*) from work_items) as items, (select sum(version)::int from entity_state) as version"
    )
    return row


@pytest.mark.requirement("RU-8", "RU-9", "SP-5", "trap-31")
async def test_a_change_becomes_a_call_a_field_and_a_task_once(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    async with receiver(reply(200)) as at:
        stage = await open_stage(database, fresh_kafka, at.port)
        rule = await stage.rule(hook(at), UPDATE, TASK, **ON_SCORE)
        await produce(fresh_kafka, COMMANDS, [ordered("begin", "score", "7")])
        async with stage.playing():
            await stage.settled()

        (run,) = await stage.rows("select id, status from workflow_execution_logs")
        effects = await stage.rows("select effect_id::text as id, kind, state from effects order by action_index")
        assert run["status"] == "SUCCESS"
        assert [(one["kind"], one["state"]) for one in effects] == [
            ("webhook", "succeeded"), ("entity-command", "succeeded"), ("task", "succeeded")
        ]  # fmt: skip
        assert [(visit.headers["webhook-id"], visit.body) for visit in at.visits] == [(effects[0]["id"], b'{"score":"7"}')]
        assert (await values(stage))["leadStatus"] == "CONTACTED"
        chains = [record.get("ce_causation", "") for record in await stage.told("crm.entity.events")]
        assert [link(rule) in chain for chain in chains] == [False, False, True]
        assert [record["ce_type"] for record in await stage.told("rules.executions.v1")] == ["RuleRunFinished"]
        before = await counts(stage)
        assert before["items"] == 1

        await stage.rule(TASK, name="Made after the event", **ON_SCORE)
        await execute(database, "delete from inbox")
        await execute(database, "update consumer_offsets set next = 0")
        async with stage.playing():
            await stage.settled()
        assert await counts(stage) == before
        assert len(at.visits) == 1
        assert not await stage.rows("select from parked_messages")


@pytest.mark.requirement("RU-9")
async def test_a_call_that_fails_for_good_ends_the_run_and_skips_the_rest(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    async with receiver(reply(500)) as at:
        stage = await open_stage(database, fresh_kafka, at.port)
        failing = hook(at, stopOnFailure=True, retryCount=1, retryDelaySeconds=1)
        await stage.rule(failing, UPDATE, **ON_SCORE)
        await produce(fresh_kafka, COMMANDS, [ordered("begin", "score", "7")])
        async with stage.playing():
            await stage.settled()

        assert len(at.visits) == 2
        assert len({visit.headers["webhook-id"] for visit in at.visits}) == 1
        assert [row["status"] for row in await stage.rows("select status from workflow_execution_logs")] == ["FAILED"]
        states = await stage.rows("select state from effects order by action_index")
        assert [row["state"] for row in states] == ["failed", "skipped"]
        assert [row["kind"] for row in await stage.rows("select kind from incidents")] == ["effect-failed"]
        assert "leadStatus" not in await values(stage)


@pytest.mark.requirement("trap-30")
async def test_a_rule_that_writes_what_it_watches_is_stopped_by_its_chain(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    stage = await open_stage(database, fresh_kafka, 9)
    rule = await stage.rule(action("UPDATE_FIELD", {"fieldName": "score", "value": "{{score}}+"}), **ON_SCORE)
    await produce(fresh_kafka, COMMANDS, [ordered("begin", "score", "7")])
    async with stage.playing():
        await stage.settled()

    assert (await values(stage))["score"] == "7+"
    assert (await counts(stage))["runs"] == 1
    (incident,) = await stage.rows("select kind, object_id, fingerprint from incidents")
    assert (incident["kind"], incident["object_id"], incident["fingerprint"]) == ("rule-loop", rule, "rule-loop|own-chain")
