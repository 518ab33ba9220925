"""The full count: 50,000 random rules and events, compiled and slow (the suite's short form is in tests/unit/domain/rules)."""

import pytest

from tests.unit.domain.rules.differing import compare


@pytest.mark.torture
@pytest.mark.requirement("RU-3", "RU-4", "RU-5", "RU-6")
@pytest.mark.parametrize("seed", range(10))
def test_fifty_thousand_rules_and_events_show_no_difference(seed: int) -> None:
    found = compare(seed, pairs=5_000)
    assert found.differences == []
    assert found.fired > 1_000
