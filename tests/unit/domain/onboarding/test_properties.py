"""Random flows in a bad world (tests/unit/domain/onboarding/world.py); `make torture` lives ten thousand lives."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from domain.onboarding.orders import ArmTimer
from tests.unit.domain.onboarding.definitions import random_definition
from tests.unit.domain.onboarding.world import World, live

# Each of these must have happened somewhere, or the world is too kind to prove anything.
HAPPENINGS = {
    "STEP_RETRY_SCHEDULED", "STEP_TIMED_OUT", "STEP_LATE_OUTCOME", "INCIDENT_RAISED", "INCIDENT_RESOLVED", "REVIEW_DECIDED",
    "REMINDER_SENT", "SLA_EXPIRED", "CANCEL_REQUESTED", "WORKFLOW_REOPENED", "RECOVERY", "undone", "skipped", "again", "failed",
    "retried", "marked", "input-approved",
}  # fmt: skip


@pytest.mark.requirement("WF-1", "WF-2", "WF-3", "WF-4", "WF-9", "trap-69", "trap-70", "trap-71")
def test_whatever_happens_the_way_back_is_right_and_the_row_is_its_history() -> None:
    happened = Counter[str]()
    for seed in range(300):
        random = Random(seed)
        world = live(random, random_definition(random), ticks=random.randint(5, 100))
        happened.update(row.event.TYPE for row in world.history)
        happened.update(getattr(row.event, "phase", "") for row in world.history)
    assert HAPPENINGS - happened.keys() == set()


def test_the_checks_can_fail() -> None:
    world = _with_two_undos()
    undone = [place for place, (what, _) in enumerate(world.log) if what == "undo"]
    forgotten = world.log.pop(undone[-1])
    with pytest.raises(AssertionError, match="was done and not undone"):
        world.check_end()
    world.log.insert(undone[-1], forgotten)
    world.check_end()
    begun = [place for place, row in enumerate(world.history) if getattr(row.event, "phase", "") == "undoing"]
    first, second = world.history[begun[0]], world.history[begun[1]]
    world.history[begun[0]], world.history[begun[1]] = replace(first, event=second.event), replace(second, event=first.event)
    with pytest.raises(AssertionError, match="reverse order"):
        world.check_end()
    world.standing["timer", "forgotten"] = ArmTimer("forgotten", world.now, 1)
    with pytest.raises(AssertionError, match="orders and wants differ"):
        World(world.definition, Random(1), standing=dict(world.standing))


def _with_two_undos() -> World:
    """The first life that undoes two steps and is not surprised by a late success."""
    for seed in range(500):
        random = Random(seed)
        world = live(random, random_definition(random), ticks=random.randint(5, 100))
        phases = Counter(getattr(row.event, "phase", "") for row in world.history)
        undone = [step for what, step in world.log if what == "undo"]
        if phases["undoing"] == 2 == len(undone) and phases["started"] == 1 and not phases["again"] and not phases["marked"]:
            return world
    raise AssertionError("no life undoes two steps")
