"""Storing, removing and reading cases on a real database, as the HTTP door and other subjects do it."""

import asyncio
import json
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest

from domain.cases import reads
from domain.cases.commands import system_caller
from domain.cases.decisions import Unchanged
from runtime.snapshots import key_id_of
from schemas.errors import NotFound
from tests.integration.cases.conftest import ORDER, READER, WRITER, Cases, code_of, decided, order, text_of
from tests.integration.domain.world import caller

CANARY = "Nguyen Thi Canary 0912345678"


async def stored(cases: Cases, case_id: str) -> list[dict[str, Any]]:
    return await cases.world.look("select * from sys_case_data_store where case_id = $1 order by version", case_id)


async def told(cases: Cases, case_id: str) -> list[dict[str, Any]]:
    rows = await cases.world.look("select * from outbox_events where aggregate_id = $1 order by id", case_id)
    return [row | {"payload": json.loads(row["payload"])} for row in rows]


@pytest.mark.requirement("CD-1", "CD-2")
async def test_a_snapshot_has_the_class_trees_fields_then_the_variables_as_they_came(cases: Cases) -> None:
    variables = '{ "total": 12.50, "big": 12345678901234567890123, "items": [{"sku": "A-1"}], "e": 1e-7 }'
    made = decided(await cases.store(order(variables=variables, business_key="B-7", state="Active")))
    text = text_of(await cases.read("c-1"))
    assert text.endswith(b'"total": 12.50, "big": 12345678901234567890123, "items": [{"sku": "A-1"}], "e": 1e-7}')
    fields = json.loads(text)
    assert list(fields)[:9] == [
        *("className", "createTime", "startUserId", "lastUpdated", "lastUpdateUserId", "tenantId"),
        *("caseInstanceId", "businessKey", "state"),
    ]
    assert (fields["className"], fields["tenantId"], fields["startUserId"]) == (ORDER, "north", "an")
    assert fields["createTime"] == fields["lastUpdated"] == made.after.created_at.isoformat().replace("+00:00", "Z")


@pytest.mark.requirement("CD-1")
async def test_a_process_and_a_data_object_have_fields_of_their_own(cases: Cases) -> None:
    approval = order("p-1", class_name="com.app.Approval", process_definition_id="approval:3", parent_instance_id="c-1")
    await cases.store(approval)
    await cases.store(order("a-1", class_name="com.app.Address", business_key="B-1"))
    process, data = json.loads(text_of(await cases.read("p-1"))), json.loads(text_of(await cases.read("a-1")))
    ids = ("processInstanceId", "processDefinitionId", "parentInstanceId")
    assert [process[name] for name in ids] == ["p-1", "approval:3", "c-1"]
    assert not {"businessKey", "caseInstanceId", "processInstanceId"} & data.keys()


@pytest.mark.requirement("CD-1", "CD-2")
async def test_creation_is_kept_and_each_update_names_who_made_it(cases: Cases) -> None:
    await cases.store(order())
    await cases.store(order(variables='{"total": 2}'), replace(WRITER, user_id="bo"))
    first, second = [json.loads(text_of(await cases.read("c-1", version))) for version in (1, 2)]
    assert (second["createTime"], second["startUserId"]) == (first["createTime"], "an")
    assert (second["lastUpdateUserId"], second["total"]) == ("bo", 2)
    assert second["lastUpdated"] > first["lastUpdated"]


@pytest.mark.requirement("CD-1", "trap-90")
async def test_a_background_job_stores_as_a_named_system_user(cases: Cases) -> None:
    await cases.store(order(), system_caller("north", "nightly-import"))
    fields = json.loads(text_of(await cases.read("c-1")))
    assert fields["startUserId"] == fields["lastUpdateUserId"] == "system:nightly-import"


