"""Databases and connections for the tests of the catalogue."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from runtime.stack.asking import ask
from runtime.stack.roles import apply_keys_roles, apply_roles, create_database
from tests.infrastructure import databases
from tests.infrastructure.databases import ClonedDatabase, Role
from tests.infrastructure.servers import password_of

Connect = Callable[[Role], Awaitable[asyncpg.Connection]]


@pytest.fixture
async def connect(database: ClonedDatabase) -> AsyncIterator[Connect]:
    """Opens connections of this test's database, by role; they are closed with the test."""
    async with AsyncExitStack() as stack:

        async def open_one(role: Role) -> asyncpg.Connection:
            conn = await asyncpg.connect(database.url(role))
            stack.push_async_callback(conn.close)
            return conn

        yield open_one


@pytest.fixture
def empty_database(postgres_server: str) -> Iterator[ClonedDatabase]:
    """A database with the roles and no migration, and such a keys database beside it."""
    empty = ClonedDatabase(f"empty_{secrets.token_hex(6)}", postgres_server)
    ask(create_database(postgres_server, empty.name))
    ask(apply_roles(empty.url("superuser"), password_of(postgres_server)))
    ask(create_database(postgres_server, empty.keys.name))
    ask(apply_keys_roles(empty.keys.url("superuser"), password_of(postgres_server)))
    yield empty
    ask(databases.drop(postgres_server, empty.keys.name))
    ask(databases.drop(postgres_server, empty.name))
