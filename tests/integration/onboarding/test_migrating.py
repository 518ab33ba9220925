"""Instances moved to another version of their flow: a dry run that is the decision, pages, and what stays."""

from typing import Any

import pytest

from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.flow import FlowKey
from domain.onboarding.migrating import Migration, Page, move_page, plan_of, try_page, warm_page
from domain.onboarding.replaying import gather, judge
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.flows import FlowDefinition
from tests.integration.onboarding.journeys import Journeys
from tests.integration.onboarding.working import ends_as, working

OPERATOR = Caller("north", "olga", frozenset({"operator"}), "CRM_UI")
SECRET_REASON = "canary-new-law"


def _version(number: int, **renamed: str) -> FlowDefinition:
    """Two forms and an account between them; `renamed`: another name for a state."""
    first, second = renamed.get("FORM", "FORM"), renamed.get("SECOND", "SECOND")
    return FlowDefinition.model_validate(
        {
            "flow": "moving",
            "version": number,
            "initial": first,
            "states": [
                {"name": first, "sla": {"expiresAfter": f"{number * 10}h"}},
                {"name": second},
                {"name": "DONE", "end": "completed"},
            ],
            "transitions": [
                {
                    "from": first,
                    "action": "NEXT",
                    "to": second,
                    "actors": ["USER"],
                    "handler": "create-account",
                    "compensation": "UNDO_ACCOUNT_CREATION",
                },
                {"from": second, "action": "NEXT", "to": "DONE", "actors": ["USER"]},
            ],
            "handlers": [{"name": "create-account"}, {"name": "UNDO_ACCOUNT_CREATION"}],
        }
    )


def _with(journeys: Journeys, *definitions: FlowDefinition) -> None:
    known = {FlowKey(one.flow, one.version): one for one in definitions}
    journeys.flows = FollowedFlows({**released_flows(), **known})


def _order(**states: str) -> Migration:
    return Migration("moving", 1, 2, states, SECRET_REASON)


async def _dry(journeys: Journeys, order: Migration, **page: Any) -> Page:
    async with journeys.world.api() as conn:
        found = await try_page(conn, journeys.engine, OPERATOR, order, **page)
    assert isinstance(found, Page), found
    return found


async def _move(journeys: Journeys, order: Migration, **page: Any) -> Page:
    async with journeys.world.api() as conn:
        await warm_page(conn, journeys.engine, "north", order, **page)
    async with journeys.world.api() as conn:
        found = await move_page(conn, journeys.engine, OPERATOR, order, **page)
    assert isinstance(found, Page), found
    return found


def _told(page: Page) -> list[tuple[str, str, str]]:
    return [(one.instance_id, one.result, one.state) for one in page.moved]


@pytest.mark.requirement("IN-13", "WF-11")
async def test_a_dry_run_writes_nothing_and_says_what_the_order_then_does(journeys: Journeys) -> None:
    _with(journeys, _version(1), _version(2, FORM="START"))
    for name in ("i-1", "i-2", "i-3"):
        await journeys.start(name, "moving", {"fullName": "Ann"})
    await journeys.act("i-2")
    before = await journeys.row("i-1")

    assert [result for _, result, _ in _told(await _dry(journeys, _order()))] == ["stays"] * 3
    dry = await _dry(journeys, _order(FORM="START"))
    assert _told(dry) == [("i-1", "fits", "START"), ("i-2", "stays", "FORM"), ("i-3", "fits", "START")]
    assert "a step is under way" in (dry.moved[1].message or "")
    assert await journeys.row("i-1") == before

    done = await _move(journeys, _order(FORM="START"))
    assert _told(done) == [("i-1", "moved", "START"), ("i-2", "stays", "FORM"), ("i-3", "moved", "START")]
    row = await journeys.row("i-1")
    assert (row["flow_version"], row["current_state"]) == (2, "START")
    (timer,) = await journeys.world.look(
        "select round(extract(epoch from due_at - cs_now()) / 3600) as hours from timers"
        " where timer_key = 'onboarding/i-1/expiry'"
    )
    assert timer["hours"] == 20, "its times begin again, by the new version"
    async with working(journeys):
        await journeys.act("i-1")
        await ends_as(journeys, "i-1", "ACTIVE", state="SECOND")
        await ends_as(journeys, "i-2", "ACTIVE", state="SECOND")
        assert _told(await _move(journeys, _order(FORM="START"))) == [("i-2", "moved", "SECOND")], (
            "the one that stayed is found again"
        )
        await journeys.act("i-1")
        await ends_as(journeys, "i-1", "COMPLETED")
    async with journeys.world.api() as conn:
        for name in ("i-1", "i-2"):
            assert judge(await gather(conn, journeys.flows, "north", name)).sound
    audited = await journeys.world.look(
        "select actor, detail::text as detail from audit_log where action = 'onboarding.migrate'"
    )
    assert [row["actor"] for row in audited] == ["olga", "olga"]
    (hit,) = await journeys.world.look(
        f"select exists (select from workflow_event e where e::text like '%{SECRET_REASON}%') as hit"
    )
    assert not hit["hit"], "a reason is sealed"


