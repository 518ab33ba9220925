"""`python -m benchmarks.shell.ours INSTANCE EVENTS`: the board's member until the group has read EVENTS records.

Prints one JSON line: first and last commit seen (seconds of the machine's clock), CPU seconds, resident bytes.
"""

import asyncio
import json
import resource
import sys
import time

from processors.shell import GroupMember
from processors.shell.batch import Batch
from processors.shell.plan import Outcome
from projections.work_item_board import WorkItemBoard
from runtime.running.process import collect_for_batches, run_in_loop
from runtime.settings import Settings


class Clocked(GroupMember):
    """Notes when it committed."""

    read = untimed = 0
    first = last = began = ended = 0.0

    def _committed(self, batch: Batch, outcome: Outcome) -> None:
        super()._committed(batch, outcome)
        self.last, self.ended = time.monotonic(), time.process_time()
        self.read += len(batch.items)
        if not self.first:
            # What the first commit brought was read before the clock began.
            self.first, self.began, self.untimed = self.last, self.ended, self.read


async def run(stop: asyncio.Event) -> None:
    member = Clocked(Settings.load(), WorkItemBoard(1), sys.argv[1], stop)
    collect_for_batches()
    running = asyncio.create_task(member.run())
    # SIGTERM ends it; alone it ends with its last event.
    while not stop.is_set() and not running.done():
        if member.read >= int(sys.argv[2]):
            stop.set()
        await asyncio.sleep(0.05)
    await running
    print(
        json.dumps(
            {
                "read": member.read,
                "first": member.first,
                "last": member.last,
                "cpu": member.ended - member.began,
                "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    run_in_loop(run)
