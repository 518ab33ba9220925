"""One script of persist points through each door: HTTP and the topic leave the same heads, versions, documents and refusals.

Over HTTP for one tenant, over Kafka for another, with the same case ids, on one key ring.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from api.app import create_app
from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.cases.sealing import Keys, StoredSnapshot, open_document
from domain.outbox import Outbox
from processors.cases import Cases
from runtime.keys.ring import DataKey, KeyPlace, Subject, open_key_ring
from runtime.postgres import open_pool
from schemas.cases import RemoveCase, StoreSnapshot
from tests.e2e.shell.harness import create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.api import conftest as http_door
from tests.integration.api.conftest import CASES, Served
from tests.integration.api.serving import asgi_client
from tests.unit.api.tokens import World
from tests.waiting import until

Command = StoreSnapshot | RemoveCase
HTTP, KAFKA = "north", "south"
ORDER = "com.app.OrderCase"


def store(case_id: str, variables: str = '{"total": 12.50}', **fields: Any) -> StoreSnapshot:
    given = {"case_id": case_id, "class_name": ORDER, "subject_id": "s-1", "variables": variables}
    return StoreSnapshot(**(given | fields))


SCRIPT: list[Command] = [
    store("whole", business_key="B-1", state="Active"),
    store("whole", '{"total": 12.5000, "serial": 12345678901234567890123}', expected_version=1),
    store("whole", expected_version=1),
    store("whole", subject_id="s-2"),
    store("whole", class_name="com.app.Nobody"),
    store("whole", '{"a": 1, "a": 1}'),
    store("whole", '{"state": 1}'),
    store("whole", '{"a": "' + "x" * 650_000 + '"}'),
    RemoveCase(case_id="whole"),
    RemoveCase(case_id="whole"),
    store("whole", '{"back": true}', state="Completed"),
    RemoveCase(case_id="nobody"),
    store("other", subject_id="s-2"),
]
REFUSED = [
    *("ConflictState", "CaseSubjectFixed", "UnknownCaseClass", "DocumentRefused", "DocumentRefused", "SnapshotTooLarge"),
    "CaseNotFound",
]


@dataclass
class Doors:
    """Both doors to one database."""

    database: ClonedDatabase
    kafka: FreshKafka
    http: Served
    ring: Keys

    async def over_http(self, script: Sequence[Command]) -> list[str]:
        """The codes of the refusals."""
        codes = []
        for number, command in enumerate(script):
            headers = self.http.headers(("agent",), HTTP, "an", idempotency_key=str(number))
            if isinstance(command, RemoveCase):
                answer = await self.http.client.delete(f"{CASES}/{command.case_id}", headers=headers)
            else:
                fields = command.model_dump(by_alias=True, exclude_unset=True, exclude={"case_id", "variables"})
                body = json.dumps(fields)[:-1] + f', "variables": {command.variables}}}'
                headers["content-type"] = "application/json"
                answer = await self.http.client.post(f"{CASES}/{command.case_id}/snapshots", content=body, headers=headers)
            codes += [answer.json()["error"]] if answer.status_code >= 400 else []
        return codes

    async def over_kafka(self, script: Sequence[Command], times: int = 1) -> list[str]:
        """The codes of the refusals; every command is sent `times` times, as the same message."""
        named = [command.model_copy(update={"requested_by": "an"}) for command in script]
        made = [
            replace(
                event(one, KAFKA, source="case-gateway", id=f"m-{number}"),
                subject=one.case_id,
                partitionkey=f"{KAFKA}|case|{one.case_id}",
            )
            for number, one in enumerate(named)
        ]
        await produce(self.kafka, "case.commands.v1", [one for one in made for _ in range(times)])
        settings = settings_for(self.database, self.kafka)
        async with member(settings, self.processor()):
            await until(lambda: self._read_all(len(made) * times), 60, "the script to be read")
        query = (
            "select convert_from(payload, 'UTF8') as said from outbox_events "
            "where tenant_id = $1 and sequence is null order by id"
        )
        said = [json.loads(row["said"]) for row in await rows(self.database, query, KAFKA)]
        assert all("variables" not in one and one["commandSource"] == "case-gateway" for one in said)
        return [one["code"] for one in said]

    def processor(self) -> Cases:
        return Cases(Outbox("casestream"), self.ring, FollowedClasses(released_files()))

    async def _read_all(self, count: int) -> bool:
        found = await rows(self.database, "select sum(next) as total from consumer_offsets where topic = 'case.commands.v1'")
        return bool(found[0]["total"] == count)

    async def left(self, tenant: str) -> list[Any]:
        """Heads, versions with their documents, numbered events: all but tenant, times and source."""
        heads = await rows(
            self.database,
            "select case_id, class_name, subject_id, version, removed, created_by, updated_by "
            "from cases where tenant_id = $1 order by case_id",
            tenant,
        )
        stored = await rows(
            self.database, "select * from sys_case_data_store where tenant_id = $1 order by case_id, version", tenant
        )
        versions = [(row["case_id"], row["version"], row["removed"], row["stored_by"]) for row in stored]
        events = await rows(
            self.database,
            "select aggregate_id, sequence, event_type, created_by from outbox_events "
            "where tenant_id = $1 and sequence is not null order by aggregate_id, sequence",
            tenant,
        )
        return [heads, versions, [await self._document(row) for row in stored if not row["removed"]], events]

    async def _document(self, row: dict[str, Any]) -> bytes:
        names = ("tenant_id", "case_id", "class_name", "subject_id", "version", "snapshot")
        snapshot = StoredSnapshot(**{name: row[name] for name in names})
        text = open_document(snapshot, await self.ring.secrets([snapshot.key_place]))
        fields = json.loads(text)
        for apart in ("createTime", "lastUpdated", "tenantId"):
            text = text.replace(f'"{apart}":"{fields[apart]}"'.encode(), b"")
        return text


@pytest.fixture
async def doors(database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka) -> AsyncIterator[Doors]:
    await http_door.fill(database)
    settings, world = http_door.settings_for(database), World()
    pool = await open_pool(settings, "api", size=4, min_size=0, reset=False)
    async with open_key_ring(settings) as ring:
        app = create_app(settings, pool, world.verifier(), keys=ring)
        async with asgi_client(app) as client:
            made = Doors(database, fresh_kafka, Served(app, settings, pool, database, client, world), ring)
            await create_group_topics(fresh_kafka, made.processor(), 1)
            yield made
    await pool.close()


@pytest.mark.requirement("CD-1", "CD-2")
async def test_one_script_through_both_doors_leaves_the_same(doors: Doors) -> None:
    over_http, over_kafka = await doors.over_http(SCRIPT), await doors.over_kafka(SCRIPT)
    assert over_http == over_kafka == REFUSED
    one, other = await doors.left(HTTP), await doors.left(KAFKA)
    assert len(one[1]) == 5
    assert one == other


@pytest.mark.requirement("CD-2", "SP-4")
async def test_the_same_message_five_times_makes_one_version(doors: Doors) -> None:
    assert await doors.over_kafka(SCRIPT[:2], times=5) == []
    heads, versions, _, events = await doors.left(KAFKA)
    assert ([row["version"] for row in heads], len(versions), len(events)) == ([2], 2, 2)


@pytest.mark.requirement("trap-90")
async def test_an_outside_sender_cannot_pose_as_a_system_user(doors: Doors) -> None:
    made = replace(
        event(store("c-1", requested_by="system:nightly"), KAFKA, source="case-gateway"),
        subject="c-1",
        partitionkey=f"{KAFKA}|case|c-1",
    )
    await produce(doors.kafka, "case.commands.v1", [made])
    async with member(settings_for(doors.database, doors.kafka), doors.processor()):
        await until(lambda: doors._read_all(1), 60, "the command to be read")
    assert (await doors.left(KAFKA))[0][0]["created_by"] == "service:case-gateway"


class Watched:
    """A key ring, and how many transactions of the group stood open whenever a subject's key was first asked for."""

    def __init__(self, keys: Keys, database: ClonedDatabase) -> None:
        self._keys, self._database = keys, database
        self.open: dict[Subject, int] = {}

    async def current(self, subjects: Sequence[Subject]) -> dict[Subject, DataKey]:
        activity = "select from pg_stat_activity where usename = 'cs_worker' and state = 'idle in transaction'"
        waiting = len(await rows(self._database, f"{activity} and datname = current_database()"))
        for subject in subjects:
            self.open.setdefault(subject, waiting)
        return await self._keys.current(subjects)

    async def secrets(self, wanted: Sequence[KeyPlace]) -> dict[UUID, bytes]:
        return await self._keys.secrets(wanted)


@pytest.mark.requirement("CD-2")
async def test_no_transaction_of_the_door_waits_for_a_key(doors: Doors) -> None:
    """A slow key service would hold the fence's row, and with it every relay, up to the time limits."""
    doors.ring = watched = Watched(doors.ring, doors.database)
    unknown = store("nobody", subject_id="s-3", class_name="com.app.Nobody")
    assert await doors.over_kafka([*SCRIPT[:2], unknown, SCRIPT[-1]]) == ["UnknownCaseClass"]
    assert watched.open == {(KAFKA, "s-1"): 0, (KAFKA, "s-2"): 0}, "and what cannot be stored makes no key"
