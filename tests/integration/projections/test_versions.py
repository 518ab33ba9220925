"""A second version of a table is one line of configuration: its table, its rights, its group."""

import asyncpg
import pytest

from projections.versions import create_missing_versions
from projections.work_item_board import WorkItemBoard
from tests.infrastructure.databases import ClonedDatabase


@pytest.mark.requirement("SP-6")
@pytest.mark.hole("version-is-a-consumer")
async def test_a_second_version_has_a_table_with_the_firsts_columns_comments_and_rights(database: ClonedDatabase) -> None:
    conn = await asyncpg.connect(database.url("migrate"))
    try:
        assert await create_missing_versions(conn, [("work_item_board", 1), ("work_item_board", 2)]) == ["work_item_board__v2"]
        assert await create_missing_versions(conn, [("work_item_board", 2)]) == []

        described = [
            await conn.fetch(
                "select attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) "
                "from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum",
                f"projections.work_item_board__v{version}",
            )
            for version in (1, 2)
        ]
        assert described[0] == described[1]
        policies = [
            await conn.fetch("select policyname, roles, cmd, qual from pg_policies where tablename = $1 order by 1", name)
            for name in ("work_item_board__v1", "work_item_board__v2")
        ]
        assert len(policies[0]) == 3
        assert policies[0] == policies[1]
    finally:
        await conn.close()


def test_every_version_is_a_group_of_its_own() -> None:
    assert WorkItemBoard(1).group.name == "projections.work_item_board.v1"
    assert WorkItemBoard(2).group.name == "projections.work_item_board.v2"
    assert WorkItemBoard(1).group.topics == WorkItemBoard(2).group.topics
