"""The chapter's story: customers come, people decide, processes and the database die, the late ones expire, books.

Customers and the people at their desks use HTTP as their front ends would; `casestream` shows one timeline and replays it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.progress import Progress

from demo.onboarding.applicants import GROUPS, Applicant, steps_of
from demo.onboarding.books import JourneyBooks, read_calls
from demo.onboarding.front_end import ONBOARDING, REVIEWS, FrontEnd
from demo.onboarding.handlers import BOOK
from demo.onboarding.payments import Payments
from demo.onboarding.preparing import REVIEWER, Casestream, prepare
from demo.processes import Processes
from runtime.sql import load_queries
from runtime.stack.postgres import PostgresServer
from schemas.errors import TransientError

queries = load_queries(__file__, "story.sql")

AT_ONCE = 24
PATIENCE_SECONDS = 150.0
_BETWEEN_KILLS = 2.0
_LOOK_SECONDS = 0.3

# A token for (user, role).
TokenOf = Callable[[str, str], str]


class JourneyChapter:
    """One run on a running stack, for one tenant."""

    def __init__(
        self,
        processes: Processes,
        postgres: PostgresServer,
        payments: Payments,
        everybody: Sequence[Applicant],
        tenant: str,
        url: str,
    ) -> None:
        self._processes, self._postgres, self._payments = processes, postgres, payments
        self._tenant, self._url = tenant, url
        self._places = asyncio.Semaphore(AT_ONCE)
        self.books = JourneyBooks(everybody, payments)

    async def go(self, token_of: TokenOf, casestream: Casestream, folder: Path, progress: Progress) -> JourneyBooks:
        """Everything. Raises TransientError when the journeys do not end in time."""
        began = time.monotonic()
        self._payments.secret = await prepare(casestream, folder, self._tenant, self._payments.url)
        self._token_of = token_of
        async with httpx.AsyncClient(base_url=self._processes.url, timeout=30, trust_env=False) as client:
            self._front = FrontEnd(client)
            self._payments.call_back = partial(self._call_back, token_of("payments", "step-handler"))
            async with self._payments.open(), self._at_their_desks():
                await asyncio.gather(self._customers(progress), self._kill())
                await self._all_ended(progress)
        await self._all_seen(progress)
        await self._close()
        await self._look_at_one(casestream)
        self.books.seconds = time.monotonic() - began
        return self.books

    async def _customers(self, progress: Progress) -> None:
        task = progress.add_task("customers of three flows", total=len(self.books.everybody))

        async def one(applicant: Applicant) -> None:
            await self._journey(applicant)
            progress.advance(task)

        await asyncio.gather(*(one(applicant) for applicant in self.books.everybody))

    async def _journey(self, one: Applicant) -> None:
        token = self._token_of(one.user_id, "customer")
        async with self._places:
            body = {"flow": one.flow, "data": one.data}
            begun = await self._front.post(token, f"{ONBOARDING}/start", body, f"start-{one.user_id}")
            if begun is None:
                return
            self.books.journeys[one.user_id] = instance = begun["instanceId"]
            if one.fate.comes_back:
                await self._first_steps(one, token, instance)
        if one.flow == "loan-application" and one.fate.decision == "approve":
            await self._offer(one, token, instance)

    async def _first_steps(self, one: Applicant, token: str, instance: str) -> None:
        if one.flow == "customer-onboarding":
            waiting = ("PHONE_ENTERED", "OTP_VERIFIED", "PROFILE_COMPLETED", "DOC_UPLOADED")
            for state, (step, said) in zip(waiting, steps_of(one.user_id), strict=True):
                await self._front.stands(token, instance, state)
                await self._act(token, instance, "NEXT", step, said)
        elif one.flow == "card-onboarding":
            await self._act(token, instance, "NEXT", "order-card", {})
        else:
            said = {"amount": 1000, "termMonths": 12, "account": "VN-1"}
            await self._act(token, instance, "SUBMIT", "application", said)

    async def _offer(self, one: Applicant, token: str, instance: str) -> None:
        """The officer has time; then the customer takes the offer, or not."""
        seen = await self._front.stands(token, instance, "OFFER_SENT")
        if seen["endedAt"] is None:
            action = "DECLINE" if "declined" in one.fate.name else "ACCEPT"
            await self._act(token, instance, action, "offer", {})

    async def _act(self, token: str, instance: str, action: str, step: str, said: dict[str, Any]) -> None:
        body = {"action": action, **({"data": said} if said else {})}
        await self._front.post(token, f"{ONBOARDING}/{instance}/action", body, f"{step}-{instance}")

    @asynccontextmanager
    async def _at_their_desks(self) -> AsyncIterator[None]:
        """Meanwhile people take tasks from their groups' queues and decide as they must."""
        task = asyncio.create_task(self._decide())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _decide(self) -> None:
        token = self._token_of(REVIEWER, "agent")
        fates = {one.user_id: one.fate for one in self.books.everybody}
        done = set[str]()
        while True:
            owners = {instance: user for user, instance in self.books.journeys.items()}
            for group in GROUPS.values():
                page = await self._front.get(token, f"{REVIEWS}?group={group}&limit=100")
                for item in page["items"]:
                    user = owners.get(item["instanceId"])
                    if user is None or item["workItemId"] in done or item["itemStatus"] is None:
                        continue
                    decision = fates[user].decision or "reject"
                    body = {"reason": "looked at by a person"}
                    path = f"{REVIEWS}/{item['workItemId']}/{decision}"
                    if await self._front.post(token, path, body, f"decide-{item['workItemId']}") is not None:
                        self.books.decided[decision] += 1
                    done.add(item["workItemId"])
            await asyncio.sleep(_LOOK_SECONDS)

    async def _kill(self) -> None:
        """SIGKILL who calls handlers, who decides, and the database, one after another, in the middle of the work."""
        for child in ("effects-0", "onboarding-0"):
            await asyncio.sleep(_BETWEEN_KILLS)
            began = time.monotonic()
            await self._processes.restarted(child, self._processes.kill(child))
            self.books.kills[child] = time.monotonic() - began
        await asyncio.sleep(_BETWEEN_KILLS)
        began = time.monotonic()
        await asyncio.to_thread(self._postgres.kill9)
        await asyncio.to_thread(self._postgres.start)
        self.books.kills["postgresql"] = time.monotonic() - began

    async def _all_ended(self, progress: Progress) -> None:
        ids = list(self.books.journeys.values())
        task = progress.add_task("journeys that ended", total=len(ids))
        end = time.monotonic() + PATIENCE_SECONDS
        conn = await asyncpg.connect(self._url)
        try:
            while (done := await queries.count_ended(conn, tenant_id=self._tenant, ids=ids)) < len(ids):
                progress.update(task, completed=done)
                if time.monotonic() > end:
                    raise TransientError(
                        f"{len(ids) - done} journeys have not ended: casestream instance list; casestream incident list"
                    )
                await asyncio.sleep(_LOOK_SECONDS)
            progress.update(task, completed=done)
        finally:
            await conn.close()

    async def _all_seen(self, progress: Progress) -> None:
        """Until the tables show what the last persist points stored, or long enough for the books to say what lacks."""
        asked = {"tenant_id": self._tenant, "ids": list(self.books.journeys.values())}
        task = progress.add_task("journeys that analysts see", total=self.books.wanted_rows.total())
        end = time.monotonic() + PATIENCE_SECONDS
        conn = await asyncpg.connect(self._url)
        try:
            while self.books.rows != self.books.wanted_rows and time.monotonic() < end:
                await asyncio.sleep(_LOOK_SECONDS)
                rows = await queries.list_rows(conn, **asked)
                self.books.rows.clear()
                self.books.rows.update({(row["flow"], row["flow_state"]): row["rows"] for row in rows})
                progress.update(task, completed=self.books.rows.total())
        finally:
            await conn.close()

    async def _close(self) -> None:
        fates = {one.user_id: (one.flow, one.fate.name) for one in self.books.everybody}
        asked = {"tenant_id": self._tenant, "ids": list(self.books.journeys.values())}
        conn = await asyncpg.connect(self._url)
        try:
            for row in await queries.list_ends(conn, **asked):
                self.books.ends[(*fates[row["user_id"]], row["status"])] += 1
            self.books.open_incidents = await queries.count_incidents(conn, **asked)
        finally:
            await conn.close()
        book = self._payments.book
        lines = book.read_text(encoding="utf-8").splitlines() if book.exists() else []
        mine = set(asked["ids"])
        self.books.calls = {instance: calls for instance, calls in read_calls(lines).items() if instance in mine}
        self.books.refused, self.books.repeats = self._front.refused, self._front.repeats

    async def _look_at_one(self, casestream: Casestream) -> None:
        """The timeline of a journey that was undone, and its replay."""
        undone = next(one for one in self.books.everybody if "all undone" in one.fate.name)
        asked = [self.books.journeys[undone.user_id], "--tenant", self._tenant]
        shown = await casestream(["--output", "jsonl", "instance", "timeline", *asked])
        self.books.timeline = [json.loads(line) for line in shown.splitlines()]
        self.books.replayed = json.loads(await casestream(["--output", "json", "instance", "replay", *asked]))

    async def _call_back(self, token: str, path: str, body: dict[str, Any]) -> None:
        await self._front.post(token, path, body, f"callback-{path}")


def bank_environment(book: Path) -> dict[str, str]:
    """What the demo's processes are told: the bank's handlers, and where they note their calls."""
    return {"CASESTREAM_ONBOARDING__HANDLERS": '["demo.onboarding.handlers"]', BOOK: str(book)}
