"""The tutorial's flow and what it shows are what the engine decides."""

import re
from pathlib import Path

import pytest

from domain.onboarding.flows.files import read_text
from tests.unit.domain.onboarding.giving import Engine
from workers.senders.sample_steps import HANDLERS

PAGE = Path(__file__).parents[5] / "docs" / "tutorial" / "first-journey.md"


def shown(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.requirement("WF-11", "IN-9")
def test_the_tutorials_first_journey_goes_the_way_that_the_page_says() -> None:
    (written,), (lacking, told) = shown("yaml"), shown("text")
    file = read_text(written, "membership.v1.yaml", frozenset(HANDLERS))
    assert file.findings == ()
    assert file.definition is not None
    without = read_text(re.sub(r"    compensation: .*\n", "", written), "membership.v1.yaml", frozenset(HANDLERS))
    assert lacking.strip() in [f"{one.problem.code}: {one.problem.sentence()}" for one in without.findings]

    engine = Engine.of(file.definition)
    engine.act("SUBMIT")
    engine.succeed(1)
    assert (engine.instance.state, engine.instance.status) == ("DECISION", "AWAITING_REVIEWS")
    engine.decide("reject")
    engine.succeed(2)

    numbered = [line.split() for line in told.strip().splitlines()]
    assert [line[2] for line in numbered] == engine.types[int(numbered[0][0]) - 1 :]
    assert engine.instance.status == "COMPENSATED"
