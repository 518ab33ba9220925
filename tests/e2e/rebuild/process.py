"""`python -m tests.e2e.rebuild.process INSTANCE`: what a machine of table versions runs, in one process, to be killed.

Consumers of all versions, the rebuilds' part, and the ddl job. Settings and the failpoint come from the environment.
"""

import asyncio
import sys

from projections import ddl_role
from projections.fleet import Fleet
from projections.rebuild import running
from runtime import logging
from runtime.running.process import run_in_loop
from runtime.settings import Settings


def main() -> None:
    settings = Settings.load()
    logging.configure(settings.log)

    async def run(stop: asyncio.Event) -> None:
        fleet = Fleet(settings, int(sys.argv[1]), stop)
        await asyncio.gather(fleet.run(), running.run(settings, stop), ddl_role.run(settings, stop))

    run_in_loop(run)


if __name__ == "__main__":
    main()
