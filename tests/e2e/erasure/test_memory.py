"""P8 in the memory of our processes: soon after a shred no process holds the subject's data key (CD-2, trap 80).

Real processes, each brought to hold the key before: a look that would never find anything proves nothing. One of them sleeps
through the shred, with the key in its cache and a snapshot still to be read.
"""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from aiokafka.admin import NewTopic

from runtime import topics
from runtime.kafka import admin, producer
from runtime.keys.ring import open_key_ring
from runtime.stack.home import Home
from runtime.stack.issuer import create_issuer, sign
from schemas.cases import StoreSnapshot
from schemas.envelope import to_headers
from tests.e2e.erasure.memory import occurrences, readable
from tests.e2e.shell.harness import event
from tests.torture.system.fleet import PROJECT
from tests.torture.system.lives import TENANTS
from tests.torture.system.world import World, world
from tests.waiting import until

TENANT, ORDER = TENANTS[0], "com.app.OrderCase"
TABLE = "projections.case_plain_order_case__v1"
# Those that hold data keys, and those that work for cases without any.
HOLDERS, OTHERS = ("cases", "projections", "api"), ("relay", "workers", "ddl")


@pytest_asyncio.fixture(scope="module")
async def system() -> AsyncIterator[World]:
    """The processes of cases. They look at the ledger twice a second instead of every 20 s."""
    async with world(roles=(), CASESTREAM_KEYS__WATCH_SECONDS="0.5") as made:
        client = admin(made.settings)
        await client.start()
        wanted = [topic for topic in topics.wanted_topics(made.settings) if topic.name.startswith("case.")]
        await client.create_topics([NewTopic(one.name, 2, one.replication, topic_configs=dict(one.config)) for one in wanted])
        await client.close()
        for role in (*OTHERS, *HOLDERS):
            made.fleet.add(role)
        await made.fleet.ready()
        yield made


@dataclass
class Doors:
    """How cases of one subject come in and go out. Every document holds its canary, in a field that is mapped to no column."""

    system: World
    client: httpx.AsyncClient
    subject: str
    canary: str

    def document(self) -> dict[str, Any]:
        return {"total": 1, "currency": "VND", "note": self.canary}

    async def post(self, case_id: str) -> httpx.Response:
        return await self.post_other(case_id, self.subject, self.document())

    async def post_other(self, case_id: str, subject: str, variables: dict[str, Any]) -> httpx.Response:
        body = {"className": ORDER, "subjectId": subject, "variables": variables}
        return await self.client.post(
            f"/api/v1/cases/{case_id}/snapshots", json=body, headers={"idempotency-key": str(uuid4())}
        )

    async def read(self, case_id: str) -> httpx.Response:
        return await self.client.get(f"/api/v1/cases/{case_id}?reason=test")

    async def send(self, case_id: str) -> None:
        text = json.dumps(self.document())
        command = StoreSnapshot(case_id=case_id, class_name=ORDER, subject_id=self.subject, variables=text)
        made = replace(event(command, TENANT, source="case-gateway"), subject=case_id, partitionkey=f"{TENANT}|case|{case_id}")
        sending = producer(self.system.settings)
        await sending.start()
        key = f"{TENANT}|case|{case_id}".encode()
        await sending.send_and_wait("case.commands.v1", made.data, key=key, headers=to_headers(made))
        await sending.stop()

    async def rows(self, condition: str, count: int, subject: str = "") -> None:
        """Until so many of the subject's rows in the table are so."""

        async def there() -> bool:
            query = f"select count(*) from {TABLE} where subject_id = $1 and {condition}"
            return await self.system.value(query, subject or self.subject) == count

        await until(there, 90, f"{count} rows: {condition}")


