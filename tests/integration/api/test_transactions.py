"""The door's transaction: whatever the driver raises when a connection breaks is one thing, a transient fault."""

import asyncpg
import pytest

from api.transactions import transaction
from runtime.postgres import is_transient
from schemas.errors import TransientError
from tests.integration.api.conftest import Served

# Seen when the postmaster was killed under load: the driver's own state, in the middle of an answer.
BROKEN = (asyncpg.InternalClientError("not connected"), asyncpg.ConnectionDoesNotExistError("closed"), ConnectionResetError())


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_broken_connection_is_never_a_messages_fault(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.requirement("SP-9")
@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
async def test_a_connection_that_breaks_in_mid_transaction_is_a_transient_fault(served: Served, error: Exception) -> None:
    with pytest.raises(TransientError):
        async with transaction(served.pool, "north"):
            raise error

    async with transaction(served.pool, "north") as conn:
        assert await conn.fetchval("select true")
