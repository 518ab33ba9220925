"""The full count: 10,000 lives of random flows (the suite's short form is in tests/unit/domain/onboarding)."""

from random import Random

import pytest

from tests.unit.domain.onboarding.definitions import random_definition
from tests.unit.domain.onboarding.world import live


@pytest.mark.torture
@pytest.mark.requirement("WF-1", "WF-2", "WF-3", "WF-4", "WF-9", "trap-69", "trap-70", "trap-71")
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_lives_keep_the_invariants(part: int) -> None:
    for seed in range(part * 1_000, part * 1_000 + 1_000):
        random = Random(1_000_000 + seed)
        live(random, random_definition(random), ticks=random.randint(5, 100))
