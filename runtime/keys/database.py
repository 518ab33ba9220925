"""Connections to the keys database: as cs_keys for every process, as cs_migrate for its migrations."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from runtime.postgres import ANSWER_SECONDS, TRANSIENT, is_transient, with_user
from runtime.settings import Settings
from schemas.errors import ConfigurationError, TransientError

ROLE = "cs_keys"


def keys_url(settings: Settings) -> str:
    """The address for role cs_keys."""
    return with_user(_address(settings), ROLE)


def keys_migrate_url(settings: Settings) -> str:
    """The address for the owner, cs_migrate."""
    given = settings.keys_database_url_migrate
    return given.get_secret_value() if given else with_user(_address(settings), "cs_migrate")


def beside(url: str) -> str:
    """The address of the development's keys database: `<main>_keys` on the main database's server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}_keys"))


async def open_keys_pool(settings: Settings, *, size: int = 4, wait: bool = True) -> asyncpg.Pool:
    """A pool of cs_keys. With `wait` a database that is away is waited for. Raises ConfigurationError when there is none."""
    delay = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                keys_url(settings),
                min_size=1,
                max_size=size,
                command_timeout=ANSWER_SECONDS,
                server_settings={"application_name": "casestream-keys"},
            )
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise ConfigurationError([_refused(error)]) from error
        except TRANSIENT as error:
            if not wait or not is_transient(error):
                raise TransientError(f"the keys database does not answer ({type(error).__name__})") from error
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


def _refused(error: Exception) -> str:
    return (
        f"the keys database refuses role {ROLE} ({type(error).__name__}): make it with deploy/database/keys.sql,"
        " then `casestream db migrate`"
    )


def _address(settings: Settings) -> str:
    given = settings.keys_database_url
    return given.get_secret_value() if given else beside(settings.database_url.get_secret_value())
