"""A key service may be slow: whoever fills or compares a case table asks it while nobody waits for what he holds."""

import json
from base64 import b64decode
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import pytest

from processors.shell.decoding import decode
from processors.shell.messages import Message, Position, Record
from projections.cases.opening import Opener
from projections.cases.projector import CaseProjector
from projections.rebuild import whole
from projections.rebuild.scan import Page, StoreScanner
from projections.rebuild.slices import LostSlice, Slice
from projections.versions import find_version
from runtime.keys.ring import KeyPlace
from runtime.postgres import tenants_transaction
from schemas.envelope import to_headers
from tests.e2e.shell import case_snapshots
from tests.e2e.shell.case_snapshots import CLASS, KEY_ID, SUBJECT, TABLE, OneKey
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import pools

__all__ = ["pools"]

Pools = dict[str, asyncpg.Pool]
AT = "2026-01-05T08:00:00Z"


@dataclass
class Watched(OneKey):
    """Keys, and for each question how many transactions stood open and how many locks of subjects were held."""

    superuser: asyncpg.Pool
    seen: list[tuple[int, int]] = field(default_factory=list)

    async def secrets(self, wanted: list[KeyPlace]) -> dict[UUID, bytes]:
        found = await super().secrets(wanted)
        if wanted:
            row = await self.superuser.fetchrow(
                """select (select count(*) from pg_stat_activity
                           where usename = 'cs_worker' and datname = current_database() and xact_start is not null) as open,
                          (select count(*) from pg_locks l join pg_database d on d.oid = l.database
                           where d.datname = current_database() and locktype = 'advisory') as held"""
            )
            assert row is not None
            self.seen.append((row["open"], row["held"]))
        return found


@pytest.fixture
async def keys(database: ClonedDatabase, pools: Pools) -> Watched:
    await case_snapshots.prepare(database)
    return Watched(pools["superuser"])


@pytest.mark.requirement("CD-5", "SP-9")
async def test_a_projector_asks_before_its_batch_begins(pools: Pools, keys: Watched) -> None:
    projector = CaseProjector(case_snapshots.spec(), 1, keys, hash_key=b"h" * 32)
    messages = _messages(3)
    async with pools["worker"].acquire() as conn:
        await projector.prepare(conn, messages)
    assert keys.seen == [(0, 0)], "no transaction, no subject held"
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        states = await projector.load(conn, messages)
    assert [state.held.secrets for state in states.values()] == [{KEY_ID: case_snapshots.SECRET}]
    assert keys.seen[1:] == [(1, 1)], "asked again, when the ring has it near: the subject is held by then"


@pytest.mark.requirement("CD-13", "SP-9")
async def test_a_scan_asks_before_its_batch_begins(pools: Pools, keys: Watched) -> None:
    scanner = StoreScanner(pools["scan"], pools["worker"], keys, b"h" * 32, "test")  # type: ignore[arg-type]
    opener = Opener(case_snapshots.spec(), keys, b"h" * 32)
    await _store(pools["superuser"])
    part = Slice(uuid4(), TABLE, 1, None, None, 0, 1, 1, 0, 1)
    page = await scanner._page(part, ["acme"], opener, 0)
    assert isinstance(page, Page)
    with pytest.raises(LostSlice):
        await scanner._write(part, ["acme"], opener, case_snapshots.spec(), page)
    assert keys.seen == [(0, 0), (1, 1)]


@pytest.mark.requirement("CD-13")
async def test_a_comparison_holds_no_subject_while_it_asks(database: ClonedDatabase, pools: Pools, keys: Watched) -> None:
    await _store(pools["superuser"])
    owner = await asyncpg.connect(database.url("migrate"))
    version = await find_version(owner, TABLE, 1)
    await owner.close()
    await pools["superuser"].execute(
        f"insert into projections.{TABLE}__v1 (tenant_id, case_id, snapshot_version, subject_id)"
        f" values ('acme', 'c', 1, '{SUBJECT}')"
    )
    look = whole._Look(case_snapshots.spec(), version, Opener(case_snapshots.spec(), keys, b"h" * 32))
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        await look.page(conn, ("", ""))
    assert keys.seen == [(1, 0), (1, 1)]


def _messages(count: int) -> list[Message]:
    found = []
    for number, event in enumerate(case_snapshots.history("acme", "c", count)):
        record = Record(Position("case.snapshots.v1", 0, number), b"acme|case|c", event.data, tuple(to_headers(event)), 0)
        message = decode(record, CaseProjector.interests, 1 << 20)
        assert isinstance(message, Message)
        found.append(message)
    return found


async def _store(owner: asyncpg.Pool) -> None:
    event = case_snapshots.history("acme", "c", 1)[0]
    assert event.data is not None
    await owner.execute(
        "insert into cases (tenant_id, case_id, class_name, subject_id, version, created_at, created_by, updated_at,"
        f" updated_by) values ('acme', 'c', '{CLASS}', '{SUBJECT}', 1, '{AT}', 'u', '{AT}', 'u')"
    )
    await owner.execute(
        "insert into sys_case_data_store (tenant_id, case_id, version, class_name, subject_id, snapshot, stored_at,"
        f" stored_by, source) values ('acme', 'c', 1, '{CLASS}', '{SUBJECT}', $1, '{AT}', 'u', 'test')",
        b64decode(json.loads(event.data)["snapshot"]),
    )
