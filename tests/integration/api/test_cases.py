"""Cases over HTTP: what a client sends and gets, byte by byte where digits matter."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.cases.check_path.redaction import MASK
from domain.cases.composing import names_in
from runtime.keys.local_keks import LocalKeks
from runtime.keys.providers import Binding, Wrapped
from runtime.keys.ring import DataKey, KeyCache, KeyPlace, KeyRing, Subject
from runtime.settings import KeySettings
from schemas.errors import ConfigurationError
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import CASES, Served

CANARY = "Le Van Canary"
PERSON = f'{{"customer": {{"name": "{CANARY}", "email": "c@x.vn"}}, "total": 12.50, "serial": 12345678901234567890123}}'


def reader(served: Served, *more: str, **who: str) -> dict[str, str]:
    return served.headers(("case-reader", *more), user="rita", **who)


@pytest.mark.requirement("CD-1", "CD-2")
async def test_a_snapshot_is_stored_and_read_with_every_digit(served: Served) -> None:
    made = await served.store(variables=PERSON)
    assert (made.status_code, made.headers["etag"], made.headers["location"]) == (201, '"1"', f"{CASES}/c-1")
    assert made.json() == {"caseId": "c-1", "className": "com.app.OrderCase", "version": 1, "removed": False}
    headers = reader(served, "case-reader-sensitive", access_reason="a complaint")
    read = await served.client.get(f"{CASES}/c-1", headers=headers)
    assert (read.status_code, read.headers["cache-control"]) == (200, "no-store")
    assert '"total": 12.50, "serial": 12345678901234567890123}' in read.text
    assert CANARY in read.text
    assert read.json()["masked"] is False
    document = read.json()["document"]
    assert (document["className"], document["caseInstanceId"]) == ("com.app.OrderCase", "c-1")
    assert document["startUserId"] == document["lastUpdateUserId"] == "an"


@pytest.mark.requirement("CD-2")
async def test_sensitive_fields_are_masked_without_their_role(served: Served) -> None:
    await served.store(variables=PERSON)
    read = await served.client.get(f"{CASES}/c-1?reason=audit", headers=reader(served))
    body = read.json()
    assert (body["masked"], body["document"]["customer"]) == (True, {"name": MASK, "email": MASK})
    assert "12.5" in read.text
    assert "12345678901234567890123" in read.text
    assert CANARY not in read.text


@pytest.mark.requirement("CD-2")
async def test_reading_needs_a_reason_which_is_kept(served: Served) -> None:
    await served.store()
    without = await served.client.get(f"{CASES}/c-1", headers=reader(served))
    assert (without.status_code, without.json()["error"]) == (400, "ReasonRequired")
    blank = await served.client.get(f"{CASES}/c-1?reason=%20%09", headers=reader(served))
    assert (blank.status_code, blank.json()["error"]) == (400, "ReasonRequired")
    assert await served.rows("select from audit_log") == []
    await served.client.get(f"{CASES}/c-1", headers=reader(served, access_reason="from the header"))
    await served.client.get(f"{CASES}/c-1?version=1&reason=from+the+query", headers=reader(served))
    rows = await served.rows("select actor, action, object_id, reason, detail::text from audit_log order by at")
    assert [tuple(row) for row in rows] == [
        ("rita", "case.read", "c-1", "from the header", '{"subject": "s-1", "version": 1}'),
        ("rita", "case.read", "c-1", "from the query", '{"subject": "s-1", "version": 1}'),
    ]


@pytest.mark.requirement("CD-2")
async def test_the_same_request_twice_makes_one_version(served: Served) -> None:
    key = str(uuid4())
    first, again = [await served.store(idempotency_key=key) for _ in range(2)]
    assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
    other = await served.store(variables='{"total": 3}', idempotency_key=key)
    assert (other.status_code, other.json()["error"]) == (422, "IdempotencyKeyReused")
    headers = {"authorization": served.headers()["authorization"], "content-type": "application/json"}
    missing = await served.client.post(f"{CASES}/c-1/snapshots", content="{}", headers=headers)
    assert missing.json()["error"] in ("IdempotencyKeyRequired", "ValidationFailed")
    assert len(await served.rows("select from sys_case_data_store")) == 1


@pytest.mark.requirement("CD-2")
async def test_a_stale_view_is_409_in_the_body_and_412_in_if_match(served: Served) -> None:
    await served.store()
    await served.store(if_match='"1"')
    stale = await served.store(if_match='"1"')
    assert (stale.status_code, stale.json()["currentVersion"]) == (412, 2)
    body = {"className": "com.app.OrderCase", "subjectId": "s-1", "variables": {}, "expectedVersion": 1}
    headers = served.headers(idempotency_key=str(uuid4()))
    answer = await served.client.post(f"{CASES}/c-1/snapshots", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (409, "ConflictState")


@pytest.mark.requirement("CD-1", "CD-2")
@pytest.mark.parametrize(
    ("variables", "pointer", "code"),
    [
        ('{"a": 1, "a": 2}', "/variables/a", "duplicate-name"),
        ('{"deep": ' + "[" * 50 + "]" * 50 + "}", "/variables/deep" + "/0" * 49, "too-deep"),
        ('{"lastUpdated": "x"}', "/variables/lastUpdated", "name-taken"),
    ],
)
async def test_a_refused_document_names_the_place(served: Served, variables: str, pointer: str, code: str) -> None:
    answer = await served.store(variables=variables)
    assert (answer.status_code, answer.json()["error"]) == (422, "DocumentRefused")
    (finding,) = answer.json()["errors"]
    assert (finding["pointer"], finding["code"]) == (pointer, code)


@pytest.mark.requirement("CD-2")
async def test_forty_nine_levels_and_660_kilobytes_decide_themselves(served: Served) -> None:
    assert (await served.store(variables='{"deep": ' + "[" * 49 + "]" * 49 + "}")).status_code == 201
    assert (await served.store(variables='{"a": "' + "x" * 600_000 + '"}')).status_code == 201
    large = await served.store(variables='{"a": "' + "x" * 700_000 + '"}')
    assert (large.status_code, large.json()["error"]) == (413, "SnapshotTooLarge")


async def test_an_unknown_or_abstract_class_is_refused(served: Served) -> None:
    for name in ("com.app.Nobody", "WorkObject"):
        headers = served.headers(idempotency_key=str(uuid4()))
        body: dict[str, object] = {"className": name, "subjectId": "s", "variables": {}}
        answer = await served.client.post(f"{CASES}/c-9/snapshots", json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (422, "UnknownCaseClass"), name


@pytest.mark.requirement("CD-2")
async def test_a_removed_case_is_410_and_its_versions_stay(served: Served) -> None:
    await served.store()
    gone = await served.client.delete(f"{CASES}/c-1", headers=served.headers(if_match='"1"'))
    assert (gone.status_code, gone.json()["removed"], gone.headers["etag"]) == (200, True, '"2"')
    read = await served.client.get(f"{CASES}/c-1?reason=x", headers=reader(served))
    assert (read.status_code, read.json()["error"]) == (410, "CaseRemoved")
    versions = (await served.client.get(f"{CASES}/c-1/versions", headers=served.headers())).json()["items"]
    assert [(one["version"], one["removed"], one["sealedBytes"] is None) for one in versions] == [
        (2, True, True),
        (1, False, False),
    ]


async def test_lists_tell_ids_and_never_contents(served: Served) -> None:
    for number in range(3):
        await served.store(f"c-{number}", PERSON)
    first = await served.client.get(f"{CASES}?limit=2&className=com.app.OrderCase", headers=served.headers(("viewer",)))
    rest = await served.client.get(first.links["next"]["url"], headers=served.headers(("viewer",)))
    assert [one["caseId"] for page in (first, rest) for one in page.json()["items"]] == ["c-0", "c-1", "c-2"]
    assert CANARY not in first.text
    of_subject = await served.client.get(f"{CASES}?subjectId=s-2", headers=served.headers(("viewer",)))
    assert of_subject.json()["items"] == []


async def test_a_person_without_the_readers_role_reads_nothing(served: Served) -> None:
    await served.store(variables=PERSON)
    for role in ("agent", "admin", "viewer", "operator"):
        answer = await served.client.get(f"{CASES}/c-1?reason=x", headers=served.headers((role,)))
        assert (answer.status_code, CANARY in answer.text) == (403, False)
    assert json.dumps(CANARY) not in str(await served.rows("select detail from audit_log"))


async def test_a_long_document_hangs_nobody_else(served: Served) -> None:
    """What is refused is read slowly, to say where it is wrong: the door answers others meanwhile."""
    variables = f'{{"a": [{"0," * 300_000}0], "a": 1}}'
    # This thread's own time, so that it does not matter what else the machine does.
    began = time.thread_time()
    names_in(variables)
    alone, beats = time.thread_time() - began, [time.thread_time()]

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.01)
            beats.append(time.thread_time())

    beating = asyncio.create_task(beat())
    refused = await served.store(variables=variables)
    beating.cancel()
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "duplicate-name")
    assert max(later - earlier for earlier, later in pairwise(beats)) < alone / 2


class Watched:
    """The door's keys, and how many transactions of the door stood open whenever a key was asked for and not yet kept."""

    def __init__(self, served: Served) -> None:
        self._served, self._keys = served, served.app.state.door.keys
        self.open: dict[Subject, int] = {}

    async def current(self, subjects: Sequence[Subject]) -> dict[Subject, DataKey]:
        await self._look(subjects)
        found: dict[Subject, DataKey] = await self._keys.current(subjects)
        return found

    async def secrets(self, wanted: Sequence[KeyPlace]) -> dict[UUID, bytes]:
        await self._look([(tenant, subject) for tenant, subject, _ in wanted])
        found: dict[UUID, bytes] = await self._keys.secrets(wanted)
        return found

    async def _look(self, subjects: Sequence[Subject]) -> None:
        # Nobody but a superuser sees the transactions of other roles.
        conn = await asyncpg.connect(self._served.database.url("superuser"))
        count = await conn.fetchval(
            "select count(*) from pg_stat_activity "
            "where usename = 'cs_api' and datname = current_database() and xact_start is not null"
        )
        await conn.close()
        for subject in subjects:
            self.open.setdefault(subject, count)


