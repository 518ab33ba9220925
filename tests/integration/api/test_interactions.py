"""The interaction service over HTTP: whose they are, what a front end sees, repetitions, and status with one owner."""

import asyncio
import uuid
from typing import Any

import pytest

from schemas.onboarding import StepSucceeded
from tests.integration.api.conftest import Served
from tests.integration.api.interaction_scenes import PROFILE, instance_of, look, notice, start, submit
from tests.integration.api.onboarding_scenes import told
from tests.integration.api.test_onboarding import working
from tests.integration.api.test_step_answers import asking
from tests.waiting import until

LOOKED_AT = "select status, expiry_time is not null as expires from flw_int"


@pytest.mark.requirement("IN-2", "IN-3", "IN-4", "IN-6", "IN-14")
async def test_a_front_end_sees_a_step_a_status_and_its_case_and_nothing_of_the_engine(served: Served) -> None:
    begun = await start(served, {"data": {"phone": "+84912345678", "product": "gold"}})
    assert begun.status_code == 201, begun.text
    one = begun.json()
    assert one == {
        "interactionId": one["interactionId"], "stepName": "otp", "status": "AWAITING_INPUT",
        "case": {"phone": "****", "product": "gold"},
    }  # fmt: skip
    mine = await served.client.get(begun.headers["location"], headers=served.headers(("customer",)))
    assert (mine.json(), mine.headers["etag"]) == (one, begun.headers["etag"])
    assert (await look(served, one["interactionId"], user="binh")).json()["error"] == "InteractionNotFound"
    assert (await submit(served, one["interactionId"], "otp", user="binh")).status_code == 404
    assert (await look(served, one["interactionId"], tenant="south")).status_code == 404
    assert (await look(served, one["interactionId"], roles=("admin",), user="root")).status_code == 403
    (row,) = await served.rows("select case_id, user_id, process_instance_id, status from flw_process_mapping")
    assert (row["user_id"], row["status"], row["case_id"]) == ("an", "RUNNING", row["process_instance_id"])
    assert row["process_instance_id"] not in mine.text + str(mine.headers)


@pytest.mark.requirement("IN-1", "IN-13")
async def test_the_case_definition_is_pinned_with_the_flow(served: Served) -> None:
    await start(served)
    await start(served)
    pinned = await served.rows("select tenant_id, name, version from flw_case_def")
    assert [tuple(row) for row in pinned] == [("north", "customer", 1)]
    (case,) = await served.rows("select count(*) as n from flw_case")
    assert case["n"] == 2, "a case begins with its interaction, whatever was said"


