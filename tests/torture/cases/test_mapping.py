"""The resolver against its naive reference on 20,000 random graphs."""

from typing import Any

import pytest

from tests.torture.system.record import run_step
from tests.unit.domain.cases.mapping.comparison import compare


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.requirement("CD-6", "CD-7", "CD-8", "CD-9", "trap-82", "trap-83")
async def test_twenty_thousand_random_graphs() -> None:
    async def resolve(count: int) -> dict[str, Any]:
        verdict = compare(range(count))
        return {"differences": [repr(one) for one in verdict.differing], **verdict.seen}

    def sound(figures: dict[str, Any]) -> None:
        assert figures["differences"] == []
        assert min(count for name, count in figures.items() if name != "differences") > 0, figures

    await run_step("cases: random graphs beside a naive resolver", 20_000, resolve, sound)
