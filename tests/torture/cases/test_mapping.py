"""The resolver against its naive reference on 20,000 random graphs."""

import pytest

from tests.unit.domain.cases.mapping.comparison import compare

CASES = 20_000


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.requirement("CD-6", "CD-7", "CD-8", "CD-9", "trap-82", "trap-83")
def test_twenty_thousand_random_graphs() -> None:
    verdict = compare(range(CASES))
    print(dict(verdict.seen), f"differences: {len(verdict.differing)}")
    assert verdict.differing == []
    assert verdict.seen["graphs"] == CASES
    assert min(verdict.seen.values()) > 0
