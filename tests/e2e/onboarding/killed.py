"""The kill matrix of journeys: a process dies at a numbered point of its work, again and again, while journeys are under way.

What must be is known before: the flow's file says which steps a journey takes and what is undone, and nothing of the product is
asked for it. What the world saw is in the book of the handlers, which no process of ours reads.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg

from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.replaying import gather, judge
from tests.e2e.onboarding.stage import ROLES, TENANT, Stage
from tests.waiting import until

FORWARD = ("create-account", "create-wallet", "activate-card", "aml-check")
BACK = ("UNDO_CARD_ACTIVATION", "UNDO_WALLET_CREATION", "UNDO_ACCOUNT_CREATION")
# Who dies, and where in his work.
POINTS: tuple[tuple[str, str], ...] = (
    *(("effects", f"effects.{point}") for point in ("claimed", "called", "recording", "recorded")),
    *(
        ("onboarding", f"shell.{point}")
        for point in ("after-begin", "after-fence", "after-load", "after-save", "after-write", "before-commit", "after-commit")
    ),
    *(("relay", f"relay.{point}") for point in ("before-fetch", "before-send", "after-ack", "before-delete", "after-delete")),
    *(("timers", f"timers.{point}") for point in ("firing", "fired")),
)


@dataclass(frozen=True, slots=True)
class Journey:
    """`busy`: the handler whose first attempt is sure that it did nothing, so that a timer begins the next one."""

    name: str
    refused: bool
    busy: str | None

    @property
    def said(self) -> dict[str, str]:
        return {**({"aml": "hit"} if self.refused else {}), **({"busy": self.busy} if self.busy else {})}

    @property
    def steps(self) -> list[str]:
        return [*FORWARD, *(BACK if self.refused else ())]

    @property
    def status(self) -> str:
        return "COMPENSATED" if self.refused else "COMPLETED"


@dataclass
class Play:
    """What was played: every journey, and how long it took each time until a step was recorded again."""

    stage: Stage
    journeys: list[Journey] = field(default_factory=list)
    alive_again: dict[str, list[float]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def die(self, role: str, point: str, times: int) -> None:
        """The process of a role dies at its point; another one takes over, and meanwhile more journeys come."""
        others = tuple(other for other in ROLES if other != role)
        async with self.stage.running(roles=others):
            for number in range(times):
                passage = str(1 + number % 3)
                async with self.stage.running(0.02, roles=(role,), CASESTREAM_FAILPOINT=f"{point}:{passage}") as doomed:
                    await self._until_dead(doomed)
                await self._come_back(f"{role} at {point}", role)
            async with self.stage.running(roles=(role,)):
                await self._all_ended()

    async def _until_dead(self, doomed: asyncio.subprocess.Process) -> None:
        """Journeys come until it dies: the point is reached only where there is work."""
        end = time.monotonic() + 60
        while doomed.returncode is None:
            assert time.monotonic() < end, "the point was never reached"
            await self._more(2)
            try:
                await asyncio.wait_for(doomed.wait(), 1.5)
            except TimeoutError:
                continue
        assert doomed.returncode == -9, doomed.returncode

    async def _come_back(self, what: str, role: str) -> None:
        began = time.monotonic()
        before = await self._recorded()
        await self._more(1)
        async with self.stage.running(roles=(role,)):

            async def goes_on() -> bool:
                return await self._recorded() > before

            await until(goes_on, 90, f"a step to be recorded after {what}")
            self.alive_again.setdefault(what, []).append(time.monotonic() - began)

    async def _recorded(self) -> int:
        (row,) = await self.stage.rows("select count(*) as n from workflow_event where event_type = 'STEP_COMPLETED'")
        return int(row["n"])

    async def _more(self, count: int) -> None:
        for number in itertools.islice(self._numbers, count):
            busy = (None, "create-wallet", None, "UNDO_WALLET_CREATION")[number % 4]
            journey = Journey(f"j-{number}", number % 2 == 1, busy)
            self.journeys.append(journey)
            await self.stage.begin(journey.name, **journey.said)

    async def _all_ended(self) -> None:
        for journey in self.journeys:
            await self.stage.becomes(journey.name, journey.status)

    async def problems(self) -> list[str]:
        """Everything that breaks a promise; no line when all is well."""
        found = [line for journey in self.journeys for line in await self._of(journey)]
        parked = await self.stage.rows("select topic from parked_messages")
        open_ = await self.stage.rows("select kind from incidents where state = 'open' and kind <> 'process-recovered'")
        return [*found, *(f"parked: {row['topic']}" for row in parked), *(f"incident: {row['kind']}" for row in open_)]

    async def _of(self, journey: Journey) -> list[str]:
        name, found = journey.name, list[str]()
        rows = await self.stage.rows(
            "select sequence_number as number, event_type as type from workflow_event where instance_id = $1 order by 1", name
        )
        numbers, types = [row["number"] for row in rows], [row["type"] for row in rows]
        if numbers != list(range(1, len(rows) + 1)):
            found.append(f"{name}: its numbers have gaps")
        steps = await self.stage.handlers(name)
        if steps != journey.steps:
            found.append(f"{name}: its steps are {steps}")
        if types.count("STEP_COMPLETED") != len(journey.steps):
            found.append(f"{name}: {types.count('STEP_COMPLETED')} steps completed, should be {len(journey.steps)}")
        calls = self.stage.calls(name)
        if (blocks := [handler for handler, _ in itertools.groupby(handler for handler, _ in calls)]) != journey.steps:
            found.append(f"{name}: called in this order: {blocks}")
        if len(set(calls)) != len(journey.steps):
            found.append(f"{name}: {len(set(calls))} ids for {len(journey.steps)} steps")
        if not await self._sound(name):
            found.append(f"{name}: its row is not the fold of its history, or other decisions would be made")
        return found

    async def _sound(self, name: str) -> bool:
        conn = await asyncpg.connect(self.stage.database.url("migrate"))
        try:
            return judge(await gather(conn, FollowedFlows(released_flows()), TENANT, name)).sound
        finally:
            await conn.close()


async def play(stage: Stage, points: Iterable[tuple[str, str]], times: int) -> Play:
    """Every point so often; all journeys have ended afterwards."""
    made = Play(stage)
    for role, point in points:
        await made.die(role, point, times)
    return made


def table(made: Play) -> Sequence[str]:
    """How long it took, as lines of a page."""
    return [f"| {what} | {len(seconds)} | {max(seconds):.1f} s |" for what, seconds in sorted(made.alive_again.items())]
