"""Work items with the real engine behind them, over real topics: what the suite's tests and the torture's long form play."""

import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from domain.work_items.coupling import FIRST, WALKS, report_disagreements
from schemas.onboarding import Advance
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.e2e.onboarding.stage import TENANT, Stage
from tests.waiting import until

STRONG, LOOSE, PLAIN = "card-replacement", "aml-watch", "general"
# Sources that speak for supervisors: only they may reopen and reject.
SUPERVISOR = "casestream.import"
KILLED = ("work-items", "onboarding", "saga", "relay", "effects")
BROKEN = Path(__file__).with_name("broken_pairs.sql").read_text(encoding="utf-8")

Pair = tuple[str, int, str | None, int | None]


@dataclass
class Coupled:
    """Items, the people who work on them, and the journeys behind."""

    stage: Stage

    async def create(self, process: str, *actions: str) -> str:
        """An item that was sent, and what a person does to it in the same breath."""
        item = str(uuid.uuid4())
        asked = CreateWorkItem(work_item_id=item, title="A request", process=process, assignee_id="cy", requested_by="cy")
        acts = [ApplyAction(work_item_id=item, action=action, requested_by="cy") for action in actions]
        await self.stage.ask_of_item(item, asked, *acts)
        return item

    async def act(self, item: str, *actions: str, source: str = "bank") -> None:
        await self.stage.act_on_item(item, *actions, source=source)

    async def advance(self, item: str, action: str) -> None:
        """An operator moves the journey behind the item."""
        await self.stage.order(Advance(instance_id=item, action=action, requested_by="cy"))

    async def advance_customer(self, instance_id: str) -> None:
        """The customer goes on with his own journey."""
        await self.stage.order(Advance(instance_id=instance_id, action="NEXT", requested_by="ann"))

    async def tasks(self) -> Sequence[dict[str, Any]]:
        """Review tasks that are work items by now."""
        return await self.stage.rows("select id from work_items where process = 'onboarding-review' and status = 'open'")

    async def pair(self, item: str) -> Pair | None:
        """Status and cycle of the item, and of the instance behind it."""
        found = await self.stage.rows(
            "select w.status, w.cycle, i.status as instance, i.cycle as instance_cycle from work_items w"
            " left join onboarding_instance i on i.tenant_id = w.tenant_id and i.work_item_id = w.id::text"
            " where w.id::text = $1",
            item,
        )
        return tuple(found[0].values()) if len(found) == 1 else None

    async def becomes(self, item: str, status: str, instance: str | None, cycle: int = 0, instance_cycle: int = 0) -> None:
        """Waits for the pair to be so."""
        wanted = (status, cycle, instance, None if instance is None else instance_cycle)

        async def so() -> bool:
            return await self.pair(item) == wanted

        try:
            await until(so, 90)
        except AssertionError:
            assert await self.pair(item) == wanted, await self.history(item)

    async def stands(self, item: str, state: str) -> None:
        """Waits for the journey behind the item to wait in a state."""
        await self.stage.becomes(item, "ACTIVE", state=state)

    async def begun(self, count: int) -> None:
        """Waits for this many journeys."""

        async def there() -> bool:
            return len(await self.stage.rows("select from onboarding_instance")) >= count

        await until(there, 90, f"{count} journeys to begin")

    async def history(self, item: str) -> list[tuple[str, str]]:
        """What was done to the item, and who says so."""
        rows = await self.stage.rows(
            "select action, source from work_item_state_history where work_item_id::text = $1 order by position", item
        )
        return [(row["action"], row["source"]) for row in rows]

    async def quiet(self) -> None:
        """Waits until nothing is on its way: every event has left, and every group has read to the end of what was sent."""

        async def still() -> bool:
            pending = await self.stage.rows("select from outbox_events")
            return not pending and await self._read()

        await until(still, 90, "nothing to be on its way")

    async def broken(self, processes: Sequence[str] = (STRONG, LOOSE)) -> list[dict[str, Any]]:
        """What the check query and the reconciler's walks find."""
        found = [dict(row) for row in await self.stage.rows(BROKEN, list(processes))]
        conn = await asyncpg.connect(self.stage.database.url("migrate"))
        try:
            for walk in WALKS:
                pairs, _ = await report_disagreements(conn, TENANT, walk, FIRST, older_than=timedelta(0))
                found += [{"item": one.work_item_id, "why": one.instance_status} for one in pairs]
        finally:
            await conn.close()
        return found

    async def _read(self) -> bool:
        """Whether each history of the two kinds was read by those who follow it."""
        behind = await self.stage.rows(
            """select 1 from (
                   select 'work_item|' || id as aggregate, event_sequence as last, 'saga' as reader, tenant_id from work_items
                   union all
                   select 'onboarding|' || instance_id, version, 'work-items', tenant_id from onboarding_instance) told
               where not exists (
                   select from applied_sequences a where a.tenant_id = told.tenant_id and a.group_name = told.reader
                     and a.aggregate like '%' || told.aggregate and a.sequence >= told.last) limit 1"""
        )
        return not behind


async def play_with_kills(stage: Stage, kills: int, items: int) -> list[str]:
    """Items go through their lives while each process of the coupling is killed `kills` times; what is broken afterwards.

    Each role is a process of its own. Every round kills one of each, in another order, while commands are on their way.
    """
    coupled, born = Coupled(stage), list[tuple[str, str]]()
    async with AsyncExitStack() as steady:
        await steady.enter_async_context(stage.running(roles=("timers",)))
        for number in range(kills):
            async with AsyncExitStack() as children:
                running = {role: await children.enter_async_context(stage.running(0.05, roles=(role,))) for role in KILLED}
                born += [await _live(coupled, kind) for kind in range(items)]
                await coupled.begun(len(born))
                for item, ending in born[-items:]:
                    await _end(coupled, item, ending)
                for shift in range(len(KILLED)):
                    await stage.kill(running[KILLED[(number + shift) % len(KILLED)]])
        async with stage.running():
            for item, ending in born:
                await coupled.becomes(item, *_ENDINGS[ending])
            await coupled.quiet()
    broken = await coupled.broken()
    parked = await stage.rows("select from parked_messages")
    alarms = await stage.rows("select kind from incidents where state = 'open' and kind <> 'process-recovered'")
    return [*map(str, broken), *("parked" for _ in parked), *(str(row["kind"]) for row in alarms)]


async def _live(coupled: Coupled, kind: int) -> tuple[str, str]:
    ending = sorted(_ENDINGS)[kind % len(_ENDINGS)]
    process = LOOSE if ending == "loose" else STRONG
    return await coupled.create(process, "StartWork"), ending


async def _end(coupled: Coupled, item: str, ending: str) -> None:
    if ending == "engine":
        await coupled.advance(item, "ISSUE")
        await coupled.stage.becomes(item, "ACTIVE", state="ISSUED")
        await coupled.advance(item, "HAND_OVER")
    elif ending == "canceled":
        await coupled.act(item, "Cancel")
    elif ending == "reopened":
        await coupled.act(item, "Resolve", "Close")
        await coupled.act(item, "Reopen", source=SUPERVISOR)
    else:
        await coupled.act(item, "Resolve", "Close")


# How items of a play end: status, instance, cycles.
_ENDINGS: dict[str, tuple[str, str, int, int]] = {
    "canceled": ("canceled", "CANCELED", 0, 0),
    "closed": ("closed", "COMPLETED", 0, 0),
    "engine": ("closed", "COMPLETED", 0, 0),
    "loose": ("closed", "ACTIVE", 0, 0),
    "reopened": ("in_progress", "ACTIVE", 1, 1),
}
