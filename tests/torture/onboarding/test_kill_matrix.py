"""The full kill matrix: at each point of each process twenty deaths (the suite's round is in tests/e2e/onboarding)."""

from pathlib import Path

import pytest

from tests.e2e.onboarding.killed import POINTS, play, table
from tests.e2e.onboarding.stage import open_stage
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka

LONGEST_SECONDS = 10.0


@pytest.mark.torture
@pytest.mark.requirement("WF-1", "WF-8", "WF-9", "trap-67", "trap-69")
@pytest.mark.parametrize("role", sorted({role for role, _ in POINTS}))
async def test_twenty_deaths_at_every_point_of_a_process(
    role: str, database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> None:
    stage = await open_stage(database, fresh_kafka, tmp_path)
    made = await play(stage, [one for one in POINTS if one[0] == role], 20)
    print(f"{len(made.journeys)} journeys", *table(made), sep="\n")
    assert await made.problems() == []
    assert max(max(seconds) for seconds in made.alive_again.values()) <= LONGEST_SECONDS
