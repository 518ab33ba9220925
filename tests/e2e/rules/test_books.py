"""The exactly-once books of rules, once and short; `make torture` runs 100,000 events and 20 kills of each process."""

import pytest

from tests.torture.rules.books.oracle import expect
from tests.torture.rules.books.play import books, sound, stage, tell
from tests.torture.rules.books.verdict import judge


@pytest.mark.requirement("RU-7", "RU-9", "RU-12", "SP-5", "trap-28", "trap-29", "trap-31")
async def test_events_told_again_and_again_to_processes_that_die_are_done_once() -> None:
    async with stage(events=600) as play:
        figures = await books(play, kills=2)
        sound(figures)

        # Controls. An oracle that heard one event twice sees a run missing, and more that follows from it.
        done = await play.done()
        hot = next(told for told in play.events if told.kind == "UPDATE" and (told.new or {})["score"] >= 90)
        doubled = [copy for told in play.events for copy in ([told] * 2 if told is hot else [told])]
        assert judge(play.expected, done).wrong == {}
        assert judge(expect(doubled, play.ends), done).wrong["runs missing"] >= 1

        # What has left no trace is done again when it is told again: so it is the traces that keep it from being done twice.
        await play.forget(hot)
        await tell(play, [hot])
        await play.settled(60)
        assert set(judge(play.expected, await play.done()).wrong) == {"statistics"}
