"""The full count of fuzzed names: 10,000, each judged by PostgreSQL itself; nothing but what was intended (trap 87)."""

import random
from typing import Any

import pytest

from tests.integration.database.conftest import Connect, connect
from tests.integration.projections.test_ddl import fuzzed_names, fuzzed_tables_are_as_intended, quoted_names_are_themselves
from tests.torture.system.record import run_step

__all__ = ["connect"]


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.requirement("CD-12", "trap-87")
async def test_ten_thousand_names_make_only_what_was_intended(connect: Connect) -> None:
    async def fuzz(count: int) -> dict[str, Any]:
        conn, dice = await connect("migrate"), random.Random(10_000)
        taken, refused = await quoted_names_are_themselves(conn, fuzzed_names(dice, count))
        columns = await fuzzed_tables_are_as_intended(conn, dice, 100, 100)
        return {"names": count, "quoted": taken, "refused": refused, "tables": 100, "columns_as_named": columns}

    def sound(figures: dict[str, Any]) -> None:
        assert figures["quoted"] + figures["refused"] == figures["names"], figures
        assert figures["columns_as_named"] > figures["tables"], figures

    await run_step("projections: fuzzed names", 10_000, fuzz, sound)
