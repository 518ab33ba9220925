"""The documents' six use cases (RU-15), imported from the file that we ship and run by name."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.effects.store import decode
from domain.entities.store import pack_values
from domain.message_templates.commands import Draft, save_template
from domain.message_templates.wording import Wording
from domain.rules.change import Change
from domain.rules.commands import Wish
from domain.rules.files import Imported, import_rules, read_rules
from domain.rules.matching import Direct, Occasion
from schemas.entities import ChangeType
from schemas.rules import TriggerType
from tests.integration.rules.house import EDITOR, House
from tests.integration.rules.test_schedules import fire_due, orders, set_clock

FILE = Path(__file__).parents[3] / "definitions" / "rules" / "use-cases.yaml"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
SALES = """
insert into teams (tenant_id, team_id, name) values ('north', 'sales', 'Sales');
insert into team_members (tenant_id, team_id, user_id) values ('north', 'sales', 'an'), ('north', 'sales', 'bo');
"""


@pytest.fixture
async def office(house: House) -> House:
    """A tenant that has what the rules name, and the rules themselves."""
    await (await house.world.pool("migrate")).execute(SALES)
    await set_clock(house.world, NOON)
    async with house.world.api() as conn:
        for name in ("welcome", "proposal"):
            draft = Draft(name, name, Wording(name, "Dear {{name}}"))
            assert await save_template(conn, "north", draft, author="an") == 1
        rules, wrong = read_rules(FILE)
        done = await import_rules(conn, EDITOR, rules, Wish(), most=10)
    assert wrong == []
    assert [one.outcome for one in done if isinstance(one, Imported)] == ["created"] * 6
    return house


def occasion(kind: str, change: ChangeType, entity: str, new: Mapping[str, Any], **more: Any) -> Occasion:
    at = NOON + timedelta(seconds=1)
    told = Change("north", kind, entity, change, more.pop("old", None), new, (), "API", (), at, entity)
    return Occasion(told, more.pop("name", f"event|crm|{entity}"), f"{kind}/{entity}", at, **more)


async def asked(house: House, name: str) -> tuple[str, dict[str, Any]]:
    """What the only action of a rule's only run asked for."""
    (run,) = [run for run in await house.runs() if run["rule_name"] == name]
    (row,) = await house.world.look("select kind, request from effects where owner_id = $1", str(run["id"]))
    return row["kind"], decode(row["request"]) or {}


async def known(house: House, kind: str, entity: str, **values: Any) -> None:
    """An entity of which nothing was heard since January."""
    await house.world.look(
        "insert into entity_state (tenant_id, entity_type, entity_id, entity_values, removed, event_sequence, subject_id,"
        " created_at, changed_at) values ('north', $1, $2, $3, false, 0, $1 || '/' || $2, '2026-01-01', '2026-01-01')",
        kind,
        entity,
        pack_values(values),
    )


async def at_eight(house: House) -> None:
    """The next morning in Ho Chi Minh City: the schedules fire, and what they order is met."""
    await set_clock(house.world, datetime(2026, 12, 2, 1, 0, 5, tzinfo=UTC))
    await fire_due(house, 8)
    for told in await orders(house):
        direct = Direct(told["ruleId"], TriggerType.SCHEDULED, True)
        named = {"name": told["occurrence"], "direct": direct}
        await house.meet(occasion(told["entityType"], "UPDATE", told["entityId"], told["newValues"], **named))


@pytest.mark.requirement("RU-15")
async def test_welcome_mail_for_a_new_lead(office: House) -> None:
    await office.meet(occasion("LEAD", "CREATE", "1", {"name": "An", "email": "an@example.com"}))
    kind, mail = await asked(office, "Welcome mail for a new lead")
    assert (kind, mail["to"], mail["subject"], mail["text"]) == ("email", ["an@example.com"], "welcome", "Dear An")


@pytest.mark.requirement("RU-15")
async def test_tell_the_manager_about_a_large_deal(office: House) -> None:
    small, large = {"name": "Mill", "estimatedValue": 1, "managerId": "an"}, {"estimatedValue": 60_000}
    await office.meet(occasion("OPPORTUNITY", "UPDATE", "1", {**small, **large}, old=small))
    await office.meet(occasion("OPPORTUNITY", "UPDATE", "2", {**small, **large}, old={**small, **large, "name": "Mil"}))
    await asked(office, "Tell the manager about a large deal")
    (row,) = await office.world.look("select user_id, message from notifications")
    assert (row["user_id"], row["message"]) == ("an", "Mill is now worth 60000.")


@pytest.mark.requirement("RU-15", "trap-35")
async def test_give_leads_from_the_website_to_a_sales_person(office: House) -> None:
    for lead in ("1", "2", "3"):
        await office.meet(occasion("LEAD", "CREATE", lead, {"leadSource": "WEBSITE"}))
    await office.meet(occasion("LEAD", "CREATE", "4", {"leadSource": "FAIR"}))
    runs = [run for run in await office.runs() if run["rule_name"] == "Give leads from the website to a sales person"]
    assert sorted(run["entity_id"] for run in runs) == ["1", "2", "3"]
    assert len(await office.sent("AssignTo")) == 3


@pytest.mark.requirement("RU-15", "trap-24")
async def test_follow_up_leads_that_nobody_has_touched_for_a_week(office: House) -> None:
    await known(office, "LEAD", "1", leadStatus="CONTACTED", fullName="An", assignedTo="bo")
    await known(office, "LEAD", "2", leadStatus="NEW", fullName="Bo")
    await at_eight(office)
    kind, task = await asked(office, "Follow up leads that nobody has touched for a week")
    assert (kind, task["subject"], task["assigneeId"]) == ("task", "Follow up An", "bo")


@pytest.mark.requirement("RU-15", "trap-5")
async def test_proposal_mail(office: House) -> None:
    deal = {"name": "Mill", "contactEmail": "bo@example.com"}
    await office.meet(occasion("OPPORTUNITY", "UPDATE", "1", {**deal, "stage": "PROPOSAL"}, old={**deal, "stage": "NEW"}))
    kind, mail = await asked(office, "Proposal mail")
    assert (kind, mail["to"], mail["subject"]) == ("email", ["bo@example.com"], "proposal")


@pytest.mark.requirement("RU-15", "trap-24")
async def test_escalate_an_activity_that_is_overdue_for_a_day(office: House) -> None:
    late = {"subject": "Call", "status": "PLANNED", "dueDate": "2026-11-30T00:00:00Z", "supervisorId": "cy"}
    await known(office, "ACTIVITY", "1", **late)
    await known(office, "ACTIVITY", "2", **{**late, "status": "COMPLETED"})
    await known(office, "ACTIVITY", "3", **{**late, "dueDate": "2026-12-01T12:00:00Z"})
    await at_eight(office)
    await asked(office, "Escalate an activity that is overdue for a day")
    (row,) = await office.world.look("select user_id, title, message from notifications")
    assert (row["user_id"], row["title"]) == ("cy", "Overdue activity")
    assert row["message"] == "Call was due at 2026-11-30T00:00:00Z."