@pytest.mark.requirement("IN-4", "IN-5", "IN-6", "trap-74", "trap-75")
async def test_status_follows_the_instance_in_its_own_transaction(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    first = await submit(served, interaction, "otp", {"data": {"otp": "1234"}})
    assert (first.status_code, first.json()["stepName"], first.json()["status"]) == (202, "otp", "RUNNING")
    instance = await instance_of(served, interaction)
    await told(served, StepSucceeded(instance_id=instance, step="1", attempt=1, effect_id="e", data={"secretScore": 7}))
    seen = (await look(served, interaction)).json()
    assert seen == {"interactionId": interaction, "stepName": "profile", "status": "AWAITING_INPUT", "case": {}}
    await submit(served, interaction, "profile", {"data": PROFILE})
    await served.client.post(
        f"/admin/onboarding/{instance}/cancel", json={"reason": "asked"}, headers=served.headers(("admin",), user="root")
    )
    assert (await look(served, interaction)).json()["status"] == "CANCELED"
    statuses = await served.rows(
        "select i.status, m.status as mapping from flw_int i join flw_process_mapping m using (case_id)"
    )
    assert [tuple(row) for row in statuses] == [("CANCELED", "CANCELED")]
    late = await submit(served, interaction, "documents", {"data": {"document": "d"}})
    assert (late.status_code, late.json()["error"]) == (409, "InteractionEnded")


@pytest.mark.requirement("IN-4", "IN-11")
async def test_data_that_does_not_fit_is_refused_with_every_problem_and_its_place(served: Served) -> None:
    assert (await start(served, {"data": {"otp": "1"}})).status_code == 422
    interaction = (await start(served)).json()["interactionId"]
    refused = await submit(served, interaction, "otp", {"data": {"otp": "not a number", "cvv~/": "canary-4711"}})
    assert (refused.status_code, refused.json()["error"]) == (422, "DataRefused")
    found = {(one["pointer"], one["code"]) for one in refused.json()["errors"]}
    assert found == {("/data/otp", "pattern"), ("/data/cvv~0~1", "additionalProperties")}
    assert "canary" not in refused.text
    assert "not a number" not in refused.text
    missing = (await submit(served, interaction, "otp")).json()["errors"]
    assert [(one["pointer"], one["code"]) for one in missing] == [("/data/otp", "required")]
    other = await submit(served, interaction, "profile", {"data": PROFILE})
    assert (other.status_code, other.json()["error"], other.json()["stepName"]) == (409, "StepNotCurrent", "otp")
    wrong = await submit(served, interaction, "otp", {"action": "FLY", "data": {"otp": "1234"}})
    assert (wrong.status_code, wrong.json()["allowedActions"]) == (400, ["NEXT"])
    instance = await instance_of(served, interaction)
    assert instance not in refused.text + other.text + wrong.text


@pytest.mark.requirement("IN-7", "trap-76")
async def test_a_repetition_gets_the_first_answer_and_another_body_is_refused(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    said = {"data": {"otp": "1234", "phone": "+84912345678"}}
    assert (await submit(served, interaction, "otp", said, idempotency_key="")).status_code == 400
    async with working(served):
        first = await submit(served, interaction, "otp", said, idempotency_key="once")
        assert (first.status_code, first.json()["stepName"]) == (200, "profile")
        await submit(served, interaction, "profile", {"data": PROFILE})
        again = await submit(served, interaction, "otp", said, idempotency_key="once")
    assert (again.status_code, again.json()) == (200, first.json())
    assert (again.headers["etag"], again.headers["idempotency-replayed"]) == (first.headers["etag"], "true")
    other = await submit(served, interaction, "otp", {"data": {"otp": "9999"}}, idempotency_key="once")
    assert (other.status_code, other.json()["error"]) == (422, "IdempotencyKeyReused")
    steps = await served.rows("select from workflow_event where event_type = 'STEP_STARTED'")
    assert len(steps) == 1


@pytest.mark.requirement("IN-7", "trap-76")
async def test_of_two_first_uses_at_once_one_acts_and_both_get_its_answer(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    said = {"data": {"otp": "1234"}}
    answers = await asyncio.gather(*(submit(served, interaction, "otp", said, idempotency_key="k") for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json().get("error") for answer in answers if answer.status_code == 409} <= {"IdempotencyKeyInUse"}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers if answer.status_code == 202) == 1
    assert len(await served.rows("select from workflow_event where event_type = 'ACTION_ACCEPTED'")) == 1


@pytest.mark.requirement("IN-5", "trap-74")
async def test_a_notice_of_the_engine_changes_nothing_by_itself_and_is_for_the_engine_alone(served: Served) -> None:
    interaction = (await start(served)).json()["interactionId"]
    for _ in range(2):
        answer = await notice(served, interaction, {"status": "COMPLETED"})
        assert answer.status_code == 200
        assert answer.json() == {
            "interactionId": interaction, "stepName": "otp", "status": "AWAITING_INPUT", "applied": False,
        }  # fmt: skip
    assert (await notice(served, interaction, {}, roles=("customer",), user="an")).status_code == 403
    unknown = await notice(served, interaction, {"effectId": str(uuid.uuid4())})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "StepCallNotFound")
    assert (await notice(served, str(uuid.uuid4()), {})).status_code == 404


@pytest.mark.requirement("IN-10")
async def test_a_step_has_an_expiry_time_and_after_it_nothing_can_be_submitted(served: Served) -> None:
    begun = await start(served)
    (row,) = await served.rows(LOOKED_AT)
    assert tuple(row) == ("AWAITING_INPUT", True)
    (times,) = await served.rows("select expiry_time - entered_at = interval '24 hours' as day from flw_int")
    assert times["day"]
    assert begun.json()["stepName"] == "otp"


@pytest.mark.requirement("IN-4")
async def test_a_flow_that_is_not_there_begins_nothing(served: Served) -> None:
    unknown = await start(served, {"flow": "nothing-like-it"})
    assert (unknown.status_code, unknown.json()["error"]) == (422, "UnknownFlow")
    assert await served.rows("select from interactions") == []


@pytest.mark.requirement("IN-5", "trap-74")
async def test_the_first_notice_of_a_call_counts_and_the_same_again_changes_nothing(served: Served) -> None:
    async with asking(served):
        interaction = (await start(served, {"flow": "outside"})).json()["interactionId"]
        other = (await start(served)).json()["interactionId"]
        begun = await submit(served, interaction, "A", {"action": "KAFKA"})
        assert begun.status_code == 202, begun.text

        async def made() -> list[Any]:
            return await served.rows("select effect_id from effects where state = 'succeeded'")

        (row,) = await until(made, what="the service to be asked")
        ended = {"effectId": str(row["effect_id"]), "data": {"paid": "yes"}}
        assert (await notice(served, other, ended)).status_code == 404, "the call of another interaction"
        first, again = await notice(served, interaction, ended), await notice(served, interaction, ended)
    assert (first.json()["status"], first.json()["applied"]) == ("AWAITING_INPUT", True)
    assert (again.json()["status"], again.json()["applied"]) == ("AWAITING_INPUT", False)
    assert (await look(served, interaction)).json()["case"] == {}, "no case definition says what may be shown"
