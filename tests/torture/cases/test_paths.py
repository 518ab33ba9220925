"""The full count of the path comparison: 20,000 pairs, 20,000 mutants, no difference to the standard."""

from typing import Any

import pytest

from tests.torture.system.record import run_step
from tests.unit.domain.cases import path_pairs

SEEDS = range(5)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.requirement("CD-5")
async def test_twenty_thousand_paths_answer_as_the_standard_says() -> None:
    async def ask(count: int) -> dict[str, Any]:
        figures: dict[str, Any] = {"pairs": 0, "selected": 0, "mutants_refused": 0, "differences": [], "wrongly_accepted": []}
        for seed in SEEDS:
            differences, selected = path_pairs.differences(seed, count // len(SEEDS))
            accepted, refused = path_pairs.wrongly_accepted(seed, count // len(SEEDS))
            figures["pairs"] += count // len(SEEDS)
            figures["selected"] += selected
            figures["mutants_refused"] += refused
            figures["differences"] += [repr(one) for one in differences]
            figures["wrongly_accepted"] += [repr(one) for one in accepted]
        return figures

    def sound(figures: dict[str, Any]) -> None:
        assert (figures["differences"], figures["wrongly_accepted"]) == ([], [])
        assert figures["selected"] >= figures["pairs"] // 5, figures

    await run_step("cases: random paths beside the standard", 20_000, ask, sound)