@pytest.mark.requirement("CD-2", "SP-1")
async def test_one_event_per_version_carries_the_encrypted_snapshot(cases: Cases) -> None:
    for total in range(3):
        await cases.store(order(variables=f'{{"total": {total}}}'))
    await cases.remove("c-1")
    rows, events = await stored(cases, "c-1"), await told(cases, "c-1")
    assert [event["sequence"] for event in events] == [row["version"] for row in rows] == [1, 2, 3, 4]
    assert [event["payload"].get("removed") for event in events] == [False, False, False, True]
    for row, event in zip(rows, events, strict=True):
        carried = event["payload"].get("snapshot")
        assert (carried and b64decode(carried)) == row["snapshot"]
        assert event["topic"] == "case.snapshots.v1"
    assert all(key_id_of(row["snapshot"]) for row in rows[:3])


@pytest.mark.requirement("CD-2", "trap-84")
@pytest.mark.hole("no-key-in-snapshots")
async def test_neither_store_nor_topic_holds_plaintext_or_a_wrapped_key(cases: Cases, keys_database: Any) -> None:
    """Every byte that leaves the transaction, searched for what was said and for what could open it."""
    for number in range(20):
        await cases.store(order(f"c-{number}", f'{{"name": "{CANARY}"}}', subject_id=f"s-{number % 5}"))
    pool = await cases.world.pool("superuser")
    kept = b"".join(
        [row["snapshot"] for row in await pool.fetch("select snapshot from sys_case_data_store")]
        + [
            part
            for row in await pool.fetch("select headers, payload, key from outbox_events")
            for part in (row["headers"], row["payload"], row["key"], b64decode(json.loads(row["payload"])["snapshot"]))
        ]
        + [repr(dict(row)).encode() for table in ("cases", "audit_log") for row in await pool.fetch(f"select * from {table}")]
    )
    import asyncpg

    conn = await asyncpg.connect(keys_database.url("keys"))
    wrapped = [row["wrapped"] for row in await conn.fetch("select wrapped from data_keys")]
    secrets = [key.secret for key in (await cases.ring.current([("north", f"s-{n}") for n in range(5)])).values()]
    await conn.close()
    assert len(wrapped) == len(secrets) == 5
    assert CANARY.encode() not in kept
    for bytes_that_open in [*wrapped, *secrets]:
        assert not any(bytes_that_open[at : at + 16] in kept for at in range(0, len(bytes_that_open) - 15, 4))
    # The negative control: what is there is found.
    assert b"CSnp" in kept
    assert kept[-40:-24] in kept


@pytest.mark.requirement("CD-2")
async def test_a_stale_writer_and_one_that_expects_a_new_case_are_refused(cases: Cases) -> None:
    assert decided(await cases.store(order(expected_version=0))).after.version == 1
    assert decided(await cases.store(order(expected_version=1))).after.version == 2
    for wrong in (0, 1, 3):
        assert code_of(await cases.store(order(expected_version=wrong))) == "ConflictState"
    assert code_of(await cases.store(order("c-2", expected_version=4))) == "ConflictState"
    assert await cases.versions("c-1") == [1, 2]


@pytest.mark.requirement("CD-1")
async def test_a_case_keeps_its_class_and_its_subject(cases: Cases) -> None:
    await cases.store(order())
    assert code_of(await cases.store(order(class_name="com.app.Address"))) == "CaseClassFixed"
    assert code_of(await cases.store(order(subject_id="s-2"))) == "CaseSubjectFixed"
    with pytest.raises(Exception, match="permission denied"):
        async with cases.world.api() as conn:
            await conn.execute("update cases set class_name = 'other'")
    assert await cases.versions("c-1") == [1]


