"""Carries out what was ordered about finished versions: compare, switch, switch back, retire. One process does each, under a
term; if it dies, another one begins the order anew after a few seconds.

    ordered -> running -> done | refused | failed

The view and the tables are moved by the ddl job alone (`projections.ddl_orders`): here its order is given and its end is
waited for. Whether a switch is allowed is asked again at this moment, since minutes may lie between asking and doing.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
from aiokafka.errors import KafkaError

from domain.incidents import Incident, open_incidents
from domain.operations.endings import close
from domain.rebuilds import commands
from projections import ddl_orders
from projections.cases.opening import hash_key_of
from projections.rebuild.conductor import all_tenants
from projections.rebuild.parity import Report, compare
from projections.rebuild.topics import broker
from projections.rebuild.whole import compare_with_store
from projections.versions import TableVersion, find_version, set_state
from runtime.failpoints import reach
from runtime.group_removal import remove_group
from runtime.keys.ring import open_key_ring
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, tenants_transaction
from runtime.settings import Settings
from runtime.sql import load_queries
from schemas.errors import NotFound, Rejected, TransientError

log = get_logger(__name__)
queries = load_queries(__file__, "rebuild.sql")

LIFE = timedelta(seconds=10)
BEAT_SECONDS = 2.0
_AGAIN = timedelta(seconds=0.3)
# A static member that has left counts until its session ends; then its group may go from the broker.
GROUP_LEAVES_SECONDS = 60.0
# A comparison may take an hour: whoever does it must not be the one who switches back.
COMPARISONS: tuple[commands.OrderKind, ...] = ("verify",)
MOVES: tuple[commands.OrderKind, ...] = ("switch", "switch-back", "retire")

Row = Mapping[str, Any]
End = Literal["done", "refused", "failed"]


class LostOrder(Exception):
    """Somebody else carries it out by now."""


class OrderClerk:
    """Takes the oldest order (of `kinds`) that nobody carries out, and does it. `owner` is told to people only."""

    def __init__(
        self,
        settings: Settings,
        scan: asyncpg.Pool,
        worker: asyncpg.Pool,
        owner: str,
        *,
        kinds: Sequence[commands.OrderKind] = (*COMPARISONS, *MOVES),
    ) -> None:
        self._settings, self._scan, self._worker, self._owner = settings, scan, worker, owner
        self._kinds = list(kinds)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is running then is taken up by somebody else."""
        while not stop.is_set():
            try:
                found = await self.next()
            except Exception as error:
                if not (is_transient(error) or isinstance(error, KafkaError)):
                    raise
                log.warning("orders of table versions wait for PostgreSQL or Kafka", error=error)
                found = False
            if not found:
                await pause(stop, 1.0)

    async def next(self, order_id: UUID | None = None) -> bool:
        """Carry out one order (this one); False when there is none to take."""
        async with self._worker.acquire() as conn:
            row = await queries.claim_order(conn, owner=self._owner, life=LIFE, kinds=self._kinds, order_id=order_id)
        if row is None:
            return False
        await reach("orders.after-claim")
        try:
            await _KINDS[row["kind"]](self, row)
        except LostOrder:
            log.warning("an order was taken over", order_id=str(row["order_id"]))
        except TransientError as error:
            await self._end(row, "failed", str(error))
        except NotFound as error:
            await self._end(row, "refused", str(error))
        return True

    async def verify(self, row: Row) -> None:
        """Compare, under a lease that a beat renews; the verdict and the report stay in the order."""
        new = await self._find(row["name"], row["version"])
        beating = asyncio.create_task(self._beat(row))
        try:
            async with broker(self._settings) as kafka:
                tenants = [new.trial_tenant] if new.trial_tenant else await all_tenants(self._scan)
                if row["whole"]:
                    async with open_key_ring(self._settings) as ring:
                        hash_key = hash_key_of(self._settings)
                        report = await compare_with_store(self._worker, kafka, tenants, new, ring, hash_key)
                else:
                    old = await self._find(row["name"], row["against"])
                    report = await compare(self._worker, kafka, tenants, old, new)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        await self._end(
            row, "done", said(report), report.to_json(), "equal" if report.equal else "different", report.compared_at
        )
        async with tenants_transaction(self._worker, []) as conn:
            if report.equal:
                await close(conn, ["parity-failed"], [new.label], actor=row["requested_by"], resolution="found equal")
            else:
                await open_incidents(conn, [_failed_parity(row, new, report)])

    async def _beat(self, row: Row) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            async with self._worker.acquire() as conn:
                await queries.keep_order(conn, order_id=row["order_id"], term=row["term"], life=LIFE)

    async def switch(self, row: Row) -> None:
        """Ask again whether it may be, then let the ddl job move the view."""
        ddl = await self._ddl(row, "switch")
        if ddl is None:
            async with self._worker.acquire() as conn:
                reason = row["reason"] or ("switched back" if row["kind"] == "switch-back" else "")
                judged = await commands.judge_switching(conn, row["name"], row["version"], reason)
            if isinstance(judged, Rejected):
                await self._end(row, "refused", judged.message)
                return
            # Another switch may come first: the owner role asks at the last moment which version serves.
            await self._order_ddl(row, "switch", judged.while_serving)
            return
        await self._follow(row, ddl, f"the view shows version {row['version']}")

    async def retire(self, row: Row) -> None:
        """Out of the catalogue first, so that its consumers leave; then the ddl job drops its tables, and at last its group
        and dead letter topics leave the broker."""
        version = await self._find(row["name"], row["version"])
        if version.state != "retired":
            async with self._scan.acquire() as conn, conn.transaction():
                retired = await set_state(conn, version.name, version.version, RETIRABLE, "retired")
            if not retired:
                await self._end(row, "refused", f"version {version.version} is {version.state}: switch to another one first")
                return
            await self._close_incidents(row, version)
            await reach("orders.after-retire")
        ddl = await self._ddl(row, "retire")
        if ddl is None:
            await self._order_ddl(row, "retire")
            return
        gone = f"version {row['version']} is gone"
        if ddl["state"] == "executed":
            await reach("orders.after-drop")
            try:
                left = await remove_group(self._settings, version.group)
            except KafkaError as error:
                await self._wait(row, f"{gone}; its topics wait for Kafka ({type(error).__name__})")
                return
            gone = "; ".join([gone, *left])
            if left and ddl["executed_ago"] < GROUP_LEAVES_SECONDS:
                await self._wait(row, gone)
                return
        await self._follow(row, ddl, gone)

    async def _close_incidents(self, row: Row, version: TableVersion) -> None:
        """What was wrong with a version is nobody's trouble any more."""
        async with tenants_transaction(self._worker, []) as conn:
            rebuild = await queries.find_rebuild_of(conn, name=version.name, version=version.version)
            objects = [version.label, version.group.name, *([str(rebuild)] if rebuild else [])]
            kinds = ["parity-failed", "rebuild-paused", "rebuild-failed", "group-stopped", "projection-failed"]
            await close(conn, kinds, objects, actor=row["requested_by"], resolution="the version is retired")

    async def _ddl(self, row: Row, kind: ddl_orders.Kind) -> Row | None:
        """What the owner role was asked since this order was given; an older one is another story."""
        async with self._worker.acquire() as conn:
            return await queries.find_ddl(  # type: ignore[no-any-return]
                conn, name=row["name"], version=row["version"], kind=kind, since=row["requested_at"]
            )

    async def _order_ddl(self, row: Row, kind: ddl_orders.Kind, while_serving: int | None = None) -> None:
        async with self._scan.acquire() as conn, conn.transaction():
            who, why = row["requested_by"], row["reason"]
            await ddl_orders.order(conn, kind, row["name"], row["version"], by=who, reason=why, while_serving=while_serving)
        await reach("orders.after-order")
        await self._wait(row, "waits for the ddl job (`casestream ddl list` shows what it waits for)")

    async def _follow(self, row: Row, ddl: Row, done: str) -> None:
        if ddl["state"] == "executed":
            await self._end(row, "done", done)
        elif ddl["state"] == "refused":
            await self._end(row, "refused", ddl["error"] or "the ddl job refused it")
        else:
            waits = ddl["error"] or "waits for the ddl job (`casestream ddl list` shows what it waits for)"
            await self._wait(row, waits)

    async def _wait(self, row: Row, message: str) -> None:
        async with self._worker.acquire() as conn:
            await queries.wait_order(conn, order_id=row["order_id"], term=row["term"], pause=_AGAIN, message=message)

    async def _end(
        self,
        row: Row,
        state: End,
        message: str,
        report: Mapping[str, object] | None = None,
        verdict: str | None = None,
        at: datetime | None = None,
    ) -> None:
        async with self._worker.acquire() as conn:
            ended = await queries.end_order(
                conn,
                order_id=row["order_id"],
                term=row["term"],
                state=state,
                verdict=verdict,
                message=message,
                report=json.dumps(dict(report or {}), default=str),
                compared_at=at,
            )
        if not ended:
            raise LostOrder
        log.info("order ended", order_id=str(row["order_id"]), state=state, reason=message)

    async def _find(self, name: str, version: int) -> TableVersion:
        async with self._worker.acquire() as conn:
            return await find_version(conn, name, version)


RETIRABLE: tuple[Literal["planned", "building", "ready", "standby"], ...] = ("planned", "building", "ready", "standby")


def said(report: Report) -> str:
    """A comparison in one line."""
    rows = f"{report.old}: {report.old_rows} rows, {report.new}: {report.new_rows} rows"
    moving = f", {report.moving} on their way" if report.moving else ""
    return f"{'equal' if report.equal else f'{report.differences} differences'} ({rows}{moving})"


def _failed_parity(row: Row, version: TableVersion, report: Report) -> Incident:
    return Incident(
        tenant_id="",
        kind="parity-failed",
        fingerprint="parity-failed",
        object_type="table-version",
        object_id=version.label,
        summary=f"{version.label} is not what {report.old} is: {said(report)}",
        cure=f"casestream projection verify {version.name} --version {version.version} shows rows; see the runbook",
    )


_KINDS = {
    "verify": OrderClerk.verify,
    "switch": OrderClerk.switch,
    "switch-back": OrderClerk.switch,
    "retire": OrderClerk.retire,
}
