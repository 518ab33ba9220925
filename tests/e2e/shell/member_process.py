"""`python -m tests.e2e.shell.member_process GROUP INSTANCE`: one member of one group, to be killed and frozen.

Settings and the failpoint come from the environment. SIGTERM lets it leave in order.
"""

import asyncio
import sys

from processors.shell import GroupMember
from runtime.running.process import run_in_loop
from runtime.settings import Settings
from tests.e2e.shell.conformance import SUBJECTS


def main() -> None:
    group, instance = sys.argv[1:]
    settings = Settings.load()

    async def run(stop: asyncio.Event) -> None:
        await GroupMember(settings, SUBJECTS[group].make(), instance, stop).run()

    run_in_loop(run)


if __name__ == "__main__":
    main()
