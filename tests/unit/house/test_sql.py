"""Named SQL blocks: what each sign returns, which arguments are taken, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from runtime.sql import Queries, load_queries

BLOCKS = """
-- name: list_items
-- The items' rows; an apostrophe in a comment begins no string.
select * from items where tenant_id = :tenant and id = any(:ids::text[]) and note <> 'at 10:30 :no' and owner = :tenant
-- name: find_item^
select * from items where id = :id
-- name: count_items$
select count(*) from items
-- name: delete_items!
delete from items where id = any(:ids)
-- name: insert_item<!
insert into items (id) values (:id) returning id
-- name: insert_items*!
insert into items (id, note) values (:id, :note)
-- name: make_table#
create table items (id text); create index on items (id)
"""


class RecordingConnection:
    """Stands where asyncpg stands and writes down what it is asked; it answers with what it was given."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, tuple[Any, ...]]] = []

    async def _note(self, how: str, sql: str, args: tuple[Any, ...]) -> Any:
        self.asked.append((how, sql, args))
        return self.answer

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        return list(await self._note("fetch", query, args) or [])

    async def fetchrow(self, query: str, *args: Any) -> Any:
        return await self._note("fetchrow", query, args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._note("fetchval", query, args)

    async def execute(self, query: str, *args: Any) -> str:
        return str(await self._note("execute", query, args) or "")

    async def executemany(self, command: str, args: Any) -> None:
        await self._note("executemany", command, tuple(args))


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    (tmp_path / "store.sql").write_text(BLOCKS)
    return load_queries(tmp_path / "store.py")


async def test_named_arguments_become_numbered_ones_in_the_order_of_the_text(queries: Queries) -> None:
    connection = RecordingConnection([{"id": "1"}])
    assert await queries.list_items(connection, ids=["1"], tenant="t1") == [{"id": "1"}]
    how, sql, args = connection.asked[0]
    assert how == "fetch"
    assert args == ("t1", ["1"])
    assert "tenant_id = $1 and id = any($2::text[]) and note <> 'at 10:30 :no' and owner = $1" in sql


@pytest.mark.parametrize(
    ("name", "arguments", "answer", "how", "returned"),
    [
        ("find_item", {"id": "1"}, {"id": "1"}, "fetchrow", {"id": "1"}),
        ("count_items", {}, 7, "fetchval", 7),
        ("delete_items", {"ids": ["1"]}, "DELETE 3", "execute", 3),
        ("insert_item", {"id": "1"}, ("1",), "fetchrow", "1"),
        ("insert_item", {"id": "1"}, ("1", "two"), "fetchrow", ("1", "two")),
    ],
)
async def test_the_sign_of_a_block_says_what_a_call_returns(
    queries: Queries, name: str, arguments: dict[str, Any], answer: Any, how: str, returned: Any
) -> None:
    connection = RecordingConnection(answer)
    assert await getattr(queries, name)(connection, **arguments) == returned
    assert connection.asked[0][0] == how


async def test_many_rows_and_scripts_go_in_one_call(queries: Queries) -> None:
    connection = RecordingConnection()
    await queries.insert_items(connection, [{"note": "a", "id": "1"}, {"id": "2", "note": "b"}])
    await queries.make_table(connection)
    assert [(how, args) for how, _, args in connection.asked] == [
        ("executemany", (["1", "a"], ["2", "b"])),
        ("execute", ()),
    ]


@pytest.mark.parametrize("arguments", [{}, {"id": "1", "other": "canary-value"}])
async def test_a_wrong_argument_is_named_without_its_value(queries: Queries, arguments: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="find_item") as raised:
        await queries.find_item(RecordingConnection(), **arguments)
    assert "canary-value" not in str(raised.value)


def test_an_unknown_block_is_an_attribute_error(queries: Queries) -> None:
    with pytest.raises(AttributeError, match=r"store\.sql has no block named 'lock_items'"):
        queries.lock_items  # noqa: B018


def test_a_repeated_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one!\nselect 1\n-- name: one!\nselect 2\n")
    with pytest.raises(ValueError, match="taken by an earlier block"):
        load_queries(tmp_path / "a.py")


def test_a_comment_behind_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one!\nselect '--' -- the item's\n")
    with pytest.raises(ValueError, match="comment stands behind code"):
        load_queries(tmp_path / "a.py")


def test_versions_of_a_table_share_their_sql_under_plain_names(tmp_path: Path) -> None:
    (tmp_path / "board.sql").write_text("-- name: count_rows$\nselect count(*) from board where board_id = 1\n")
    queries = load_queries(tmp_path / "board.py", rename={"board": "board__v2"})
    assert queries.sql_of("count_rows") == "select count(*) from board__v2 where board_id = 1"
    with pytest.raises(ValueError, match="no plain identifier"):
        load_queries(tmp_path / "board.py", rename={"board": "board; drop table x"})


def test_every_sql_file_of_the_house_can_be_loaded() -> None:
    root = Path(__file__).resolve().parents[3]
    files = [
        path
        for room in ("runtime", "domain", "processors", "outbox_relay", "workers", "projections", "api")
        for path in (root / room).rglob("*.sql")
        if "-- name:" in path.read_text()
    ]
    assert {path: load_queries(path, path.name).names() for path in files if not load_queries(path, path.name).names()} == {}
