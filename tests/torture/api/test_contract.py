"""Schemathesis over the whole OpenAPI document, 20,000 cases: no server error, no broken promise of the document."""

import asyncio

import pytest

from api.routes import ROUTES
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import fill, settings_for
from tests.integration.api.contract import door_in_a_thread, try_everything
from tests.integration.api.objects import make_objects

CASES = 20_000
SEEDS = range(10)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.requirement("WI-3", "WI-5")
@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_thousand_generated_requests(database: ClonedDatabase, keys_database: ClonedDatabase, seed: int) -> None:
    """A tenth of the cases per seed, so that a run that was ended goes on with the next seed."""
    wanted = CASES // len(SEEDS)
    asyncio.run(fill(database))
    with door_in_a_thread(settings_for(database)) as address:
        # Operations without parameters have one request only; the others make up for them.
        tally = try_everything(address, wanted // len(ROUTES) + 1, make_objects(address, database), seed)
    print(f"seed {seed}: {tally.cases} cases, {dict(sorted(tally.statuses.items()))}")
    # The whole story of each failure: pytest shortens what it compares.
    print(*(f"{place}\n{story}" for place, story in tally.failures.items()), sep="\n")
    assert tally.failures == {}
    assert tally.server_errors == 0
    assert tally.cases >= wanted
