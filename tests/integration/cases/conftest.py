"""Two tenants, a key ring on a keys database of the test's own, and what a case is made of."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from domain.cases.case import CaseClass
from domain.cases.commands import Document, read_case, remove_case, store_snapshot
from domain.cases.decisions import Decided, Outcome
from runtime.keys.local_keks import LocalKeks
from runtime.keys.ring import KeyCache, KeyRing
from runtime.settings import KeySettings
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import Rejected
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import OUTBOX, World, caller, populated

ORDER = "com.app.OrderCase"
CLASSES = {
    ORDER: CaseClass("WorkObject", ("$.customer.phone", "$.items[*].price")),
    "com.app.Approval": CaseClass("ProcessObject"),
    "com.app.Address": CaseClass("DataObject"),
}
WRITER = caller("agent")
READER = Caller("north", "rita", frozenset({"case-reader"}), "CRM_UI")


def order(case_id: str = "c-1", variables: str = '{"total": 12.50}', **fields: Any) -> StoreSnapshot:
    return StoreSnapshot(**{"case_id": case_id, "class_name": ORDER, "subject_id": "s-1", "variables": variables} | fields)


@dataclass
class Cases:
    """The commands, each in a transaction of the HTTP door's role."""

    world: World
    ring: KeyRing

    async def store(self, command: StoreSnapshot, who: Caller = WRITER) -> Outcome:
        async with self.world.api(who.tenant_id) as conn:
            return await store_snapshot(conn, OUTBOX, self.ring, who, command, CLASSES)

    async def remove(self, case_id: str, expected: int | None = None, who: Caller = WRITER) -> Outcome:
        async with self.world.api(who.tenant_id) as conn:
            return await remove_case(conn, OUTBOX, who, RemoveCase(case_id=case_id, expected_version=expected))

    async def read(self, case_id: str, version: int | None = None, who: Caller = READER) -> Document | Rejected:
        async with self.world.api(who.tenant_id) as conn:
            return await read_case(conn, self.ring, who, case_id, version=version, reason="a complaint")

    async def versions(self, case_id: str) -> list[int]:
        rows = await self.world.look("select version from sys_case_data_store where case_id = $1 order by seq", case_id)
        return [row["version"] for row in rows]

    async def shred(self, subject_id: str, tenant_id: str = "north") -> None:
        """What the ledger of the main database says after `casestream keys shred`."""
        await self.world.look(
            "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason) "
            "values ($1, $2, gen_random_uuid(), now(), 'op', 'r') returning 1",
            tenant_id,
            subject_id,
        )


def decided(outcome: object) -> Decided:
    assert isinstance(outcome, Decided), outcome
    return outcome


def code_of(outcome: object) -> str:
    assert isinstance(outcome, Rejected), outcome
    return outcome.code


def text_of(document: object) -> bytes:
    assert isinstance(document, Document), document
    return document.text


@pytest.fixture
async def ring(keys_database: ClonedDatabase) -> AsyncIterator[KeyRing]:
    async with asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=4) as pool:
        yield KeyRing(pool, LocalKeks({"kek-1": os.urandom(32)}), KeyCache(KeySettings()))


@pytest.fixture
async def cases(database: ClonedDatabase, ring: KeyRing) -> AsyncIterator[Cases]:
    world = await populated(database)
    yield Cases(world, ring)
    await world.close()
