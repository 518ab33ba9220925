"""One migrated template database per session, and a clone of it for each test."""

import secrets
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from runtime import migrations
from runtime.stack.roles import apply_roles, create_database
from tests.infrastructure.servers import password_of

Role = Literal["migrate", "api", "worker", "scan", "superuser"]


@dataclass(frozen=True)
class ClonedDatabase:
    """A database of its own on the session's server."""

    name: str
    server_url: str = field(repr=False)

    def url(self, role: Role = "migrate") -> str:
        """The URL of this database for one of Casestream's roles (or the superuser)."""
        parts = urlsplit(self.server_url)
        user = parts.username if role == "superuser" else f"cs_{role}"
        # All roles of a test server share the superuser's password, as DATABASE_URL's convention has it.
        password = quote(password_of(self.server_url), safe="")
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}", path=f"/{self.name}"))


async def make_template(server_url: str) -> str:
    """Creates a database with roles and all migrations and returns its name. Nobody stays connected to it."""
    template = ClonedDatabase(f"template_{secrets.token_hex(6)}", server_url)
    await create_database(server_url, template.name)
    await apply_roles(template.url("superuser"), password_of(server_url))
    await migrations.apply(template.url("migrate"))
    return template.name


async def clone(server_url: str, template: str) -> ClonedDatabase:
    database = ClonedDatabase(f"test_{secrets.token_hex(6)}", server_url)
    # Owner, grants and settings of a database itself are not cloned with it.
    await _execute(server_url, f"create database {database.name} template {template} owner cs_migrate")
    return database


async def drop(server_url: str, name: str) -> None:
    await _execute(server_url, f"drop database if exists {name} with (force)")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