@pytest.mark.requirement("IN-13")
async def test_pages_go_on_behind_each_other_and_an_order_that_died_is_given_again(journeys: Journeys) -> None:
    _with(journeys, _version(1), _version(2))
    for number in range(5):
        await journeys.start(f"i-{number}", "moving")
    first = await _move(journeys, _order(), size=2)
    assert ([one.instance_id for one in first.moved], first.next) == (["i-0", "i-1"], "i-1")
    with pytest.raises(_Killed):
        await _die_moving(journeys, first.next)
    rest = await _move(journeys, _order())
    assert [one.instance_id for one in rest.moved] == ["i-2", "i-3", "i-4"]
    assert (await _dry(journeys, _order())).moved == []


@pytest.mark.requirement("IN-13", "trap-69")
async def test_what_could_not_be_undone_or_never_left_keeps_an_instance_where_it_is(journeys: Journeys) -> None:
    document = _version(2).as_document()
    document["transitions"][0] = {"from": "FORM", "action": "NEXT", "to": "SECOND", "actors": ["OPERATOR"]}
    document["handlers"] = []
    _with(journeys, _version(1), FlowDefinition.model_validate(document))
    for name in ("i-1", "i-2"):
        await journeys.start(name, "moving")
    async with working(journeys):
        await journeys.act("i-2")
        await ends_as(journeys, "i-2", "ACTIVE", state="SECOND")
    stays = await _move(journeys, _order())
    assert [one.result for one in stays.moved] == ["stays", "stays"]
    assert "FORM waits for USER, and FORM in version 2 for OPERATOR" in (stays.moved[0].message or "")
    assert "version 2 does not declare UNDO_ACCOUNT_CREATION" in (stays.moved[1].message or "")
    async with journeys.world.api() as conn:
        plan = await plan_of(conn, journeys.engine, "north", _order())
        refused = await plan_of(conn, journeys.engine, "north", Migration("moving", 1, 3, {}, "x"))
    assert not isinstance(plan, Rejected)
    assert plan.undone_by == ("UNDO_ACCOUNT_CREATION",)
    assert isinstance(refused, Rejected)
    assert refused.code == "UnknownFlow"


@pytest.mark.requirement("IN-13", "SP-5")
async def test_another_tenants_instances_are_none(journeys: Journeys) -> None:
    _with(journeys, _version(1), _version(2))
    await journeys.start("i-1", "moving")
    other = Caller("south", "olga", frozenset({"operator"}), "CRM_UI")
    async with journeys.world.api("south") as conn:
        found = await move_page(conn, journeys.engine, other, _order())
    assert isinstance(found, Page)
    assert found.moved == []


async def _die_moving(journeys: Journeys, after: str | None) -> None:
    async with journeys.world.api() as conn:
        await move_page(conn, journeys.engine, OPERATOR, _order(), after=after, size=2)
        raise _Killed


class _Killed(Exception):
    """The process died before its commit."""
