"""The names that mappings may not take are those that this PostgreSQL reserves."""

import pytest

from domain.cases.mapping.names import POSTGRES_COLUMNS, RESERVED_WORDS
from tests.integration.database.conftest import Connect


@pytest.mark.requirement("trap-87")
async def test_every_reserved_word_and_system_column_is_refused_as_a_name(connect: Connect) -> None:
    conn = await connect("migrate")
    reserved = {row["word"] for row in await conn.fetch("select word from pg_get_keywords() where catcode in ('R', 'T')")}
    assert reserved <= RESERVED_WORDS
    system = {
        row["attname"]
        for row in await conn.fetch("select attname from pg_attribute where attrelid = 'users'::regclass and attnum < 0")
    }
    assert system <= POSTGRES_COLUMNS