@pytest.fixture
async def doors(system: World) -> AsyncIterator[Doors]:
    home = system.settings.home
    claims = {"sub": "an", "tenant": TENANT, "roles": ["admin", "case-reader", "case-reader-sensitive"]}
    head = {"authorization": f"Bearer {sign(claims, create_issuer(Home(home, home)))}"}
    async with httpx.AsyncClient(base_url=system.url, headers=head, trust_env=False, timeout=30) as client:
        unique = uuid4().hex
        yield Doors(system, client, f"s-{unique[:6]}", f"canary-{unique}")


async def shred(system: World, subject: str) -> dict[str, Any]:
    """As an operator types it."""
    words = ("--output", "json", "keys", "shred", TENANT, subject, "--execute", "--reason", "asked to")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.cli", *words,
        env={**os.environ, **system.environment}, cwd=PROJECT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(out)
    return report


@pytest.mark.requirement("CD-2", "trap-80")
async def test_after_a_shred_no_process_holds_the_subjects_key(system: World, doors: Doors) -> None:
    if reason := readable(system.fleet["relay-0"].pid):
        pytest.skip(reason)
    for number in range(3):
        assert (await doors.post(f"c-{number}")).status_code == 201
    assert doors.canary in (await doors.read("c-0")).text
    await doors.send("k-1")
    await doors.rows("tombstone is null", 4)
    async with open_key_ring(system.settings) as ring:
        secret = bytes((await ring.current([(TENANT, doors.subject)]))[TENANT, doors.subject].secret)
    needles = {"key": secret, "key in base64": base64.b64encode(secret), "key in hexadecimal": secret.hex().encode()}

    def holding(*roles: str) -> set[str]:
        return {role for role in roles or (*HOLDERS, *OTHERS) if occurrences(system.fleet[f"{role}-0"].pid, needles)}

    assert holding() == set(HOLDERS), "the look finds what is there, and who needs no key has none"

    asleep = system.fleet["projections-0"]
    asleep.send(signal.SIGSTOP)
    assert (await doors.post("late")).status_code == 201
    report = await shred(system, doors.subject)
    assert report["keys_destroyed"] == 1
    await until(lambda: not holding("cases", "api", *OTHERS), 30, "the key to be gone from every process that runs")
    assert holding("projections"), "a process that sleeps forgets nothing; what it holds helps it to nothing"
    asleep.send(signal.SIGCONT)

    await until(lambda: not holding(), 30, "the key to be gone from the process that slept")
    await doors.rows("tombstone = 'erased' and currency is null", 5)
    await doors.rows("tombstone is null", 0)
    assert (await doors.read("c-0")).json()["error"] == (await doors.post("c-0")).json()["error"] == "SubjectErased"
    assert (await doors.post_other("other", "somebody", {"total": 2})).status_code == 201
    await doors.rows("tombstone is null", 1, "somebody")
    assert not holding()
    assert [log.name for log in system.fleet.folder.glob("*.log") if doors.canary in log.read_text(errors="replace")] == []
    assert await system.value("select count(*) from parked_messages") == 0


@pytest.mark.requirement("CD-2")
async def test_a_restart_takes_the_rest_of_what_was_read_out_of_memory(system: World, doors: Doors) -> None:
    """Python overwrites no text that it frees: what is promised of the key is not promised of plaintext, but for this cure."""
    if reason := readable(system.fleet["relay-0"].pid):
        pytest.skip(reason)
    canary = {"canary": doors.canary.encode()}

    def seen() -> set[str]:
        return {role for role in (*HOLDERS, *OTHERS) if occurrences(system.fleet[f"{role}-0"].pid, canary)}

    assert (await doors.post("r-1")).status_code == 201
    assert doors.canary in (await doors.read("r-1")).text
    assert seen() & set(HOLDERS), "the look finds plaintext where it was read"
    await doors.rows("tombstone is null", 1)
    await shred(system, doors.subject)
    await asyncio.gather(*(system.fleet[f"{role}-0"].leave() for role in HOLDERS))
    system.fleet.start()
    await system.fleet.ready()
    assert (await doors.read("r-1")).json()["error"] == "SubjectErased"
    assert seen() == set()
