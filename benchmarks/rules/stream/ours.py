"""`python -m benchmarks.rules.stream.ours EVENTS`: a member of the rules group until it has read EVENTS records.

Prints one JSON line, as benchmarks/shell/ours.py does; `read`: since the first commit, where the clock begins.
"""

import asyncio
import json
import resource
import sys

from benchmarks.shell.ours import Clocked
from domain.rules.followed_rules import FollowedRules
from processors.rules import Rules
from runtime.cli.effect_kinds import rules_outbox, wiring
from runtime.running.process import collect_for_batches, run_in_loop
from runtime.settings import Settings


async def run(stop: asyncio.Event) -> None:
    settings = Settings.load()
    shown = settings.rules.skips_shown_per_minute
    rules = Rules(rules_outbox(settings), wiring(settings), FollowedRules(), skips_shown_per_minute=shown)
    member = Clocked(settings, rules, "bench-0", stop)
    collect_for_batches()
    running = asyncio.create_task(member.run())
    while not stop.is_set() and not running.done():
        if member.read >= int(sys.argv[1]):
            stop.set()
        await asyncio.sleep(0.05)
    await running
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "read": member.read - member.untimed,
                "first": member.first,
                "last": member.last,
                "cpu": member.ended - member.began,
                "rss": rss,
            }
        )
    )


if __name__ == "__main__":
    run_in_loop(run)
