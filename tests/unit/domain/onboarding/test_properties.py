"""Random flows in a bad world (tests/unit/domain/onboarding/world.py); `make torture` lives ten thousand lives."""

from collections import Counter
from random import Random

import pytest

from tests.unit.domain.onboarding.definitions import random_definition
from tests.unit.domain.onboarding.world import live

# Each of these must have happened somewhere, or the world is too kind to prove anything.
HAPPENINGS = {
    "STEP_RETRY_SCHEDULED", "STEP_TIMED_OUT", "STEP_LATE_OUTCOME", "INCIDENT_RAISED", "INCIDENT_RESOLVED", "REVIEW_DECIDED",
    "REMINDER_SENT", "SLA_EXPIRED", "CANCEL_REQUESTED", "WORKFLOW_REOPENED", "RECOVERY", "undone", "skipped", "again", "failed",
    "retried", "marked", "input-approved",
}  # fmt: skip


@pytest.mark.requirement("WF-1", "WF-2", "WF-3", "WF-4", "WF-9", "trap-69", "trap-70", "trap-71")
def test_whatever_happens_the_way_back_is_right_and_the_row_is_its_history() -> None:
    happened = Counter[str]()
    for seed in range(500):
        random = Random(seed)
        world = live(random, random_definition(random), ticks=random.randint(5, 80))
        happened.update(row.event.TYPE for row in world.history)
        happened.update(getattr(row.event, "phase", "") for row in world.history)
    assert HAPPENINGS - happened.keys() == set()
