"""Reminders that are sent, once each; and a submit against the expiry of its state, whoever comes first (trap 78)."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from domain.directory.entries import TeamEntry, UserEntry
from domain.directory.people import put_teams, put_users, set_active
from domain.message_templates.commands import Draft, save_template
from domain.message_templates.wording import Wording
from domain.notifications.performing import KIND as NOTIFICATION
from domain.notifications.performing import notify
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.flow import FlowKey
from domain.onboarding.turn import Decided
from schemas.errors import ConcurrencyConflict
from schemas.flows import FlowDefinition
from schemas.onboarding import Advance, StepFailed, StepSucceeded, TimerFired
from tests.integration.onboarding.journeys import ENGINE, Journeys
from tests.integration.onboarding.working import ends_as, working
from tests.waiting import until

MAILED = {
    "flow": "mailed",
    "version": 1,
    "title": "Become a member",
    "initial": "FORM",
    "states": [
        {
            "name": "FORM",
            "step": "form",
            "sla": {
                "expiresAfter": "24h",
                "remindAfter": ["1h", "2h"],
                "reminder": {"message": "Your form waits.", "template": "form-waits", "emailField": "email"},
            },
        },
        {"name": "DONE", "end": "completed"},
    ],
    "transitions": [{"from": "FORM", "action": "NEXT", "to": "DONE", "actors": ["USER"]}],
}


def _with(journeys: Journeys, document: dict[str, Any]) -> None:
    definition = FlowDefinition.model_validate(document)
    journeys.flows = FollowedFlows({**released_flows(), FlowKey(definition.flow, definition.version): definition})


async def _notified(journeys: Journeys) -> bool:
    return await journeys.world.look("select user_id, message from notifications") == [
        {"user_id": "ann", "message": "Your form waits."}
    ]


async def _employ(journeys: Journeys, *users: str) -> None:
    async with journeys.world.worker() as conn:
        entries = [UserEntry(tenant_id="north", user_id=user, display_name=user) for user in users]
        await put_users(conn, entries, actor="olga")


async def _fire(journeys: Journeys, timer: str, entry: int = 1) -> str:
    (ruling,) = await journeys.tell(TimerFired(instance_id="i-1", timer=timer, state_entry=entry), actors=ENGINE)
    return type(ruling.outcome).__name__


async def _effects(journeys: Journeys) -> list[tuple[str, dict[str, Any]]]:
    rows = await journeys.world.look(
        "select kind, convert_from(request, 'UTF8') as request from effects"
        " where owner_kind = 'onboarding-reminder' order by seq"
    )
    return [(row["kind"], json.loads(row["request"])) for row in rows]


@pytest.mark.requirement("IN-10")
async def test_a_reminder_is_a_notification_and_a_mail_once_each_and_none_after_the_step(journeys: Journeys) -> None:
    _with(journeys, MAILED)
    async with journeys.world.api() as conn:
        words = Wording("{{onboarding.title}}", "Dear {{fullName}}, step {{onboarding.step}} waits.")
        await save_template(conn, "north", Draft("form-waits", "Form waits", words), author="olga")
    await _employ(journeys, "ann")
    await journeys.start("i-1", "mailed", {"fullName": "Ann", "email": "ann@example.com"})
    assert await _fire(journeys, "reminder.1") == "Unchanged", "it is not due"
    await journeys.pass_time("61 minutes")
    assert [await _fire(journeys, "reminder.1") for _ in range(3)] == ["Decided", "Unchanged", "Unchanged"]
    notification, mail = await _effects(journeys)
    assert notification[0] == "notification"
    assert notification[1]["toUsers"] == ["ann"]
    assert (notification[1]["title"], notification[1]["message"]) == ("Become a member", "Your form waits.")
    assert mail[0] == "email"
    assert (mail[1]["to"], mail[1]["subject"], mail[1]["text"]) == (
        ["ann@example.com"], "Become a member", "Dear Ann, step form waits.")  # fmt: skip
    await journeys.act("i-1")
    await journeys.pass_time("3 hours")
    assert await _fire(journeys, "reminder.2") == "Unchanged", "nobody is waited for"
    assert len(await _effects(journeys)) == 2
    assert await journeys.world.look("select from incidents") == []
    async with working(journeys, replace(journeys.wiring(), internals={NOTIFICATION: notify})):
        await until(lambda: _notified(journeys), what="the notification")


@pytest.mark.requirement("IN-10")
async def test_a_mail_that_cannot_be_written_is_an_incident_and_the_notification_goes_all_the_same(journeys: Journeys) -> None:
    _with(journeys, MAILED)
    await _employ(journeys, "ann")
    await journeys.start("i-1", "mailed", {"fullName": "Ann", "email": "ann@example.com"})
    await journeys.pass_time("61 minutes")
    assert await _fire(journeys, "reminder.1") == "Decided"
    assert [kind for kind, _ in await _effects(journeys)] == ["notification"]
    (trouble,) = await journeys.world.look("select kind, fingerprint, detail::text as detail from incidents")
    assert (trouble["kind"], trouble["fingerprint"]) == ("reminder-not-sent", "mailed|FORM|no-template")
    assert "example.com" not in trouble["detail"]


@pytest.mark.requirement("IN-9", "IN-10")
async def test_of_a_review_the_members_of_its_group_are_reminded(journeys: Journeys) -> None:
    await _employ(journeys, "lena", "former")
    async with journeys.world.worker() as conn:
        team = TeamEntry(tenant_id="north", team_id="loan-officers", name="Loans", member_ids=("lena", "former"))
        await put_teams(conn, [team], actor="olga")
        await set_active(conn, "user", "north", ["former"], False, actor="olga")
    await journeys.start("i-1", "loan-application", {"amount": 1})
    await journeys.act("i-1", "SUBMIT")
    done = StepSucceeded(instance_id="i-1", step="1", attempt=1, effect_id="00000000-0000-7000-8000-000000000001")
    await journeys.tell(done, actors=ENGINE)
    assert (await journeys.row("i-1"))["current_state"] == "DECISION_PENDING"
    await journeys.pass_time("49 hours")
    assert await _fire(journeys, "expiry", 3) == "Decided"
    ((kind, asked),) = await _effects(journeys)
    assert (kind, asked["toUsers"], asked["title"]) == (
        "notification", ["lena"], "Loan application with a decision by a person")  # fmt: skip
    assert await journeys.status("i-1") == "AWAITING_REVIEWS"


@pytest.mark.requirement("IN-10", "trap-78")
@pytest.mark.parametrize("first", ["submit", "expiry"])
async def test_of_a_submit_and_the_expiry_of_its_state_the_first_one_counts(journeys: Journeys, first: str) -> None:
    await journeys.start("i-1")
    await journeys.pass_time("25 hours")
    if first == "submit":
        assert isinstance((await journeys.act("i-1")).outcome, Decided)
        assert await _fire(journeys, "expiry") == "Unchanged"
        async with working(journeys):
            await ends_as(journeys, "i-1", "COMPLETED")
    else:
        assert await _fire(journeys, "expiry") == "Decided"
        refused = (await journeys.act("i-1")).outcome
        assert refused.code == "InstanceEnded"  # type: ignore[union-attr]
        assert await journeys.status("i-1") == "CANCELED"


@pytest.mark.requirement("IN-10", "IN-8", "trap-78")
async def test_of_many_submits_and_expiries_at_once_one_wins_and_what_was_done_is_undone_or_goes_on(journeys: Journeys) -> None:
    """Account and wallet are made before the state that expires: who loses is told, and a cancel compensates."""
    _with(journeys, _expiring_late())
    won = set()
    for number in range(12):
        name = f"i-{number}"
        await journeys.start(name, "late")
        await journeys.act(name)
        await journeys.tell(StepSucceeded(instance_id=name, step="1", attempt=1, effect_id="e"), actors=ENGINE)
    await journeys.pass_time("2 hours")
    for number in range(12):
        name = f"i-{number}"
        submit = journeys.tell(Advance(instance_id=name, action="NEXT"))
        expiry = journeys.tell(TimerFired(instance_id=name, timer="expiry", state_entry=2), actors=ENGINE)
        both = [submit, expiry] if number % 2 else [expiry, submit]
        ended = await asyncio.gather(*both, return_exceptions=True)
        assert not [one for one in ended if isinstance(one, BaseException) and not isinstance(one, ConcurrencyConflict)], ended
        row = await journeys.row(name)
        decided = [ruling.outcome for rulings in ended for ruling in rulings if isinstance(ruling.outcome, Decided)]  # type: ignore[union-attr]
        assert len(decided) == 1, "exactly one counts"
        won.add(row["status"])
        history = await journeys.history(name)
        assert ("SLA_EXPIRED" in history) == (row["status"] == "COMPENSATING")
        assert history.count("SAGA_COMPENSATION") in ((2,) if row["status"] == "COMPENSATING" else (0,))
    assert won <= {"COMPLETED", "COMPENSATING"}


def _expiring_late() -> dict[str, Any]:
    return {
        "flow": "late",
        "version": 1,
        "initial": "FORM",
        "states": [
            {"name": "FORM"},
            {"name": "OFFER", "sla": {"expiresAfter": "1h", "onExpiry": "cancel"}},
            {"name": "DONE", "end": "completed"},
        ],
        "transitions": [
            {
                "from": "FORM",
                "action": "NEXT",
                "to": "OFFER",
                "actors": ["USER"],
                "handler": "create-account",
                "compensation": "UNDO_ACCOUNT_CREATION",
            },
            {"from": "OFFER", "action": "NEXT", "to": "DONE", "actors": ["USER"]},
        ],
        "handlers": [{"name": "create-account"}, {"name": "UNDO_ACCOUNT_CREATION"}],
    }


@pytest.mark.requirement("IN-10")
async def test_a_late_failure_reminds_nobody(journeys: Journeys) -> None:
    _with(journeys, MAILED)
    await journeys.start("i-1", "mailed", {"email": "ann@example.com"})
    late = StepFailed(instance_id="i-1", step="7", attempt=1, effect_id="e", code="down")
    await journeys.tell(late, actors=ENGINE)
    assert await _effects(journeys) == []
