"""Cases over HTTP: what a client sends and gets, byte by byte where digits matter."""

import json
from uuid import uuid4

import pytest

from domain.cases.check_path.redaction import MASK
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
    assert await served.rows("select from audit_log") == []
    await served.client.get(f"{CASES}/c-1", headers=reader(served, access_reason="from the header"))
    await served.client.get(f"{CASES}/c-1?version=1&reason=from+the+query", headers=reader(served))
    rows = await served.rows("select actor, action, object_id, reason, detail::text from audit_log order by at")
    assert [tuple(row) for row in rows] == [
        ("rita", "case.read", "c-1", "from the header", '{"version": 1}'),
        ("rita", "case.read", "c-1", "from the query", '{"version": 1}'),
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
