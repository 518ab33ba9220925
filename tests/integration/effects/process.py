"""`python -m tests.integration.effects.process PORT`: a worker of effects and a scheduler of timers, to be killed and frozen.

The owner writes what it hears, and the handler what it fires, into tables of the test, which have no unique key: a row that
comes twice is seen. Settings and the failpoint come from the environment.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime

from domain.effects.commands import promote
from domain.effects.effect import Outcome, effect_id
from domain.effects.wiring import Wiring
from domain.timers.timer import Fired, Timer
from runtime import logging
from runtime.running.process import run_in_loop
from runtime.settings import Settings
from runtime.sql import Connection
from tests.integration.effects.world import LoopbackSender, lock_owners
from workers import timers
from workers.effects import running


async def hear(conn: Connection, outcomes: Sequence[Outcome], _now: datetime) -> None:
    """Keep each outcome; the next action of its run may go."""
    for one in outcomes:
        await conn.execute("insert into heard values ($1, $2)", one.effect_id, one.result)
    following = [(one, effect_id("run", one.owner_id, one.index + 1, "")) for one in outcomes]
    # The delay is a real one, which the loop of dues ends; what follows it goes at once.
    await promote(conn, [(one.tenant_id, id_, 0.05 if one.index == 1 else 0.0) for one, id_ in following])


async def note(conn: Connection, due: Sequence[Timer], _now: datetime) -> Sequence[Fired]:
    """Keep each timer that fires."""
    await conn.executemany("insert into noted values ($1)", [(timer.key,) for timer in due])
    return []


def main() -> None:
    settings, port = Settings.load(), int(sys.argv[1])
    logging.configure(settings.log)

    async def run(stop: asyncio.Event) -> None:
        wiring = Wiring({"run": hear}, {"run": lock_owners})
        await asyncio.gather(
            running.run(settings, stop, [LoopbackSender(port)], wiring), timers.run(settings, stop, {"note": note})
        )

    run_in_loop(run)


if __name__ == "__main__":
    main()
