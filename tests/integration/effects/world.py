"""What the tests of effects work with: a database, effects to plan, an owner that keeps what it hears, a server on loopback."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.effects.advancing import advance
from domain.effects.commands import plan
from domain.effects.effect import Answer, Call, Done, NewEffect, Outcome, Refused, Retry, RetryPolicy, effect_id
from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from runtime.postgres import tenants_transaction
from runtime.settings import EffectSettings, Settings
from runtime.sql import Connection
from tests.infrastructure.databases import ClonedDatabase
from workers.effects.running import EffectsWorker

OUTBOX = Outbox("casestream")
TENANT = "acme"


def new(
    run: str,
    index: int = 1,
    *,
    tenant: str = TENANT,
    kind: str = "webhook",
    endpoint: str = "hooks.example",
    key: str | None = None,
    owner_kind: str = "run",
    retry: RetryPolicy | None = None,
    request: dict[str, Any] | None = None,
    **more: Any,
) -> NewEffect:
    """Action `index` of a run."""
    return NewEffect(
        tenant,
        effect_id(owner_kind, run, index, ""),
        owner_kind,
        run,
        index,
        "",
        kind,
        {"run": run, "index": index} if request is None else request,
        order_key=key,
        endpoint=endpoint,
        retry=retry or RetryPolicy(0, 0.0, "fixed"),
        **more,
    )


class Ground:
    """A database with pools of the workers' roles; `look` reads everything."""

    def __init__(self, database: ClonedDatabase, scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Pool) -> None:
        self.database, self.scan, self.worker, self.owner = database, scan, worker, owner

    async def look(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.owner.fetch(query, *arguments)]

    async def plan(self, *effects: NewEffect, wiring: Wiring | None = None) -> set[UUID]:
        """Plan them, tenant by tenant; with a wiring also perform what is internal."""
        made: set[UUID] = set()
        for tenant in sorted({effect.tenant_id for effect in effects}):
            mine = [effect for effect in effects if effect.tenant_id == tenant]
            async with tenants_transaction(self.worker, [tenant]) as conn:
                made |= await plan(conn, mine)
                if wiring is not None:
                    await advance(conn, OUTBOX, wiring, {(tenant, one.owner_kind, one.owner_id) for one in mine})
        return made

    async def state(self, effect: NewEffect) -> str:
        found: str = await self.owner.fetchval("select state from effects where effect_id = $1", effect.id)
        return found

    async def states(self) -> dict[str, int]:
        """How many effects are in each state."""
        rows = await self.owner.fetch("select state, count(*) from effects group by 1")
        return {row["state"]: row["count"] for row in rows}

    async def shift_clock(self, seconds: float) -> None:
        """Move the one clock that SQL reads."""
        await self.owner.execute(
            "create or replace function cs_now() returns timestamptz language sql stable parallel safe"
            f" return statement_timestamp() + make_interval(secs => {seconds})"
        )

    def settings(self, **limits: Any) -> Settings:
        return Settings.model_validate(
            {
                "database_url": self.database.url("migrate"),
                "kafka_bootstrap_servers": "127.0.0.1:9",
                "effects": EffectSettings(**limits),
            }
        )

    def effects_worker(self, senders: Sequence[Any], wiring: Wiring | None = None, **limits: Any) -> EffectsWorker:
        return EffectsWorker(self.settings(**limits), self.scan, self.worker, senders, wiring or Wiring())


async def lock_owners(conn: Connection, owners: Sequence[tuple[str, str]]) -> None:
    """These owners have no rows of their own; an advisory lock for each stands for them."""
    for tenant, owner_id in owners:
        await conn.execute("select pg_advisory_xact_lock(hashtextextended($1, 1))", f"{tenant}|{owner_id}")


@dataclass
class Books:
    """An owner: keeps every outcome in a table of its own, in the transaction that records it, and promotes what comes next."""

    heard: list[Outcome] = field(default_factory=list)
    raises: set[str] = field(default_factory=set)
    next: Callable[[Connection, Sequence[Outcome]], Awaitable[None]] | None = None

    async def fold(self, conn: Connection, outcomes: Sequence[Outcome], _now: datetime) -> None:
        if self.raises & {outcome.owner_id for outcome in outcomes}:
            raise ValueError("this owner cannot be folded")
        self.heard += outcomes
        if self.next is not None:
            await self.next(conn, outcomes)

    def wiring(self, **internals: Any) -> Wiring:
        return Wiring({"run": self.fold}, {"run": lock_owners}, {**Wiring().internals, **internals})


class Receiver:
    """A server on loopback that keeps the ids it is called with and answers what it is told: `ok`, `busy`, `no`, `silent`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.now = self.most = 0
        self.answer: Callable[[dict[str, Any]], str] = lambda _request: "ok"
        self.gate = asyncio.Event()
        self.gate.set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.gate.set()
        self._server.close()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def ids(self) -> list[str]:
        return [id_ for id_, _ in self.calls]

    def runs(self) -> list[str]:
        return [request["run"] for _, request in self.calls]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            self.calls.append((asked["id"], asked["request"]))
            self.now += 1
            self.most = max(self.most, self.now)
            await self.gate.wait()
            said = self.answer(asked["request"])
            self.now -= 1
            if said != "silent":
                writer.write(said.encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()


class LoopbackSender:
    """Really goes over a socket: one line there, one line back."""

    def __init__(self, port: int, kind: str = "webhook") -> None:
        self.kind, self._port = kind, port

    async def send(self, call: Call) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            asked = {"id": str(call.effect_id), "request": dict(call.request), "attempt": call.attempt}
            writer.write(json.dumps(asked).encode() + b"\n")
            await writer.drain()
            match (await reader.readline()).decode().strip():
                case "ok":
                    return Done({"status": 200})
                case "no":
                    return Refused("http-410", {"status": 410})
                case "busy":
                    return Retry("http-503")
                case _:
                    return Retry("no-answer")
        finally:
            writer.close()