@pytest.mark.requirement("CD-2")
async def test_no_transaction_waits_for_a_new_subjects_key(served: Served) -> None:
    """The claim of an Idempotency-Key writes: a slow keys database must not hold up the relays behind it."""
    await served.store("c-0")
    watched = Watched(served)
    served.app.state.door = replace(served.app.state.door, keys=watched)
    body = '{"className": "com.app.OrderCase", "subjectId": "s-9", "variables": {}}'
    headers = served.headers(idempotency_key=str(uuid4()), content_type="application/json")
    made = await served.client.post(f"{CASES}/c-9/snapshots", content=body, headers=headers)
    assert made.status_code == 201, made.text
    assert watched.open == {("north", "s-9"): 0}


@pytest.mark.requirement("CD-2")
@pytest.mark.parametrize("version", ["", "&version=1"])
async def test_no_reading_waits_for_a_key_in_its_transaction(served: Served, version: str) -> None:
    """It holds the subject against a shred and writes to the audit log: others would wait with it."""
    await served.store("c-9")
    watched = Watched(served)
    served.app.state.door = replace(served.app.state.door, keys=watched)
    read = await served.client.get(f"{CASES}/c-9?reason=audit{version}", headers=reader(served))
    assert read.status_code == 200, read.text
    assert watched.open == {("north", "s-1"): 0}


class Refusing(LocalKeks):
    """A provider whose permission was withdrawn while the process runs."""

    async def wrap(self, secrets: Sequence[tuple[bytes, Binding]]) -> list[Wrapped]:
        raise ConfigurationError(["the service refuses to wrap"])


@pytest.mark.requirement("SP-9")
async def test_without_keys_database_or_provider_the_door_says_503(served: Served, keys_database: ClonedDatabase) -> None:
    """Nothing waits in a transaction, so nothing but the key ring itself can tell that this is an outage."""
    await served.store("c-0")
    pool = await asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=1)
    refusing = KeyRing(pool, Refusing({"kek-1": bytes(32)}), KeyCache(KeySettings()))
    body = '{"className": "com.app.OrderCase", "subjectId": "s-9", "variables": {}}'
    headers = served.headers(idempotency_key=str(uuid4()), content_type="application/json")
    served.app.state.door = replace(served.app.state.door, keys=refusing)
    for outage in ("the provider refuses", "the keys database is away"):
        away = await served.client.post(f"{CASES}/c-9/snapshots", content=body, headers=headers)
        assert (away.status_code, away.json()["error"]) == (503, "TemporarilyUnavailable"), outage
        await pool.close()
