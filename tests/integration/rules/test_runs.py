"""Rules meet events on a real database: once per event, in order, with limits, and with effects that follow each other."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.rules.admission import RATE, link
from domain.rules.followed_rules import PAGE
from tests.integration.rules.house import HOOK, TASK, UPDATE, House, action, event, order


@pytest.mark.requirement("RU-8", "RU-12", "RU-16", "trap-29", "trap-37")
async def test_a_rule_that_matches_makes_a_run_and_its_commands_in_the_outbox(house: House) -> None:
    big = [{"fieldName": "estimatedValue", "operator": "GREATER_THAN", "value": 50_000, "valueType": "NUMBER"}]
    rule = await house.rule(UPDATE, TASK, conditions=big)

    await house.meet(event("e1", estimatedValue=75_000, name="An"), event("e2", "43", estimatedValue=50_000, name="Bo"))

    (run,) = await house.runs()
    assert (run["status"], run["entity_id"], run["actions_completed"], run["rule_version"]) == ("SUCCESS", "42", 2, 1)
    assert json.loads(run["trace"])["matched"] is True
    (update,), (task,) = await house.sent("UpdateField"), await house.sent("CreateWorkItem")
    assert json.loads(update["payload"])["value"] == "CONTACTED"
    assert json.loads(task["payload"])["title"] == "Follow up with An"
    assert [row["event_type"] for row in await house.sent("RuleRunFinished")] == ["RuleRunFinished"]
    assert await house.statistics(rule) == (1, 1, 0)


@pytest.mark.requirement("SP-5", "trap-31")
async def test_the_same_event_again_makes_no_second_run_whatever_the_inbox_says(house: House) -> None:
    rule = await house.rule(UPDATE)
    for _ in range(3):
        await house.meet(event("e1", name="An"), event("e1", name="An"))

    assert len(await house.runs()) == 1
    assert len(await house.sent("UpdateField")) == 1
    assert await house.statistics(rule) == (1, 1, 0)


@pytest.mark.requirement("RU-7", "trap-41")
async def test_rules_of_one_event_run_by_priority_then_age(house: House) -> None:
    for name, priority in (("late", 200), ("first", 1), ("second", 100), ("third", 100)):
        await house.rule(action("ADD_TAG", {"tag": name}), name=name, priority=priority)

    (ruling,) = await house.meet(event("e1", name="An"))

    assert [run.match.rule.definition.name for run in ruling.runs] == ["first", "second", "third", "late"]
    assert [json.loads(row["payload"])["tag"] for row in await house.sent("AddTag")]


@pytest.mark.requirement("RU-9", "trap-25", "trap-32")
async def test_a_call_outside_holds_the_next_action_until_its_outcome(house: House) -> None:
    await house.rule(HOOK, UPDATE)
    await house.meet(event("e1", name="An"))

    assert await house.effects() == [("webhook", "due"), ("entity-command", "waiting")]
    assert (await house.runs())[0]["status"] == "RUNNING"


@pytest.mark.requirement("RU-9", "trap-25")
async def test_a_delay_makes_the_run_pending_and_sleeps_nowhere(house: House) -> None:
    await house.rule(action("DELAY", {"duration": 2, "unit": "HOURS"}), UPDATE)
    await house.meet(event("e1", name="An"))

    (run,) = await house.runs()
    (row, _) = await house.world.look("select due_at - created_at as wait, kind from effects order by action_index")
    assert (run["status"], row["kind"]) == ("PENDING", "delay")
    assert timedelta(hours=1, minutes=59) < row["wait"] < timedelta(hours=2, minutes=1)


@pytest.mark.requirement("RU-7", "trap-6")
async def test_a_limit_per_entity_holds_for_batches_that_meet(house: House) -> None:
    rule = await house.rule(UPDATE, maxExecutionsPerEntity=3)

    await asyncio.gather(*(house.meet(event(f"e{number}", name="An")) for number in range(8)))
    await house.meet(event("other", "43", name="Bo"))

    runs = await house.runs()
    assert [run["entity_id"] for run in runs].count("42") == 3
    assert [run["entity_id"] for run in runs].count("43") == 1
    assert await house.statistics(rule) == (4, 4, 0)


@pytest.mark.requirement("trap-30")
async def test_a_loop_is_stopped_by_its_chain_and_a_person_is_told(house: House) -> None:
    rule = await house.rule(UPDATE)
    await house.meet(event("e1", causation=["event-0", link(rule)], name="An"))

    assert await house.runs() == []
    (incident,) = await house.world.look("select kind, object_id, detail from incidents")
    assert (incident["kind"], incident["object_id"]) == ("rule-loop", rule)
    assert json.loads(incident["detail"])["chain"] == ["event-0", link(rule), link(rule)]


@pytest.mark.requirement("trap-30")
@pytest.mark.hole("loop-guard-without-chain")
async def test_a_loop_without_a_chain_is_stopped_by_rate(house: House) -> None:
    await house.rule(UPDATE)
    for number in range(RATE + 5):
        await house.meet(event(f"e{number}", name="An"))

    assert len(await house.runs()) == RATE
    (incident,) = await house.world.look("select fingerprint, seen_count from incidents")
    assert (incident["fingerprint"], incident["seen_count"]) == ("rule-loop|rate", 5)


@pytest.mark.requirement("trap-30")
async def test_what_a_rule_sends_carries_the_chain_with_its_own_link(house: House) -> None:
    rule = await house.rule(UPDATE)
    await house.meet(event("e1", causation=["event-0"], name="An"))

    (sent,) = await house.sent("UpdateField")
    assert f"event-0,{link(rule)}".encode() in sent["headers"]
    assert b"casestream.rules" in sent["headers"]


@pytest.mark.requirement("trap-39", "trap-43")
async def test_an_edit_counts_from_the_next_batch_and_a_run_names_the_version_that_made_it(house: House) -> None:
    rule = await house.rule(UPDATE)
    await house.meet(event("e1", name="An"))
    changed = {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [TASK]}
    await house.change_rule(rule, changed)
    await house.meet(event("e2", name="An"))

    assert [run["rule_version"] for run in await house.runs()] == [1, 2]
    assert len(await house.sent("UpdateField")) == len(await house.sent("CreateWorkItem")) == 1


@pytest.mark.requirement("RU-2")
async def test_an_event_that_is_older_than_the_rule_is_none_of_its_business(house: House) -> None:
    await house.rule(UPDATE)
    await house.meet(event("e1", sent_at=datetime.now(UTC) - timedelta(days=1), name="An"))
    assert await house.runs() == []


@pytest.mark.requirement("RU-11", "trap-35")
async def test_round_robin_takes_turns_among_the_active_and_no_delivery_takes_a_second_one(house: House) -> None:
    turn = {"assignmentType": "ROUND_ROBIN", "userIds": ["an", "bo", "cy"]}
    await house.rule(action("ASSIGN_TO", turn))
    await house.world.look("update users set active = false where tenant_id = 'north' and user_id = 'bo' returning 1")
    for number in range(4):
        await house.meet(event(f"e{number}", str(number), name="An"))
        await house.meet(event(f"e{number}", str(number), name="An"))

    given = [json.loads(row["payload"])["assigneeId"] for row in await house.sent("AssignTo")]
    assert given == ["an", "cy", "an", "cy"]


@pytest.mark.requirement("RU-11", "trap-35")
async def test_batches_that_meet_share_the_turns_fairly(house: House) -> None:
    await house.rule(action("ASSIGN_TO", {"assignmentType": "ROUND_ROBIN", "userIds": ["an", "bo", "cy"]}))
    await asyncio.gather(*(house.meet(event(f"e{number}", str(number), name="An")) for number in range(12)))

    given = [json.loads(row["payload"])["assigneeId"] for row in await house.sent("AssignTo")]
    assert sorted(given) == sorted(["an", "bo", "cy"] * 4)


@pytest.mark.requirement("trap-27")
async def test_an_action_that_the_values_do_not_allow_fails_and_stops_the_rest(house: House) -> None:
    rule = await house.rule(
        action("SEND_NOTIFICATION", {"title": "t", "message": "m", "toUsers": ["{{assignedTo}}"]}, stopOnFailure=True), UPDATE
    )
    await house.meet(event("e1", name="An"))

    (run,) = await house.runs()
    assert (run["status"], run["actions_failed"], run["actions_skipped"]) == ("FAILED", 1, 1)
    assert run["error_message"] == "action 0: no-recipient"
    assert await house.effects() == [("unmakeable", "failed"), ("entity-command", "skipped")]
    assert await house.statistics(rule) == (1, 0, 1)


@pytest.mark.requirement("RU-8")
async def test_a_rule_triggers_another_through_an_order_in_the_same_chain(house: House) -> None:
    second = await house.rule(TASK, name="second", triggerType="ON_DELETE")
    first = await house.rule(action("TRIGGER_WORKFLOW", {"ruleId": second}), name="first")
    await house.meet(event("e1", name="An"))

    (sent,) = await house.sent("StartRule")
    told = json.loads(sent["payload"])
    assert (told["ruleId"], told["newValues"]) == (second, {"name": "An"})
    assert link(first).encode() in sent["headers"]
    await house.meet(order(second, told["occurrence"], name="An"))
    assert [run["rule_name"] for run in await house.runs()] == ["first", "second"]


@pytest.mark.requirement("RU-6", "trap-9")
async def test_a_rule_with_a_group_runs_after_it_was_stored_with_its_defaults_written_out(house: House) -> None:
    """A group was refused for the defaults that the store had written beside it, and the rule quarantined."""
    either = [{"fieldName": "name", "operator": "EQUALS", "value": name, "logicalOperator": "OR"} for name in ("An", "Bo")]
    await house.rule(UPDATE, conditions=[{"fieldName": "name", "operator": "IS_NOT_NULL"}, {"group": either}])
    await house.meet(event("e1", name="Bo"), event("e2", name="Cy"))

    assert [run["status"] for run in await house.runs()] == ["SUCCESS"]
    assert not await house.world.look("select kind from incidents")


async def test_a_rule_that_this_release_cannot_read_is_quarantined_and_stops_no_other(house: House) -> None:
    broken = await house.rule(UPDATE, name="broken")
    await house.rule(TASK, name="whole")
    await house.world.look("alter table workflow_rule_versions disable trigger user")
    await house.world.look(
        "update workflow_rule_versions set definition = replace(definition, 'ON_UPDATE', 'ON_FIELD_CHANGE')"
        " where rule_id = $1::uuid returning 1", broken)  # fmt: skip
    await house.meet(event("e1", name="An"))

    assert [run["rule_name"] for run in await house.runs()] == ["whole"]
    (incident,) = await house.world.look("select kind, object_id, detail from incidents")
    assert (incident["kind"], incident["object_id"]) == ("rule-quarantined", broken)
    assert json.loads(incident["detail"])["problems"] == ["/triggerField trigger-field"]


async def test_a_quarantine_is_told_although_the_batch_that_found_it_was_rolled_back(house: House) -> None:
    broken = await house.rule(UPDATE, name="broken")
    await house.world.look("alter table workflow_rule_versions disable trigger user")
    await house.world.look(
        "update workflow_rule_versions set definition = replace(definition, 'ON_UPDATE', 'ON_FIELD_CHANGE') returning 1"
    )
    async with (await house.world.pool("worker")).acquire() as conn:
        batch = conn.transaction()
        await batch.start()
        await conn.execute("select set_config('app.tenants', '{north}', true)")
        await house.rules.read(conn, ["north"])
        await batch.rollback()
    assert await house.world.look("select from incidents") == []

    for number in range(3):
        await house.meet(event(f"e{number}", name="An"))
    (incident,) = await house.world.look("select object_id, seen_count from incidents")
    assert (incident["object_id"], incident["seen_count"]) == (broken, 1)


@pytest.mark.requirement("trap-39")
async def test_another_zone_of_the_tenant_counts_from_the_next_batch(house: House) -> None:
    evening = datetime(2026, 1, 5, 20, tzinfo=UTC)
    tomorrow = [{"fieldName": "at", "operator": "EQUALS", "value": "2026-01-06", "valueType": "DATE"}]
    await house.rule(UPDATE, conditions=tomorrow)
    await house.meet(event("e1", at=evening.isoformat()))
    assert await house.runs() == []

    await house.world.look("update tenants set zone = 'Asia/Ho_Chi_Minh' where tenant_id = 'north' returning 1")
    await house.meet(event("e2", at=evening.isoformat()))
    assert [run["occurrence"] for run in await house.runs()] == ["event|crm|e2"]


async def test_another_tenants_rules_see_nothing(house: House) -> None:
    await house.rule(UPDATE)
    async with house.world.worker("south") as conn:
        book = await house.rules.read(conn, ["south"])
    assert not [key for key in book.rules if key[0] == "south"]


async def test_two_rules_that_are_due_at_one_instant_both_run(house: House) -> None:
    first, second = await house.rule(TASK, name="first"), await house.rule(TASK, name="second")
    await house.meet(order(first, "cron|noon", name="An"), order(second, "cron|noon", name="An"))
    assert [run["rule_name"] for run in await house.runs()] == ["first", "second"]


async def test_what_was_held_back_stays_so_when_its_event_comes_again_later(house: House) -> None:
    await house.rule(UPDATE, maxExecutionsPerEntity=1)
    await house.meet(event("e1", name="An"), event("e2", name="An"))
    await house.world.look("update workflow_rule_guards set executions = 0 returning 1")
    await house.meet(event("e2", name="An"))

    assert [run["status"] for run in await house.runs()] == ["SUCCESS"]
    assert await house.held() == ["max-executions"]


async def test_a_value_that_no_command_may_hold_fails_its_own_action(house: House) -> None:
    await house.rule(action("CHANGE_STATUS", {"status": "{{long}}"}), UPDATE)
    await house.meet(event("e1", long="x" * 5_000))

    (run,) = await house.runs()
    assert (run["status"], run["error_message"]) == ("PARTIAL_SUCCESS", "action 0: out-of-limits")
    assert len(run["trace"]) < 5_000


async def test_what_an_earlier_run_of_an_entity_asks_for_is_said_before_what_a_later_one_does(house: House) -> None:
    field = {"fieldName": "leadStatus"}
    await house.rule(*(action("UPDATE_FIELD", {**field, "value": f"{{{{step}}}}{place}"}) for place in "ab"))
    await house.meet(event("e1", step="1"), event("other", "43", step="x"), event("e2", step="2"))

    told = [json.loads(row["payload"]) for row in await house.sent("UpdateField")]
    assert [one["value"] for one in told if one["entityId"] == "42"] == ["1a", "1b", "2a", "2b"]


@pytest.mark.requirement("trap-7")
async def test_a_rule_with_a_group_is_read_as_it_was_saved(house: House) -> None:
    group = [
        {"fieldName": "vip", "operator": "EQUALS", "value": True, "valueType": "BOOLEAN", "logicalOperator": "OR"},
        {"fieldName": "name", "operator": "EQUALS", "value": "An"},
    ]
    await house.rule(UPDATE, conditions=[{"fieldName": "name", "operator": "IS_NOT_NULL"}, {"group": group}])
    await house.meet(event("e1", name="An", vip=False), event("e2", "43", name="Bo", vip=False))
    assert await house.world.look("select kind, summary from incidents") == []
    assert [run["entity_id"] for run in await house.runs()] == ["42"]


@pytest.mark.requirement("trap-39")
async def test_more_rules_than_a_page_holds_are_all_read_and_followed(house: House) -> None:
    made = [await house.rule(UPDATE, name=f"Rule {number}", conditions=OTHER) for number in range(PAGE + 3)]
    await house.change_rule(made[0], {"name": "First", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [TASK]})
    await house.meet(event("e1", name="An"))
    assert len(house.rules.book.rules) == PAGE + 3
    await house.change_rule(made[-1], {"name": "Last", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [TASK]})
    await house.meet(event("e2", name="An"))
    assert sorted(run["rule_name"] for run in await house.runs()) == ["First", "First", "Last"]


OTHER = [{"fieldName": "name", "operator": "EQUALS", "value": "Bo"}]
