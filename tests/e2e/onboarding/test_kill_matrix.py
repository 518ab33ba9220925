"""One round of the kill matrix: a process of each kind dies in the middle of its work; and the oracle tells what is wrong."""

from pathlib import Path

import pytest

from tests.e2e.onboarding.killed import play
from tests.e2e.onboarding.stage import open_stage
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka

ROUND = (
    ("effects", "effects.recording"),
    ("effects", "effects.called"),
    ("onboarding", "shell.before-commit"),
    ("relay", "relay.after-ack"),
    ("timers", "timers.firing"),
)


@pytest.mark.requirement("WF-1", "WF-8", "WF-9", "trap-67", "trap-69")
async def test_whoever_dies_wherever_no_step_is_lost_and_none_is_run_again(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> None:
    stage = await open_stage(database, fresh_kafka, tmp_path)
    made = await play(stage, ROUND, 1)
    assert await made.problems() == []
    assert len(made.journeys) >= 2 * len(ROUND)

    again = next(journey for journey in made.journeys if journey.refused)
    first = stage.calls(again.name)[0]
    with stage.book.open("a", encoding="utf-8") as book:
        book.write(f"{again.name} {first[0]} {first[1]}\n")
    assert [line for line in await made.problems() if again.name in line], "a completed step that is run again is noticed"
