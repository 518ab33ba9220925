"""The full count: each process between a work item and its journey is killed twenty times (the short form kills each once)."""

from pathlib import Path

import pytest

from tests.e2e.onboarding.coupled import play_with_kills
from tests.e2e.onboarding.stage import open_stage
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka


@pytest.mark.torture
@pytest.mark.requirement("WI-7", "WF-1")
async def test_twenty_kills_of_each_process_leave_no_pair_apart(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> None:
    stage = await open_stage(database, fresh_kafka, tmp_path)
    assert await play_with_kills(stage, kills=20, items=10) == []
