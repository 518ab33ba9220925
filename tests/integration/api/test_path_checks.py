"""Check Path over HTTP on real encrypted records: what it finds, what it masks, whom it refuses, and what it leaves behind."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest

from api.app import create_app
from domain.cases.commands import store_snapshot
from domain.cases.known_classes import known_classes
from projections.ddl import create_statements
from runtime.enclosure import Enclosure
from runtime.keys.local_keks import LocalKeks
from runtime.keys.ring import KeyCache, KeyRing
from runtime.settings import KeySettings
from schemas.caller import Caller
from schemas.cases import StoreSnapshot
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import Served
from tests.integration.api.serving import asgi_client
from tests.integration.domain.world import OUTBOX
from tests.integration.mappings.words import ORDER, files

PATH = f"/api/v1/mappings/{ORDER}/check-path"
CANARY = "canary-6620"


class Checking:
    """The door with keys, and records to look at."""

    def __init__(self, served: Served, client: httpx.AsyncClient, ring: KeyRing, enclosure: Enclosure) -> None:
        self.served, self.client, self.ring, self.enclosure = served, client, ring, enclosure

    async def store(self, case_id: str, tenant: str = "north", subject: str = "s-1", **variables: Any) -> None:
        command = StoreSnapshot(
            case_id=case_id, class_name=ORDER, subject_id=subject, variables=json.dumps(variables), business_key=case_id
        )
        caller = Caller(tenant, "an", frozenset({"agent"}), "CRM_UI")
        async with self.served.pool.acquire() as conn, conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            await store_snapshot(conn, OUTBOX, self.ring, caller, command, known_classes(files()))

    async def ask(self, path: str, role: str = "mapping-editor", tenant: str = "north", **body: Any) -> httpx.Response:
        headers = self.served.headers((role,), tenant=tenant)
        return await self.client.post(PATH, json={"path": path, "reason": "a new report", **body}, headers=headers)


@pytest.fixture
async def checking(served: Served, keys_database: ClonedDatabase) -> AsyncIterator[Checking]:
    async with asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=2) as pool:
        ring = KeyRing(pool, LocalKeks({"kek-1": os.urandom(32)}), KeyCache(KeySettings()))
        app = create_app(
            served.settings,
            served.pool,
            served.world.verifier(),
            keys=ring,
            classes=files(),
            statements_of=create_statements,
        )
        # Only what has to be too late is hurried.
        app.state.door.enclosure.seconds = 30.0
        async with asgi_client(app) as client:
            yield Checking(served, client, ring, app.state.door.enclosure)
        await app.state.door.enclosure.close()


@pytest.mark.requirement("CD-14", "CD-10")
async def test_a_path_is_tried_on_the_newest_record_and_counted_over_all(checking: Checking) -> None:
    for number, total in enumerate([1, 2.5, "three", None]):
        await checking.store(f"c-{number}", total=total)
    await checking.store("c-9", other=1)
    await checking.store("c-0", total=12.75)
    answer = await checking.ask("$.total", type="numeric(12,2)")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["record"]["caseId"], said["record"]["version"], said["record"]["outcome"]) == ("c-0", 2, "value")
    assert said["record"]["values"] == [
        {"jsonType": "number", "value": "12.75", "converted": "12.75", "unfit": None, "masked": False}
    ]
    # One record per case, its newest: the first version of c-0 is not counted.
    assert said["statistics"] == {
        "records": 5,
        "outcomes": {"number": 2, "string": 1, "null": 1, "missing": 1},
        "unfit": 1,
        "notOpened": 0,
        "stopped": None,
    }
    (mapped,) = said["columns"]
    assert (mapped["column"], mapped["provenance"]["sourceClass"], mapped["provenance"]["sourceKind"]) == (
        "total",
        ORDER,
        "file",
    )
    assert said["preview"] is None


async def test_a_chosen_record_is_looked_at(checking: Checking) -> None:
    await checking.store("c-1", total=1)
    await checking.store("c-2", total=2)
    said = (await checking.ask("$.total", caseId="c-1")).json()
    assert (said["record"]["caseId"], said["record"]["values"][0]["value"]) == ("c-1", "1")
    absent = await checking.ask("$.total", caseId="c-3")
    assert (absent.status_code, absent.json()["error"]) == (404, "CaseNotFound")


async def test_without_records_the_path_is_still_judged(checking: Checking) -> None:
    said = (await checking.ask("$.total")).json()
    assert (said["record"], said["statistics"]["records"]) == (None, 0)
    refused = await checking.ask("$..total")
    assert (refused.status_code, refused.json()["error"]) == (422, "PathRefused")
    assert refused.json()["errors"][0]["pointer"] == "/path"
    assert (await checking.ask("$.total", type="money")).json()["errors"][0]["pointer"] == "/type"


@pytest.mark.requirement("CD-12", "CD-14")
async def test_with_a_column_the_answer_previews_the_tables(checking: Checking) -> None:
    said = (await checking.ask("$.params['region']", type="text", column="region")).json()
    tables = {each["name"]: each for each in said["preview"]["tables"]}
    assert set(tables) == {"case_plain_order", "case_plain_rush_order"}
    assert any('"region" text' in statement for statement in tables["case_plain_order"]["statements"])
    bad = (await checking.ask("$.x", column="x; drop table cases")).json()["preview"]
    assert (bad["tables"], [problem["code"] for problem in bad["problems"]]) == ([], ["column-name"])
    conflict = (await checking.ask("$.total", type="date", column="total")).json()["preview"]
    assert [problem["code"] for problem in conflict["problems"]] == ["type-conflict"]


async def test_sensitive_values_stay_masked(checking: Checking) -> None:
    await checking.store("c-1", customer={"name": CANARY, "city": "Hue"})
    for path in ("$.customer.name", "$.customer", "$.customer.*", "$", "$[?(@.name)]"):
        answer = await checking.ask(path, type="text")
        assert answer.status_code == 200, answer.text
        assert CANARY not in answer.text, path
        assert answer.json()["statistics"]["records"] == 1


async def test_a_draft_unmasks_nothing(checking: Checking) -> None:
    """A draft counts nowhere yet: what is sensitive in the published class stays masked for its author too."""
    await checking.store("c-1", customer={"name": CANARY})
    bare = {"className": ORDER, "parent": "WorkObject", "mappings": []}
    headers = checking.served.headers(("mapping-editor",), if_match='"1"')
    address = PATH.removesuffix("/check-path") + "/draft"
    saved = await checking.client.put(address, json={"definition": bare, "reason": "a test"}, headers=headers)
    assert saved.status_code == 200, saved.text
    answer = await checking.ask("$.customer.name")
    assert answer.json()["record"]["outcome"] == "value"
    assert CANARY not in answer.text


@pytest.mark.requirement("SP-8")
async def test_only_the_callers_tenant_is_looked_at(checking: Checking) -> None:
    await checking.store("c-1", total=CANARY)
    await checking.store("c-2", tenant="south", total=2)
    for body in ({}, {"caseId": "c-2"}):
        said = await checking.ask("$.total", tenant="south", **body)
        assert CANARY not in said.text
        assert said.json()["statistics"]["records"] == 1
    assert (await checking.ask("$.total", tenant="south", caseId="c-1")).status_code == 404


async def test_it_needs_the_editors_role_and_a_reason(checking: Checking) -> None:
    for role in ("mapping-reader", "case-reader", "admin", "operator"):
        assert (await checking.ask("$.total", role=role)).status_code == 403
    for reason in (None, "", 7):
        assert (await checking.ask("$.total", reason=reason)).status_code == 422
    assert await checking.served.rows("select from audit_log where action = 'case.path-checked'") == []


async def test_every_look_is_audited_without_what_a_filter_compares_with(checking: Checking) -> None:
    await checking.store("c-1", total=1)
    await checking.ask("$.total")
    await checking.ask(f"$[?(@.name == '{CANARY}')]")
    rows = await checking.served.rows(
        "select tenant_id, actor, object_id, reason, detail::text as detail from audit_log where action = 'case.path-checked'"
        " order by at, audit_id"
    )
    assert [(row["tenant_id"], row["actor"], row["object_id"], row["reason"]) for row in rows] == [
        ("north", "an", ORDER, "a new report")
    ] * 2
    assert json.loads(rows[0]["detail"])["case_id"] == "c-1"
    assert CANARY not in rows[1]["detail"]


async def test_a_shredded_subjects_record_is_not_opened(checking: Checking) -> None:
    await checking.store("c-1", subject="s-1", total=1)
    await checking.store("c-2", subject="s-2", total=CANARY)
    await checking.served.rows(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 's-2', gen_random_uuid(), now(), 'op', 'r')"
    )
    answer = await checking.ask("$.total")
    assert CANARY not in answer.text
    said = answer.json()
    assert (said["record"]["caseId"], said["record"]["outcome"]) == ("c-2", "unreadable")
    assert (said["statistics"]["records"], said["statistics"]["notOpened"]) == (1, 1)


async def test_a_process_without_keys_says_so(served: Served) -> None:
    app = create_app(served.settings, served.pool, served.world.verifier(), classes=files())
    async with asgi_client(app) as client:
        headers = served.headers(("mapping-editor",))
        answer = await client.post(PATH, json={"path": "$.x", "reason": "r"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (503, "TemporarilyUnavailable")


async def test_a_path_that_takes_too_long_hangs_nobody(checking: Checking) -> None:
    """The heartbeat of the server's loop goes on while a child is killed, and others are answered."""
    await checking.store("c-1", a=[list(range(100)) for _ in range(1_500)])
    checking.enclosure.seconds = 0.05
    beats = [time.thread_time()]

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.01)
            beats.append(time.thread_time())

    beating = asyncio.create_task(beat())
    one_of_forty = " || ".join(["@[*][?(@ == 0)]"] * 40)
    slow = asyncio.create_task(checking.ask(f"$.a[?({one_of_forty})]"))
    quick = [await checking.client.get("/livez") for _ in range(20)]
    said = (await slow).json()
    beating.cancel()
    assert {answer.status_code for answer in quick} == {200}
    assert said["record"]["outcome"] in ("stopped", "exhausted"), said
    # This thread's own time, so that it does not matter what else the machine does.
    assert max(later - earlier for earlier, later in pairwise(beats)) < 1.0
    checking.enclosure.seconds = 30.0
    assert (await checking.ask("$.a[0][0]")).json()["record"]["outcome"] == "value"
