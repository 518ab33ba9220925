"""What running code asks of its instance: versions that hold for ever, and values that are computed once (WF-7, WF-10)."""

import asyncio
from typing import Any

import pytest

from domain.onboarding.handlers import NotDone, StepCall
from domain.onboarding.replaying import gather, judge
from schemas.errors import DecryptionFailed
from schemas.onboarding import RetryStep, TimerFired
from tests.integration.onboarding.journeys import ENGINE, Journeys
from tests.integration.onboarding.working import ends_as, working
from tests.waiting import until

CHANGE, CANARY = "account-numbers", "canary-2203"


async def _sound(journeys: Journeys) -> bool:
    async with journeys.world.api() as conn:
        return judge(await gather(conn, journeys.flows, "north", "i-1")).sound


async def _begun(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"fullName": "Ann"})
    await journeys.act("i-1")


@pytest.mark.requirement("WF-10", "trap-66")
async def test_a_value_is_computed_once_for_all_attempts_and_is_readable_nowhere(journeys: Journeys) -> None:
    computed, seen = [], []

    def number() -> str:
        computed.append(1)
        return f"{CANARY}-{len(computed)}"

    async def later() -> dict[str, Any]:
        return {"drawn": number()}

    async def open_account(call: StepCall) -> None:
        seen.append((await call.side_effect("number", number), await call.side_effect("number", later)))
        if call.attempt < 3:
            raise NotDone("not-yet")

    async def make_wallet(call: StepCall) -> None:
        seen.append((await call.side_effect("number", number),))

    journeys.handlers |= {"create-account": open_account, "create-wallet": make_wallet}
    await _begun(journeys)
    async with working(journeys):
        for attempt in (2, 3):
            await _retry_at_once(journeys, attempt)
        await ends_as(journeys, "i-1", "COMPLETED")
    assert seen == [(f"{CANARY}-1", {"drawn": f"{CANARY}-2"})] * 3 + [(f"{CANARY}-3",)]
    assert (await journeys.history("i-1")).count("SIDE_EFFECT_RECORDED") == 3
    for table in ("workflow_event", "onboarding_instance", "state_snapshot", "effects", "outbox_events", "step_execution"):
        (hit,) = await journeys.world.look(f"select exists (select from {table} t where t::text like '%{CANARY}%') as hit")
        assert not hit["hit"], table
    assert await _sound(journeys)


@pytest.mark.requirement("WF-10")
async def test_a_value_survives_the_process_that_called_with_it(journeys: Journeys) -> None:
    """The process dies between recording and its answer: the next one calls with the same value."""
    sent, dying = [], asyncio.Event()

    async def open_account(call: StepCall) -> None:
        sent.append(await call.side_effect("reference", lambda: f"drawn-{len(sent)}"))
        if len(sent) == 1:
            dying.set()
            await asyncio.Event().wait()

    journeys.handlers["create-account"] = open_account
    await _begun(journeys)
    doomed = asyncio.create_task((await journeys.worker()).run(asyncio.Event()))
    await asyncio.wait_for(dying.wait(), 60)
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert sent == ["drawn-0", "drawn-0"]


@pytest.mark.requirement("WF-10")
async def test_a_recorded_value_that_cannot_be_opened_is_never_replaced_by_another(journeys: Journeys) -> None:
    given, raised = [], []

    async def open_account(call: StepCall) -> None:
        given.append(await call.side_effect("number", lambda: "drawn"))
        pool = await journeys.world.pool("superuser")
        await pool.execute("alter table workflow_event disable trigger workflow_event_append_only")
        spoiled = "set_byte(data, length(data) - 1, get_byte(data, length(data) - 1) # 1)"
        await pool.execute(f"update workflow_event set data = {spoiled} where event_type = 'SIDE_EFFECT_RECORDED'")
        call._asked.clear()
        try:
            given.append(await call.side_effect("number", lambda: "another"))
        except DecryptionFailed as error:
            raised.append(error)

    journeys.handlers["create-account"] = open_account
    await _begun(journeys)
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert (given, len(raised)) == (["drawn"], 1)


@pytest.mark.requirement("WF-10")
async def test_what_cannot_be_kept_fails_the_attempt_and_says_so(journeys: Journeys) -> None:
    raised: list[BaseException] = []

    async def open_account(call: StepCall) -> None:
        for compute in (object, lambda: "x" * 65_000):
            try:
                await call.side_effect("odd", compute)
            except TypeError as error:
                raised.append(error)

    journeys.handlers["create-account"] = open_account
    await _begun(journeys)
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert len(raised) == 2
    assert "at most 64000" in str(raised[1])


@pytest.mark.requirement("WF-7", "trap-65")
async def test_a_journey_follows_the_code_that_began_it_beside_newer_code(journeys: Journeys) -> None:
    followed = []

    async def open_account(call: StepCall) -> None:
        followed.append((call.instance_id, await call.get_version(CHANGE, 1, 2), await call.get_version(CHANGE, 1, 2)))

    journeys.handlers["create-account"] = open_account
    await _begun(journeys)
    journeys.code_versions = {CHANGE: 2}
    await journeys.start("i-2")
    await journeys.act("i-2")
    async with working(journeys):
        for name in ("i-1", "i-2"):
            await ends_as(journeys, name, "COMPLETED")
    assert sorted(followed) == [("i-1", 1, 1), ("i-2", 2, 2)]
    assert (await journeys.history("i-2")).count("VERSION_MARKER") == 1
    assert await _sound(journeys)


@pytest.mark.requirement("WF-7", "trap-65")
async def test_code_that_does_not_know_the_journeys_version_stops_it_loudly_until_code_that_does_is_back(
    journeys: Journeys,
) -> None:
    async def old(call: StepCall) -> None:
        await call.get_version(CHANGE, 1, 1)

    async def new(call: StepCall) -> None:
        assert await call.get_version(CHANGE, 1, 2) == 2

    journeys.code_versions = {CHANGE: 2}
    journeys.handlers["create-account"] = old
    await _begun(journeys)
    async with working(journeys):
        await ends_as(journeys, "i-1", "INCIDENT")
    troubles = await journeys.world.look("select kind, summary, cure from incidents where state = 'open' order by kind")
    assert [one["kind"] for one in troubles] == ["step-failed", "version-unsupported"]
    assert f"instance i-1 follows version 2 of {CHANGE}, and this code knows 1 to 1" in troubles[1]["summary"]
    assert "instance retry i-1" in troubles[1]["cure"]

    journeys.handlers["create-account"] = new
    await journeys.tell(RetryStep(instance_id="i-1", reason="the new code is back"), by="olga", actors=ENGINE)
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert await journeys.world.look("select from incidents where state = 'open'") == []
    assert await _sound(journeys)


async def _retry_at_once(journeys: Journeys, attempt: int) -> None:
    async def pausing() -> bool:
        rows = await journeys.world.look("select state from timers where timer_key = $1", f"onboarding/i-1/retry.1.{attempt}")
        return [row["state"] for row in rows] == ["armed"]

    await until(pausing, what=f"the pause before attempt {attempt}")
    await journeys.pass_time(f"{attempt} minutes")
    await journeys.tell(TimerFired(instance_id="i-1", timer=f"retry.1.{attempt}", state_entry=2), actors=ENGINE)
