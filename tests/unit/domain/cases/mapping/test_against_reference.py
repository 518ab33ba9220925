"""The resolver agrees with a naive second one on random graphs; 20,000 of them in tests/torture/cases/test_mapping.py."""

import pytest

from tests.unit.domain.cases.mapping.comparison import compare
from tests.unit.domain.cases.mapping.reference_resolver import Rules

SEEDS = range(600)


@pytest.mark.requirement("CD-6", "CD-7", "CD-8", "CD-9", "trap-82", "trap-83")
def test_random_graphs_resolve_as_the_reference_says() -> None:
    verdict = compare(SEEDS)
    assert verdict.differing == []
    assert min(verdict.seen.values()) > 0, verdict.seen


@pytest.mark.parametrize("broken", list(Rules.__dataclass_fields__))
def test_a_reference_with_one_rule_broken_is_noticed(broken: str) -> None:
    assert compare(SEEDS, Rules(**{broken: True})).differing
