"""Named SQL blocks of the `.sql` file beside a module, as coroutine functions on an asyncpg connection.

    queries = load_queries(__file__)                 # store.py reads store.sql
    rows = await queries.lock_items(conn, tenant_ids=tenants, ids=ids)

aiosql parses; the last sign of a block's name says what a call returns:

    -- name: lock_items             every row, a list of records
    -- name: find_item^             one record, or None
    -- name: count_items$           one value, or None
    -- name: insert_items!          the number of rows touched
    -- name: insert_item<!          the RETURNING row; its only value when it has one column
    -- name: insert_items*!         executemany over a list of mappings
    -- name: create_table#          a script of several statements, without parameters

Comments stand on lines of their own: behind code an apostrophe in one would begin a string. This module never opens
a transaction, and it never reads a parameter's value into an error.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aiosql.adapters.asyncpg import AsyncPGAdapter
from aiosql.query_loader import QueryLoader
from aiosql.types import QueryDatum
from aiosql.types import SQLOperationType as Kind


class Connection(Protocol):
    """What a query needs of asyncpg's Connection or of a pool's proxy for it."""

    async def fetch(self, query: str, *args: Any) -> list[Any]: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...
    async def executemany(self, command: str, args: Any) -> None: ...


QueryCall = Callable[..., Awaitable[Any]]


class Queries:
    """The blocks of one file, each an attribute of its block's name. `sql_of` shows the text that is sent."""

    def __init__(self, path: Path, blocks: Mapping[str, tuple[str, QueryCall]]) -> None:
        self._path = path
        self._blocks = blocks

    def __getattr__(self, name: str) -> QueryCall:
        try:
            return self.__dict__["_blocks"][name][1]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"{self.__dict__['_path'].name} has no block named {name!r}") from None

    def sql_of(self, name: str) -> str:
        """The block's text with numbered parameters, for EXPLAIN and for tests."""
        return self._blocks[name][0]

    def names(self) -> list[str]:
        return list(self._blocks)


def load_queries(beside: str | Path, name: str | None = None, *, rename: Mapping[str, str] | None = None) -> Queries:
    """Read the blocks of `name` in the folder of `beside`; by default the `.sql` file of the same stem.

    `rename` puts one plain identifier in place of another: the versions of a table share their SQL. Raises ValueError
    when two blocks share a name, a comment stands behind code, or a new name is no plain identifier.
    """
    home = Path(beside)
    path = home.with_suffix(".sql") if name is None else home.parent / name
    adapter = AsyncPGAdapter()  # type: ignore[no-untyped-call]
    loader = QueryLoader(adapter, record_classes=None, mandatory_parameters=False)
    blocks: dict[str, tuple[str, QueryCall]] = {}
    for datum in loader.load_query_data_from_file(path, encoding="utf-8"):
        _refuse_doubtful(path, datum, blocks)
        sql = _renamed(datum.sql, rename or {})
        order = _orderer(datum, tuple(adapter.var_sorted[datum.query_name]))
        blocks[datum.query_name] = (sql, _CALLS[datum.operation_type](sql, order))
    return Queries(path, blocks)


def _renamed(sql: str, rename: Mapping[str, str]) -> str:
    for old, new in rename.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", new):
            raise ValueError(f"{new!r} is no plain identifier: expected lower case letters, digits and underscores")
        sql = re.sub(rf"\b{re.escape(old)}\b", new, sql)
    return sql


def _refuse_doubtful(path: Path, datum: QueryDatum, blocks: Mapping[str, object]) -> None:
    where = f"{path.name}, block {datum.query_name!r}"
    if datum.query_name in blocks:
        raise ValueError(f"{where}: the name is taken by an earlier block; give it another")
    for line in datum.sql.splitlines():
        if "--" in re.sub(r"'(?:''|[^'])*'", "", line):
            raise ValueError(f"{where}: a comment stands behind code; move it to a line of its own")


Orderer = Callable[[Mapping[str, Any]], Sequence[Any]]


def _orderer(datum: QueryDatum, parameters: tuple[str, ...]) -> Orderer:
    """Named arguments to the order of $1, $2 ...; a missing or unknown name is a TypeError, as for any function."""
    expected = frozenset(parameters)

    def order(given: Mapping[str, Any]) -> Sequence[Any]:
        if given.keys() != expected:
            missing, unknown = sorted(expected - given.keys()), sorted(given.keys() - expected)
            raise TypeError(f"{datum.query_name}() got unknown arguments {unknown} and misses {missing}")
        return [given[name] for name in parameters]

    return order


# asyncpg is called without aiosql's driver layer, which looks the connection over on each call and has no list of rows.
def _rows(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection, **arguments: Any) -> list[Any]:
        return await conn.fetch(sql, *order(arguments))

    return call


def _row(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection, **arguments: Any) -> Any:
        return await conn.fetchrow(sql, *order(arguments))

    return call


def _value(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection, **arguments: Any) -> Any:
        return await conn.fetchval(sql, *order(arguments))

    return call


def _touched(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection, **arguments: Any) -> int:
        status = await conn.execute(sql, *order(arguments))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    return call


def _returned(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection, **arguments: Any) -> Any:
        row = await conn.fetchrow(sql, *order(arguments))
        return row[0] if row is not None and len(row) == 1 else row

    return call


def _many(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        await conn.executemany(sql, [order(row) for row in rows])

    return call


def _script(sql: str, order: Orderer) -> QueryCall:
    async def call(conn: Connection) -> None:
        await conn.execute(sql)

    return call


_CALLS: dict[Kind, Callable[[str, Orderer], QueryCall]] = {
    Kind.SELECT: _rows,
    Kind.SELECT_ONE: _row,
    Kind.SELECT_VALUE: _value,
    Kind.INSERT_UPDATE_DELETE: _touched,
    Kind.INSERT_RETURNING: _returned,
    Kind.INSERT_UPDATE_DELETE_MANY: _many,
    Kind.SCRIPT: _script,
}
