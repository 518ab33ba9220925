"""Everything that a journey needs, in one process that can be killed, on the real broker and database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from schemas.onboarding import Advance, Command, StartInstance
from schemas.registry import GROUPS, dlt_topic
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.e2e.onboarding.slow_steps import BOOK
from tests.e2e.shell.harness import environ_for, event, execute, produce, rows
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TENANT = "acme"
ROLES = ("onboarding", "saga", "work-items", "relay", "effects", "timers")
GROUP_NAMES = ("onboarding", "saga", "work-items")


@dataclass
class Stage:
    database: ClonedDatabase
    kafka: FreshKafka
    book: Path

    async def order(self, *commands: Command) -> None:
        """Commands of the registered engine, in the name of the customer."""
        await produce(
            self.kafka,
            "onboarding.commands.v1",
            [
                replace(
                    event(command, TENANT),
                    subject=command.instance_id,
                    partitionkey=f"{TENANT}|onboarding|{command.instance_id}",
                )
                for command in commands
            ],
        )

    async def begin(self, instance_id: str, flow: str = "card-onboarding", **data: Any) -> None:
        """A customer starts and does the first thing."""
        await self.order(
            StartInstance(instance_id=instance_id, flow=flow, flow_version=1, user_id="ann", data=data or None),
            Advance(instance_id=instance_id, action="NEXT", requested_by="ann"),
        )

    async def act_on_item(self, work_item_id: str, *actions: str, source: str = "bank") -> None:
        """A person works on a work item."""
        asked = [ApplyAction(work_item_id=work_item_id, action=action, requested_by="cy") for action in actions]
        await self.ask_of_item(work_item_id, *asked, source=source)

    async def ask_of_item(self, work_item_id: str, *commands: CreateWorkItem | ApplyAction, source: str = "bank") -> None:
        """Commands to a work item, of a sender by its source."""
        await produce(
            self.kafka,
            "work-items.commands.v1",
            [
                replace(event(command, TENANT), source=source, partitionkey=f"{TENANT}|work_item|{work_item_id}")
                for command in commands
            ],
        )

    @asynccontextmanager
    async def running(
        self, seconds: float = 0.0, *more: str, roles: Sequence[str] = ROLES, **settings: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """One process with every role, or with these, ended with the block."""
        environment = {
            **os.environ,
            **environ_for(self.database, self.kafka),
            BOOK: str(self.book),
            "CASESTREAM_TEST_STEP_SECONDS": str(seconds),
            "CASESTREAM_ONBOARDING__HANDLERS": '["tests.e2e.onboarding.slow_steps"]',
            "CASESTREAM_EFFECTS__LEASE_SECONDS": "2",
            "CASESTREAM_EFFECTS__RENEW_SECONDS": "0.5",
            **settings,
        }
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "runtime.cli",
            "run",
            *roles,
            *more,
            env=environment,
            stderr=(self.book.parent / "log").open("ab"),
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.terminate()
                await asyncio.wait_for(child.wait(), 40)

    async def kill(self, child: asyncio.subprocess.Process) -> None:
        """The process ends between two instructions."""
        child.kill()
        await child.wait()

    async def becomes(self, instance_id: str, *statuses: str, state: str | None = None) -> None:
        async def reached() -> bool:
            found = await self.rows("select status, current_state from onboarding_instance where instance_id = $1", instance_id)
            return bool(found) and found[0]["status"] in statuses and state in (None, found[0]["current_state"])

        await until(reached, 90, f"{instance_id} is one of {statuses}")

    async def handlers(self, instance_id: str) -> list[str]:
        """Steps in their order, by handler."""
        found = await self.rows(
            "select distinct step, handler from step_execution where instance_id = $1 order by step", instance_id
        )
        return [row["handler"] for row in found]

    def calls(self, instance_id: str) -> list[tuple[str, str]]:
        """What was called in the world: handler and idempotency id."""
        lines = self.book.read_text(encoding="utf-8").splitlines() if self.book.exists() else []
        return [(handler, id_) for one, handler, id_ in (line.split() for line in lines) if one == instance_id]

    async def rows(self, query: str, *arguments: Any) -> Sequence[dict[str, Any]]:
        return await rows(self.database, query, *arguments)


async def open_stage(database: ClonedDatabase, kafka: FreshKafka, folder: Path) -> Stage:
    """Topics and a tenant with a person."""
    read = {topic for name in GROUP_NAMES for topic in GROUPS[name].topics}
    dead = {dlt_topic(topic, name) for name in GROUP_NAMES for topic in GROUPS[name].topics}
    await kafka.create_topics(sorted(read | dead | {"effects.events.v1", "case.snapshots.v1"}), 2)
    await execute(database, f"insert into tenants (tenant_id, name) values ('{TENANT}', 'Acme')")
    await execute(
        database, f"insert into users (tenant_id, user_id, display_name, active) values ('{TENANT}', 'cy', 'Cy', true)"
    )
    return Stage(database, kafka, folder / "book")
