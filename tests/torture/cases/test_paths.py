"""The full count of the path comparison: 20,000 pairs, 20,000 mutants, no difference to the standard."""

import pytest

from tests.unit.domain.cases import path_pairs

PAIRS = 20_000
SEEDS = range(5)


@pytest.mark.torture
@pytest.mark.requirement("CD-5")
@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_thousand_paths_answer_as_the_standard_says(seed: int) -> None:
    differences, selected = path_pairs.differences(seed, PAIRS // len(SEEDS))
    accepted, refused = path_pairs.wrongly_accepted(seed, PAIRS // len(SEEDS))

    print(f"seed {seed}: {PAIRS // len(SEEDS)} pairs, {selected} selected something; {refused} mutants were no paths")
    assert differences == []
    assert accepted == []
    assert selected >= PAIRS // len(SEEDS) // 5
