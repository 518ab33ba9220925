"""The full count of fuzzed names: 10,000, each judged by PostgreSQL itself; nothing but what was intended (trap 87)."""

import random

import pytest

from tests.integration.database.conftest import Connect, connect
from tests.integration.projections.test_ddl import fuzzed_names, fuzzed_tables_are_as_intended, quoted_names_are_themselves

__all__ = ["connect"]

NAMES = 10_000


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.requirement("CD-12", "trap-87")
async def test_ten_thousand_names_make_only_what_was_intended(connect: Connect) -> None:
    conn, dice = await connect("migrate"), random.Random(10_000)
    taken, refused = await quoted_names_are_themselves(conn, fuzzed_names(dice, NAMES))
    columns = await fuzzed_tables_are_as_intended(conn, dice, 100, 100)
    print(f"{taken} names quoted, {refused} refused; {columns} columns of 100 tables as named, 0 collisions")
    assert taken + refused == NAMES
    assert columns > 100
