"""Casestream's databases and their roles, made by a superuser: `deploy/database/*.sql` and nothing beside it."""

import asyncpg

from runtime.stack.home import PROJECT

ROLES_SQL = PROJECT / "deploy" / "database" / "roles.sql"
KEYS_SQL = PROJECT / "deploy" / "database" / "keys.sql"
DATABASE = "casestream"
KEYS_DATABASE = "casestream_keys"
# One number for every caller: two of them changing the same role at once fail with "tuple concurrently updated".
_ROLES_LOCK = 4_275_001


async def create_database(server_url: str, name: str) -> None:
    """Creates a database when there is none of that name. `server_url` is a superuser's."""
    connection = await asyncpg.connect(server_url)
    try:
        if not await connection.fetchval("select true from pg_database where datname = $1", name):
            await connection.execute(f"create database {quote_identifier(name)}")
    finally:
        await connection.close()


async def apply_roles(database_url: str, password: str) -> None:
    """Creates or corrects the roles, with one password for all, and gives them the database of the URL."""
    await _apply(ROLES_SQL.read_text(), database_url, password)


async def apply_keys_roles(database_url: str, password: str) -> None:
    """The same for the keys database: cs_keys gets in, and no other role but the owner."""
    await _apply(KEYS_SQL.read_text(), database_url, password)


async def _apply(script: str, database_url: str, password: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("select set_config('casestream.role_password', $1, false)", password)
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _ROLES_LOCK)
            await connection.execute(script)
    finally:
        await connection.close()


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
