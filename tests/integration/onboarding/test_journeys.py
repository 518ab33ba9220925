"""Journeys on PostgreSQL: a history, its folded row and its orders, moved by commands and by what handlers give."""

import pytest

from tests.integration.onboarding.journeys import Journeys
from tests.integration.onboarding.working import ends_as, working


@pytest.mark.requirement("WF-1", "WF-2", "WF-12")
async def test_a_journey_runs_to_its_end_and_every_event_leaves_under_its_number(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"name": "Ann"})
    await journeys.act("i-1")
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    row = await journeys.row("i-1")
    rows = await journeys.world.look(
        "select sequence, event_type from outbox_events where topic = 'onboarding.events.v1' order by id"
    )
    assert [one["sequence"] for one in rows] == list(range(1, row["version"] + 1))
    assert (await journeys.history("i-1")).count("STEP_COMPLETED") == 4


@pytest.mark.requirement("WF-9")
@pytest.mark.requirement("trap-63")
async def test_an_aml_hit_after_the_card_undoes_everything_in_reverse(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"aml": "hit"})
    await journeys.act("i-1")
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPENSATED")
    steps = await journeys.world.look("select handler from step_execution order by step")
    assert [one["handler"] for one in steps][-3:] == ["UNDO_CARD_ACTIVATION", "UNDO_WALLET_CREATION", "UNDO_ACCOUNT_CREATION"]