@pytest.mark.requirement("CD-1", "CD-2")
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"class_name": "com.app.Nobody"}, "UnknownCaseClass"),
        ({"variables": "[]"}, "DocumentRefused"),
        ({"variables": '{"a": 1, "a": 2}'}, "DocumentRefused"),
        ({"variables": '{"a": NaN}'}, "DocumentRefused"),
        ({"variables": '{"state": "x"}'}, "DocumentRefused"),
        ({"variables": '{"tenantId": "south"}'}, "DocumentRefused"),
        ({"variables": '{"a": ' + "[" * 60 + "]" * 60 + "}"}, "DocumentRefused"),
        ({"variables": '{"a": "' + "x" * 700_000 + '"}'}, "SnapshotTooLarge"),
        ({"variables": '{"a": "' + "x" * 1_000_000 + '"}'}, "DocumentRefused"),
    ],
)
async def test_what_cannot_be_a_snapshot_is_refused_and_leaves_nothing(cases: Cases, fields: Any, code: str) -> None:
    assert code_of(await cases.store(order(**fields))) == code
    assert await cases.world.look("select 1 from cases union all select 1 from outbox_events") == []


async def test_the_largest_snapshot_that_is_accepted_fits_the_outbox(cases: Cases) -> None:
    largest = next(size for size in range(645_000, 0, -50) if 4 * (size + 600) // 3 + 40_000 <= 900_000)
    decided(await cases.store(order(variables='{"a": "' + "x" * largest + '"}')))
    assert len(text_of(await cases.read("c-1"))) > 640_000


async def test_only_who_may_store_stores_and_makes_keys(cases: Cases) -> None:
    assert code_of(await cases.store(order(subject_id="s-9"), caller("viewer"))) == "PermissionDenied"
    assert code_of(await cases.remove("c-1", who=caller("viewer"))) == "PermissionDenied"
    assert repr(cases.ring) == "KeyRing(0 keys kept)"


@pytest.mark.requirement("CD-2")
async def test_a_removed_case_is_gone_for_readers_and_may_come_back(cases: Cases) -> None:
    await cases.store(order())
    assert decided(await cases.remove("c-1", 1)).after.version == 2
    assert isinstance(await cases.remove("c-1"), Unchanged)
    assert code_of(await cases.read("c-1")) == "CaseRemoved"
    assert b"12.50" in text_of(await cases.read("c-1", 1))
    assert code_of(await cases.remove("c-2")) == "CaseNotFound"
    assert decided(await cases.store(order())).after.version == 3
    assert json.loads(text_of(await cases.read("c-1")))["startUserId"] == "an"


@pytest.mark.requirement("trap-80")
@pytest.mark.hole("shredded-subject-refused")
async def test_a_shredded_subject_is_refused_although_its_key_is_kept(cases: Cases) -> None:
    await cases.store(order())
    await cases.shred("s-1")
    assert code_of(await cases.store(order())) == "SubjectErased"
    assert code_of(await cases.remove("c-1")) == "SubjectErased"
    assert code_of(await cases.read("c-1")) == "SubjectErased"
    assert await cases.versions("c-1") == [1]
    # Another tenant's subject of the same name is another person.
    await cases.store(order(), caller("agent", tenant_id="south"))


@pytest.mark.requirement("CD-2")
async def test_sixteen_writers_at_once_make_gapless_versions(cases: Cases) -> None:
    outcomes = await asyncio.gather(*(cases.store(order(variables=f'{{"n": {n}}}')) for n in range(16)))
    assert sorted(decided(outcome).after.version for outcome in outcomes) == list(range(1, 17))
    assert await cases.versions("c-1") == list(range(1, 17))
    events = await told(cases, "c-1")
    assert [event["sequence"] for event in events] == list(range(1, 17))
    created = {json.loads(text_of(await cases.read("c-1", version)))["createTime"] for version in range(1, 17)}
    assert len(created) == 1


@pytest.mark.requirement("CD-2")
async def test_of_sixteen_writers_that_saw_one_version_one_wins(cases: Cases) -> None:
    await cases.store(order())
    outcomes = await asyncio.gather(*(cases.store(order(expected_version=1)) for _ in range(16)))
    codes = [getattr(outcome, "code", "stored") for outcome in outcomes]
    assert sorted(codes) == ["ConflictState"] * 15 + ["stored"]


@pytest.mark.requirement("CD-2", "SP-8")
async def test_a_foreign_tenants_case_does_not_exist(cases: Cases) -> None:
    await cases.store(order())
    south = replace(READER, tenant_id="south")
    with pytest.raises(NotFound):
        await cases.read("c-1", who=south)
    assert code_of(await cases.remove("c-1", who=caller("agent", tenant_id="south"))) == "CaseNotFound"
    assert decided(await cases.store(order(), caller("agent", tenant_id="south"))).after.version == 1
    async with cases.world.api("south") as conn:
        page = await reads.list_cases(conn, "north")
        assert page.rows == []
    stranger = caller("agent", tenant_id="nowhere")
    assert code_of(await cases.store(order(), stranger)) == "UnknownTenant"


@pytest.mark.requirement("CD-2")
async def test_a_snapshot_opens_only_in_its_own_row(cases: Cases) -> None:
    """A blob that somebody moved to another case: refused with the one text."""
    await cases.store(order("c-1"))
    await cases.store(order("c-2"))
    pool = await cases.world.pool("superuser")
    await pool.execute("alter table sys_case_data_store disable trigger sys_case_data_store_append_only")
    await pool.execute(
        "update sys_case_data_store t set snapshot = s.snapshot from sys_case_data_store s "
        "where t.case_id = 'c-1' and s.case_id = 'c-2'"
    )
    assert code_of(await cases.read("c-1")) == "SnapshotUnreadable"


async def test_reading_needs_a_role_and_leaves_its_reason(cases: Cases) -> None:
    await cases.store(order())
    assert code_of(await cases.read("c-1", who=WRITER)) == "PermissionDenied"
    await cases.read("c-1")
    rows = await cases.world.look("select actor, action, object_type, object_id, reason from audit_log")
    assert [tuple(row.values()) for row in rows] == [("rita", "case.read", "case", "c-1", "a complaint")]


@pytest.mark.parametrize("blob", [b"", b"CSnp", b"CSnp\x02\x01" + bytes(120)], ids=["empty", "truncated", "unknown format"])
async def test_a_blob_that_is_no_snapshot_is_unreadable_and_its_reading_is_audited(cases: Cases, blob: bytes) -> None:
    await cases.store(order())
    await cases.world.look("update cases set version = 2 where case_id = 'c-1' returning 1")
    await cases.world.look(
        "insert into sys_case_data_store (tenant_id, case_id, version, class_name, subject_id, snapshot, stored_at, stored_by,"
        " source) values ('north', 'c-1', 2, $1, 's-1', $2, now(), 'x', 'y') returning 1",
        ORDER,
        blob,
    )
    assert code_of(await cases.read("c-1")) == "SnapshotUnreadable"
    assert len(await cases.world.look("select from audit_log where action = 'case.read'")) == 1


async def test_lists_and_versions_tell_ids_and_metadata(cases: Cases) -> None:
    for number in range(5):
        await cases.store(order(f"c-{number}", subject_id=f"s-{number % 2}"))
    await cases.store(order("c-3", subject_id="s-1"))
    async with cases.world.api() as conn:
        first = await reads.list_cases(conn, "north", page_size=3)
        rest = await reads.list_cases(conn, "north", after=first.next, page_size=3)
        ofs = await reads.list_cases(conn, "north", subject_id="s-1", class_name=ORDER)
        none = await reads.list_cases(conn, "north", class_name="com.app.Address")
        versions = await reads.list_versions(conn, "north", "c-3", page_size=1)
        assert [row["case_id"] for row in first.rows + rest.rows] == [f"c-{number}" for number in range(5)]
        assert ([row["case_id"] for row in ofs.rows], none.rows, rest.next) == (["c-1", "c-3"], [], None)
        assert ([row["version"] for row in versions.rows], versions.next) == ([2], 2)
        with pytest.raises(NotFound):
            await reads.list_versions(conn, "north", "c-9")
