"""The audit chain on a real database: linked after the fact, signed, published, and every tampering found.

tests/torture/audit tampers 1,000 times and verifies a million entries; here each kind is done a few times.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain import audit
from domain.audit.chain import Entry, genesis, hash_of
from domain.audit.chaining import Held, heads_of
from domain.audit.signing import SignedHead, SigningKey
from domain.audit.verify import Verdict, verify_chain
from runtime.postgres import array_literal
from runtime.settings import Settings
from schemas.audit import AuditHeadSigned
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World, populated
from workers.audit_chainer import AuditChainer
from workers.jobs import Servers
from workers.lease import Leadership, Lease

NAME = "worker/audit-chainer"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Log:
    """The log of two tenants, its chainer, and a superuser who is not honest."""

    world: World
    settings: Settings
    key: SigningKey
    servers: Servers
    lease: Lease
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.chainer = AuditChainer(self.clock)

    async def write(self, count: int, tenant_id: str = "north") -> None:
        async with self.world.api(tenant_id) as conn:
            for number in range(count):
                await audit.append(
                    conn,
                    tenant_id=tenant_id,
                    actor="an",
                    action="case.read",
                    object_type="case",
                    object_id=f"c-{number}",
                    reason="a complaint",
                    detail={"version": number, "ratio": 0.1},
                )

    async def chain(self) -> None:
        """A round a minute later: links and signs."""
        self.clock.now += 61
        await self.chainer.round(self.settings, self.servers.scan, self.servers.worker, self.lease)

    async def published(self) -> list[SignedHead]:
        rows = await self.world.look("select payload from outbox_events where topic = 'audit.heads.v1' order by id")
        return heads_of([AuditHeadSigned.model_validate_json(row["payload"]) for row in rows])

    async def verify(self, tenant_id: str = "north", outside: list[SignedHead] | None = None) -> Verdict:
        async with self.servers.worker.acquire() as conn:
            await conn.execute("select set_config('app.tenants', $1, false)", array_literal([tenant_id]))
            heads = await self.published() if outside is None else outside
            return await verify_chain(conn, tenant_id, self.key.trusted, heads)

    async def tamper(self, *statements: str) -> None:
        """As a superuser who switches every trigger off."""
        async with (await self.world.pool("superuser")).acquire() as conn, conn.transaction():
            await conn.execute("set local session_replication_role = replica")
            for statement in statements:
                await conn.execute(statement)


@pytest.fixture
async def log(database: ClonedDatabase, tmp_path: Path) -> AsyncIterator[Log]:
    from domain.audit.signing import read_signing_key
    from runtime.stack.audit_key import ensure_audit_key
    from runtime.stack.home import Home

    path = ensure_audit_key(Home(tmp_path, tmp_path))
    settings = Settings.load(
        {
            "DATABASE_URL": database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "CASESTREAM_AUDIT__SIGNING_KEY_FILE": str(path),
        }
    )
    world = await populated(database)
    servers = Servers(settings, await world.pool("scan"), await world.pool("worker"))
    lease = await Leadership(servers.scan, NAME, "test", life=3600).take()
    assert lease is not None
    yield Log(world, settings, read_signing_key(path), servers, lease)
    await world.close()


async def test_entries_are_linked_and_heads_signed_published_and_gapless(log: Log) -> None:
    await log.write(5)
    assert await log.world.look("select from audit_chain") == []
    for _ in range(2):
        await log.chain()
    await log.write(3)
    await log.write(2, "south")
    await log.chain()
    verdict = await log.verify()
    assert (verdict.entries, verdict.heads, verdict.signed_length, verdict.findings) == (8, 2, 8, [])
    assert (await log.verify("south")).findings == []
    rows = await log.world.look(
        "select aggregate_id, sequence, payload from outbox_events where topic = 'audit.heads.v1' order by aggregate_id, id"
    )
    assert [(row["aggregate_id"], row["sequence"]) for row in rows] == [("north", 1), ("north", 2), ("south", 1)]
    assert json.loads(rows[0]["payload"])["length"] == 5
    assert await log.world.look("select from audit_unchained") == []


async def test_the_deeds_of_no_tenant_have_a_chain_of_their_own(log: Log) -> None:
    async with log.world.worker() as conn:
        await audit.append(conn, tenant_id="", actor="op", action="offsets.move", object_type="group", object_id="g")
    await log.chain()
    verdict = await log.verify("")
    assert (verdict.chain, verdict.entries, verdict.signed_length, verdict.findings) == ("-", 1, 1, [])


async def test_a_leader_that_leaves_signs_what_it_linked(log: Log) -> None:
    await log.write(1)
    await log.chain()
    await log.write(2)
    await log.chainer.leave(log.settings, log.servers.scan, log.servers.worker, log.lease)
    assert (await log.verify()).signed_length == 3


async def test_a_chainer_without_its_lease_links_and_signs_nothing(log: Log) -> None:
    from domain.audit.chaining import link_entries, sign_head
    from tests.integration.domain.world import OUTBOX

    await log.write(2)
    zombie = Held(NAME, log.lease.term - 1)
    async with log.world.worker() as conn:
        assert await link_entries(conn, "north", zombie, 10) == 0
    await log.chain()
    await log.write(1)
    async with log.world.worker() as conn:
        await link_entries(conn, "north", Held(NAME, log.lease.term), 10)
        assert await sign_head(conn, OUTBOX, log.key, "north", zombie) is None


async def test_late_commits_and_concurrent_writers_lose_no_entry(log: Log) -> None:
    pool = await log.world.pool("api")
    async with pool.acquire() as late, late.transaction():
        await late.execute("select set_config('app.tenant', 'north', true)")
        await audit.append(late, tenant_id="north", actor="late", action="a", object_type="o", object_id="1")
        await asyncio.gather(*(log.write(5) for _ in range(3)))
        await log.chain()
    await log.chain()
    verdict = await log.verify()
    assert (verdict.entries, verdict.findings) == (16, [])


Tamper = Callable[[Log, random.Random], Awaitable[int | None]]
LENGTH = 30


def _at(dice: random.Random) -> int:
    return dice.randrange(1, LENGTH + 1)


def _entry(position: int) -> str:
    return f"audit_id = (select audit_id from audit_chain where tenant_id = 'north' and position = {position})"


async def edit(log: Log, dice: random.Random) -> int | None:
    position, change = (
        _at(dice),
        dice.choice(
            (
                "actor = 'eve'",
                "reason = null",
                "at = at + interval '1 microsecond'",
                "object_id = 'c-x'",
                "detail = '{}'",
                "action = 'case.reads'",
                """detail = jsonb_set(detail, '{ratio}', '0.10')""",
            )
        ),
    )
    await log.tamper(f"update audit_log set {change} where tenant_id = 'north' and {_entry(position)}")
    return position


async def delete(log: Log, dice: random.Random) -> int | None:
    position = _at(dice)
    await log.tamper(f"delete from audit_log where tenant_id = 'north' and {_entry(position)}")
    return position


async def delete_with_link(log: Log, dice: random.Random) -> int | None:
    position = dice.randrange(1, LENGTH)
    await log.tamper(
        f"delete from audit_log where tenant_id = 'north' and {_entry(position)}",
        f"delete from audit_chain where tenant_id = 'north' and position = {position}",
    )
    return position


async def swap(log: Log, dice: random.Random) -> int | None:
    one, other = sorted(dice.sample(range(1, LENGTH + 1), 2))
    await log.tamper(
        "create temp table swapped on commit drop as select position, audit_id from audit_chain "
        f"where tenant_id = 'north' and position in ({one}, {other})",
        f"update audit_chain set audit_id = gen_random_uuid() where tenant_id = 'north' and position = {one}",
        f"update audit_chain set audit_id = (select audit_id from swapped where position = {one}) "
        f"where tenant_id = 'north' and position = {other}",
        f"update audit_chain set audit_id = (select audit_id from swapped where position = {other}) "
        f"where tenant_id = 'north' and position = {one}",
    )
    return one


async def insert(log: Log, dice: random.Random) -> int | None:
    await log.tamper(
        "insert into audit_log (tenant_id, audit_id, at, actor, action, object_type, object_id) "
        f"values ('north', gen_random_uuid(), now() - interval '{_at(dice)} minutes', 'eve', 'a', 'o', 'i')"
    )
    return None


async def cut_tail(log: Log, dice: random.Random) -> int | None:
    position = _at(dice)
    await log.tamper(
        "delete from audit_log l using audit_chain c where c.tenant_id = 'north' and l.tenant_id = 'north' "
        f"and c.audit_id = l.audit_id and c.position >= {position}",
        f"delete from audit_chain where tenant_id = 'north' and position >= {position}",
        f"delete from audit_heads where tenant_id = 'north' and length >= {position}",
    )
    return position


async def rewrite(log: Log, dice: random.Random) -> int | None:
    """Change an entry and compute every hash behind it anew: a chain that is whole in itself."""
    position = _at(dice)
    await log.tamper(f"update audit_log set actor = 'eve' where tenant_id = 'north' and {_entry(position)}")
    rows = await log.world.look(
        "select c.position, l.tenant_id, l.audit_id::text, l.at, l.actor, l.action, l.object_type, l.object_id, l.reason, "
        "l.detail::text from audit_chain c join audit_log l using (tenant_id, audit_id) "
        "where c.tenant_id = 'north' order by c.position"
    )
    before, statements = genesis("north"), []
    for row in rows:
        number = row.pop("position")
        before = hash_of(before, number, Entry(**row))
        statements.append(
            f"update audit_chain set hash = '\\x{before.hex()}' where tenant_id = 'north' and position = {number}"
        )
    await log.tamper(*statements, "delete from audit_heads where tenant_id = 'north'")
    return None


async def forge_head(log: Log, dice: random.Random) -> int | None:
    await log.tamper("update audit_heads set head = sha256('x') where tenant_id = 'north' and number = 2")
    return None


KINDS: dict[str, Tamper] = {
    tamper.__name__: tamper for tamper in (edit, delete, delete_with_link, swap, insert, cut_tail, rewrite, forge_head)
}
EXPECTED = {
    "edit": {"changed"},
    "delete": {"deleted"},
    "delete_with_link": {"gap"},
    "swap": {"changed"},
    "insert": {"inserted"},
    "cut_tail": {"cut", "head-removed"},
    "rewrite": {"rewritten"},
    "forge_head": {"forged-head"},
}


async def rounds(log: Log, kind: str, seeds: range) -> list[Any]:
    """Tamper, verify, put everything back, again; what was not found as it should be."""
    for count in (10, 10, 10):
        await log.write(count)
        await log.chain()
    outside = await log.published()
    assert (await log.verify(outside=outside)).findings == []
    tables = ("audit_log", "audit_chain", "audit_heads", "audit_unchained")
    await log.tamper(*(f"create table kept_{table} as select * from {table}" for table in tables))
    missed = []
    for seed in seeds:
        position = await KINDS[kind](log, random.Random(seed))
        verdict = await log.verify(outside=outside)
        found = {finding.kind for finding in verdict.findings}
        placed = position is None or position in {finding.position for finding in verdict.findings}
        if not (found & EXPECTED[kind] and placed):
            missed.append((kind, seed, position, verdict.findings))
        await log.tamper(
            *(f"delete from {table}" for table in tables),
            *(f"insert into {table} select * from kept_{table}" for table in tables),
        )
    assert (await log.verify(outside=outside)).findings == []
    return missed


@pytest.mark.parametrize("kind", KINDS)
async def test_every_tampering_is_found_and_placed(log: Log, kind: str) -> None:
    assert await rounds(log, kind, range(6)) == []


async def test_control_without_published_heads_a_full_rewrite_passes(log: Log) -> None:
    """Why heads leave the database."""
    await log.write(LENGTH)
    await log.chain()
    outside = await log.published()
    await rewrite(log, random.Random(1))
    assert (await log.verify(outside=[])).findings == []
    assert {finding.kind for finding in (await log.verify(outside=outside)).findings} >= {"rewritten"}


async def test_a_head_of_an_unknown_key_vouches_for_nothing(log: Log) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    await log.write(3)
    await log.chain()
    stranger = SigningKey(Ed25519PrivateKey.generate())
    forged = [stranger.sign(one.head) for one in await log.published()]
    assert {finding.kind for finding in (await log.verify(outside=forged)).findings} == {"forged-head"}


async def test_an_insert_stays_cheap_and_the_chain_is_insert_only(log: Log) -> None:
    await log.write(1)
    await log.chain()
    owner = await log.world.pool("migrate")
    for table in ("audit_chain", "audit_heads"):
        for statement in (f"update {table} set tenant_id = 'x'", f"delete from {table}", f"truncate {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await owner.execute(statement)
