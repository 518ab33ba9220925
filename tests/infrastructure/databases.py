"""One migrated template database per session, and a clone of it for each test; the keys database likewise, beside it."""

import secrets
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from runtime import migrations
from runtime.stack.roles import apply_keys_roles, apply_roles, create_database
from tests.infrastructure.servers import password_of

Role = Literal["migrate", "api", "worker", "scan", "keys", "superuser"]


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

    @property
    def keys(self) -> "ClonedDatabase":
        """The keys database beside it, where the settings look for it; the fixture `keys_database` makes it."""
        return ClonedDatabase(f"{self.name}_keys", self.server_url)


async def make_template(server_url: str) -> str:
    """Creates a database with roles and all migrations and returns its name. Nobody stays connected to it."""
    template = ClonedDatabase(f"template_{secrets.token_hex(6)}", server_url)
    await create_database(server_url, template.name)
    await apply_roles(template.url("superuser"), password_of(server_url))
    await migrations.apply(template.url("migrate"))
    return template.name


async def make_keys_template(server_url: str) -> str:
    """The same for the keys database."""
    template = ClonedDatabase(f"template_keys_{secrets.token_hex(6)}", server_url)
    await create_database(server_url, template.name)
    await apply_keys_roles(template.url("superuser"), password_of(server_url))
    await migrations.apply(template.url("migrate"), migrations.KEYS_DIRECTORY)
    return template.name


async def clone(server_url: str, template: str, name: str | None = None) -> ClonedDatabase:
    database = ClonedDatabase(name or f"test_{secrets.token_hex(6)}", server_url)
    # Owner, grants and settings of a database itself are not cloned with it.
    await _execute(server_url, f"create database {database.name} template {template} owner cs_migrate")
    return database


async def clone_keys(main: ClonedDatabase, template: str) -> ClonedDatabase:
    """The keys database of a main one. Who may connect is a database's own setting, so it is said again."""
    keys = await clone(main.server_url, template, main.keys.name)
    await _execute(main.server_url, f"revoke all on database {keys.name} from public")
    await _execute(main.server_url, f"grant connect on database {keys.name} to cs_keys")
    return keys


async def drop(server_url: str, name: str) -> None:
    await _execute(server_url, f"drop database if exists {name} with (force)")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
