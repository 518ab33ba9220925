"""Shredding: every step, every crash between two steps, every restore of an old backup."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from domain.keys.guard import hold_subjects
from domain.keys.ledgers import read_keys, read_main, settle, settle_lately, unapplied
from domain.keys.purge import PARKED, Purger
from domain.keys.shred import Shredder, resume
from domain.keys.starting import settled
from runtime.ids import uuid7
from runtime.keys.ledger_file import LedgerEntry, LedgerFile
from runtime.keys.ring import KeyCache, KeyRing
from runtime.postgres import tenants_transaction
from runtime.settings import KeySettings
from runtime.snapshots import Context, open_sealed, seal
from runtime.sql import Connection
from schemas.errors import ConfigurationError, DecryptionFailed
from schemas.headers import pack_headers, unpack_headers
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import provider, settings_for

Pools = dict[str, asyncpg.Pool]
AN, BINH = ("acme", "an"), ("acme", "binh")
CANARY = "canary-9d41"


def entry(subject: tuple[str, str] = AN) -> LedgerEntry:
    return LedgerEntry(*subject, uuid7(), datetime.now(UTC), "test", "asked to be forgotten")


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path / "ledger" / "shredded.jsonl")


@pytest.fixture
async def notes(pools: Pools) -> str:
    """A table of some room's: rows of subjects, which a purger of two rows a batch empties."""
    await pools["superuser"].execute(
        """create table notes (tenant_id text, subject_id text, body text);
           grant select, update on notes to cs_worker;
           insert into notes select 'acme', s, 'canary-9d41' from unnest(array['an', 'binh']) s, generate_series(1, 5)"""
    )
    return "notes"


async def empty_notes(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    status = await conn.execute(
        """update notes set body = null where ctid = any (array(
               select ctid from notes where tenant_id = $1 and subject_id = $2 and body is not null limit 2))""",
        tenant,
        subject,
    )
    return {"public.notes": int(status.split()[-1])}


NOTES = Purger("notes", ("public.notes",), empty_notes)


@pytest.fixture
def shredder(pools: Pools, keys_pool: asyncpg.Pool, file: LedgerFile, notes: str) -> Shredder:
    return Shredder(pools["worker"], keys_pool, file, (PARKED, NOTES))


async def park(pools: Pools, offset: int, value: bytes, *headers: tuple[str, bytes], tenant: str = "acme") -> None:
    await pools["superuser"].execute(
        """insert into parked_messages (group_name, topic, partition, "offset", tenant_id, key, value, headers, timestamp,
                                        reason, fingerprint, error)
           values ('cases', 'case.commands.v1', 0, $1, $2, 'k', $3, $4, 0, 'undecodable', 'f', 'e')""",
        offset, tenant, value, pack_headers([("ce_id", b"1"), *headers]),
    )  # fmt: skip


async def canaries(pools: Pools) -> dict[str, int]:
    """Where the canary of either subject is still to be found."""
    bodies = await pools["superuser"].fetch("select subject_id, count(body) as n from notes group by 1 order by 1")
    return {row["subject_id"]: row["n"] for row in bodies}


@pytest.mark.requirement("trap-80")
async def test_a_shred_destroys_keys_purges_rows_and_proves_it(
    pools: Pools, keys_pool: asyncpg.Pool, ring: KeyRing, shredder: Shredder, file: LedgerFile
) -> None:
    await ring.current([AN, BINH])
    assert await shredder.survey(*AN) == {"data_keys": 1, "public.notes": 5}
    assert await canaries(pools) == {"an": 5, "binh": 5}, "a survey changes nothing"

    order = entry()
    report = await shredder.shred(order)

    assert (report.keys_destroyed, report.rows) == (1, {"public.notes": 5})
    assert report.purged_at is not None
    assert await canaries(pools) == {"an": 0, "binh": 5}
    assert await keys_pool.fetchval("select array_agg(subject_id) from data_keys") == ["binh"]
    assert [one.place for one in file.read()] == [AN]
    assert await read_keys(keys_pool) == await read_main(pools["scan"]) == file.read() == [order]
    rows = await pools["superuser"].fetch("select action, reason, detail from audit_log order by at")
    assert [(row["action"], row["reason"]) for row in rows] == [
        ("keys.shred", "asked to be forgotten"),
        ("keys.shredded", "asked to be forgotten"),
    ]
    assert json.loads(rows[1]["detail"]) == {"keys": 1, "rows": {"public.notes": 5}}

    again = await shredder.shred(entry())
    assert again == report, "a second order changes nothing, the first stays"
    assert await pools["superuser"].fetchval("select count(*) from audit_log") == 2


@pytest.mark.hole("shred-under-cached-key")
@pytest.mark.requirement("trap-80")
async def test_a_writer_and_a_reader_with_the_key_in_their_hands_are_told(
    pools: Pools, ring: KeyRing, shredder: Shredder
) -> None:
    """A process that was paused with a cached key goes on after the shred: its next transaction asks first."""
    key = (await ring.current([AN]))[AN]
    context = Context("acme", "Order", "c1", 1, "an", key.key_id)
    sealed = seal(key.secret, context, CANARY.encode(), salt=bytes(32), nonce=bytes(12))
    await shredder.shred(entry())

    assert open_sealed(key.secret, context, sealed), "the cached key itself would still open it"
    assert (await ring.secrets([(*AN, key.key_id)])) == {key.key_id: key.secret}, "and this process has not heard yet"
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        assert await hold_subjects(conn, [AN, BINH]) == {AN}
    await ring.look_at_ledger()
    assert await ring.secrets([(*AN, key.key_id)]) == {}
    assert await ring.current([AN]) == {}


class Crash(Exception):
    """The process ended here."""


def crashing(shredder: Shredder, step: str, monkeypatch: pytest.MonkeyPatch) -> Shredder:
    """The shredder of a process that dies right after this step."""

    async def reach(name: str) -> None:
        if name == step:
            raise Crash

    monkeypatch.setattr("domain.keys.shred.reach", reach)
    return shredder


POINTS = (
    "shred.after-keys-ledger",
    "shred.after-file",
    "shred.after-main-ledger",
    "shred.after-keys",
    "shred.after-batch",
)


@pytest.mark.requirement("trap-80")
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("everything", [True, False])
async def test_a_crash_after_any_step_is_resumed_to_the_same_end(
    point: str,
    everything: bool,
    pools: Pools,
    keys_pool: asyncpg.Pool,
    ring: KeyRing,
    shredder: Shredder,
    file: LedgerFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await ring.current([AN, BINH])
    with monkeypatch.context() as patched, pytest.raises(Crash):
        await crashing(shredder, point, patched).shred(entry())

    assert await resume(shredder, pools["scan"], everything=everything) == 1
    assert await resume(shredder, pools["scan"], everything=everything) == 0

    report = await shredder.report(*AN)
    assert report.purged_at is not None
    assert report.rows == {"public.notes": 5}, "each row counted once, over all rounds"
    assert await canaries(pools) == {"an": 0, "binh": 5}
    assert await keys_pool.fetchval("select array_agg(subject_id) from data_keys") == ["binh"]
    assert len(file.read()) == len(await read_keys(keys_pool)) == len(await read_main(pools["scan"])) == 1
    assert await pools["superuser"].fetchval("select count(*) from audit_log where action = 'keys.shredded'") == 1


@pytest.mark.requirement("trap-80")
async def test_after_a_restore_of_an_old_keys_backup_the_key_does_not_come_back(
    pools: Pools, keys_pool: asyncpg.Pool, keys_database: ClonedDatabase, ring: KeyRing, shredder: Shredder, file: LedgerFile
) -> None:
    key = (await ring.current([AN, BINH]))[AN]
    backup = await keys_pool.fetch("select * from data_keys")
    await shredder.shred(entry())
    await restore_keys(keys_database, backup)
    fresh = KeyRing(keys_pool, provider(), KeyCache(KeySettings()))
    assert await fresh.secrets([(*AN, key.key_id)]) != {}, "the restored backup would open everything"

    assert await settle(pools["scan"], keys_pool, file) == 1

    fresh = KeyRing(keys_pool, provider(), KeyCache(KeySettings()))
    assert await fresh.secrets([(*AN, key.key_id)]) == {}
    assert (await fresh.current([AN, BINH])).keys() == {BINH}
    assert await settle(pools["scan"], keys_pool, file) == 0


@pytest.mark.requirement("trap-80")
async def test_after_a_restore_of_an_old_main_backup_its_rows_are_purged_again(
    pools: Pools, keys_pool: asyncpg.Pool, ring: KeyRing, shredder: Shredder, file: LedgerFile
) -> None:
    await ring.current([AN])
    await shredder.shred(entry())
    await restore_main(pools)
    assert await canaries(pools) == {"an": 5, "binh": 5}
    assert await unapplied(pools["worker"], keys_pool, file) == 1
    assert await unapplied(pools["api"], keys_pool, file) == 1, "the HTTP door waits until somebody has settled it"

    assert await resume(shredder, pools["scan"]) == 1

    assert await canaries(pools) == {"an": 0, "binh": 5}
    assert await unapplied(pools["api"], keys_pool, file) == 0


@pytest.mark.requirement("trap-80")
async def test_after_a_restore_of_both_the_file_still_knows(
    pools: Pools, keys_pool: asyncpg.Pool, keys_database: ClonedDatabase, ring: KeyRing, shredder: Shredder, file: LedgerFile
) -> None:
    await ring.current([AN])
    backup = await keys_pool.fetch("select * from data_keys")
    await shredder.shred(entry())
    await restore_keys(keys_database, backup)
    await restore_main(pools)

    assert await unapplied(pools["worker"], keys_pool, file) == 1
    assert await resume(shredder, pools["scan"]) == 1

    assert await canaries(pools) == {"an": 0, "binh": 5}
    assert await keys_pool.fetchval("select count(*) from data_keys") == 0


async def restore_keys(keys_database: ClonedDatabase, backup: list[asyncpg.Record]) -> None:
    conn = await asyncpg.connect(keys_database.url("superuser"))
    try:
        await conn.execute("set session_replication_role = replica; delete from shredded_subjects; delete from data_keys")
        await conn.executemany("insert into data_keys values ($1, $2, $3, $4, $5, $6, $7, $8)", [tuple(row) for row in backup])
    finally:
        await conn.close()


async def restore_main(pools: Pools) -> None:
    async with pools["superuser"].acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute("delete from shredded_subjects; delete from audit_log")
        await conn.execute("update notes set body = 'canary-9d41'")


@pytest.mark.requirement("trap-80")
async def test_a_process_starts_only_on_settled_ledgers(
    database: ClonedDatabase, pools: Pools, keys_pool: asyncpg.Pool, shredder: Shredder, tmp_path: Path
) -> None:
    await shredder.shred(entry())
    await restore_main(pools)
    settings = settings_for(database, tmp_path)
    assert not await settled(settings, "worker")
    assert not await settled(settings, "api")
    assert await settled(settings, "scan"), "workers settle them"
    assert await settled(settings, "worker")
    assert await settled(settings, "api")


async def test_a_shred_gives_up_on_a_bucket_that_stays_held_and_stays_ordered(
    pools: Pools, keys_pool: asyncpg.Pool, shredder: Shredder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.keys.ledgers.ATTEMPTS", 1)
    async with tenants_transaction(pools["worker"], ["acme"]) as reader:
        await hold_subjects(reader, [AN])
        with pytest.raises(Exception, match="stayed held"):
            await shredder.shred(entry())
    assert await resume(shredder, pools["scan"], everything=False) == 1


async def test_while_a_shred_waits_others_wait_no_longer_than_its_turn(pools: Pools, shredder: Shredder) -> None:
    async with tenants_transaction(pools["worker"], ["acme"]) as reader:
        await hold_subjects(reader, [AN])
        waiting = asyncio.create_task(shredder.shred(entry()))
        for _ in range(3):
            async with tenants_transaction(pools["worker"], ["acme"]) as another, asyncio.timeout(15):
                assert await hold_subjects(another, [AN]) == set()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.requirement("trap-79", "trap-80")
async def test_parked_records_of_the_subject_lose_their_contents_and_nobody_elses_do(pools: Pools, shredder: Shredder) -> None:
    def command(subject: str) -> bytes:
        return json.dumps({"caseId": "c", "subjectId": subject, "variables": f'{{"a":"{CANARY}", "who": "an"}}'}).encode()

    structured = {"specversion": "1.0", "id": "7", "source": "crm", "x": CANARY, "data": json.loads(command("an"))}
    await park(pools, 1, command("an"), ("x-mail", CANARY.encode()))
    await park(pools, 2, command("binh"))
    await park(pools, 3, b'{"subjectId": "an", "broken' + CANARY.encode())
    await park(pools, 4, json.dumps(structured).encode())
    await park(pools, 5, command("an"), tenant="other")

    report = await shredder.shred(entry())

    assert report.rows["public.parked_messages"] == 3
    rows = {row["offset"]: row for row in await pools["superuser"].fetch('select * from parked_messages order by "offset"')}
    for offset in (1, 3, 4):
        assert rows[offset]["ordered"] == "discard"
        assert CANARY.encode() not in (rows[offset]["value"] or b"") + rows[offset]["headers"]
    assert rows[1]["value"] is None
    assert json.loads(rows[4]["value"]) == {"specversion": "1.0", "id": "7", "source": "crm"}
    assert unpack_headers(rows[1]["headers"]) == [("ce_id", b"1")]
    for offset, subject in ((2, "binh"), (5, "an")):
        assert (rows[offset]["ordered"], rows[offset]["value"]) == (None, command(subject))


@pytest.mark.requirement("trap-79", "trap-80")
@pytest.mark.parametrize(("subject", "written"), [("id-7", r"\u0069d-7"), ("a/b=", r"a\/b\u003D")])
async def test_a_parked_record_is_known_however_its_sender_escapes(
    pools: Pools, shredder: Shredder, subject: str, written: str
) -> None:
    """PHP writes a slash with a backslash, Gson an equals sign as an escape: both are the same id."""
    await park(pools, 1, f'{{"subjectId": "{written}", "variables": "{CANARY}"}}'.encode())
    await shredder.shred(entry(("acme", subject)))
    assert await pools["superuser"].fetchval("select value from parked_messages") is None


@pytest.mark.requirement("trap-80")
async def test_a_record_that_is_parked_after_the_shred_is_emptied_too(pools: Pools, shredder: Shredder) -> None:
    """A batch that was under way when the purge ended parks what it holds, and a command may lie in its topic for a week."""
    await shredder.shred(entry())
    late = json.dumps({"subjectId": "an", "state": "no such state", "variables": CANARY}).encode()
    await park(pools, 1, late)
    await resume(shredder, pools["scan"], everything=False)
    assert await pools["superuser"].fetchval("select value from parked_messages") is None

    await pools["superuser"].execute("update shredded_subjects set purged_at = purged_at - interval '7 days'")
    await park(pools, 2, late)
    await resume(shredder, pools["scan"], everything=False)
    assert await pools["superuser"].fetchval("select count(value) from parked_messages") == 1, "left to the hourly look"
    await resume(shredder, pools["scan"])
    assert await pools["superuser"].fetchval("select count(value) from parked_messages") == 0
    report = await shredder.report(*AN)
    assert report.rows["public.parked_messages"] == 2


@pytest.mark.requirement("trap-80")
async def test_a_shred_that_cannot_be_finished_keeps_no_other_waiting(pools: Pools, shredder: Shredder) -> None:
    async def fail_for_an(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
        if subject == "an":
            raise asyncpg.QueryCanceledError("this subject's rows take too long")
        return {}

    stubborn = replace(shredder, purgers=(*shredder.purgers, Purger("stubborn", (), fail_for_an)))
    for subject in (AN, BINH):
        await stubborn.order(entry(subject))
    with pytest.raises(asyncpg.QueryCanceledError):
        await resume(stubborn, pools["scan"])
    assert [(await stubborn.report(*subject)).purged_at is None for subject in (AN, BINH)] == [True, False]


async def test_many_parked_records_are_looked_at_in_pages(
    pools: Pools, shredder: Shredder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.keys.purge.PAGE", 3)
    for offset in range(10):
        await park(pools, offset, json.dumps({"subjectId": "an" if offset % 2 else "binh"}).encode())
    report = await shredder.shred(entry())
    assert report.rows["public.parked_messages"] == 5


async def test_a_ledger_file_that_cannot_be_written_stops_a_shred_before_its_first_step(
    keys_pool: asyncpg.Pool, pools: Pools, tmp_path: Path
) -> None:
    (tmp_path / "nothing").write_text("a file where a folder should be")
    shredder = Shredder(pools["worker"], keys_pool, LedgerFile(tmp_path / "nothing" / "ledger.jsonl"), ())
    with pytest.raises(ConfigurationError, match="cannot be written"):
        await shredder.shred(entry())
    assert await read_keys(keys_pool) == []


async def test_only_lately_ordered_ones_are_looked_for_between_two_whole_looks(
    pools: Pools, keys_pool: asyncpg.Pool, keys_database: ClonedDatabase, file: LedgerFile
) -> None:
    conn = await asyncpg.connect(keys_database.url("superuser"))
    await conn.execute(
        """insert into shredded_subjects (tenant_id, subject_id, shred_id, requested_by, reason, entered_at)
           values ('acme', 'old', $1, 'x', 'y', now() - interval '3 hours'), ('acme', 'new', $2, 'x', 'y', now())""",
        uuid4(),
        uuid4(),
    )
    await conn.close()
    assert await settle_lately(pools["scan"], keys_pool, file) == 1
    assert [one.subject for one in file.read()] == ["new"]
    assert await settle(pools["scan"], keys_pool, file) == 1


@pytest.mark.hole("no-key-in-snapshots")
@pytest.mark.requirement("CD-2", "trap-84")
async def test_wrapped_keys_and_secrets_are_nowhere_in_the_main_database(
    pools: Pools, keys_pool: asyncpg.Pool, ring: KeyRing, shredder: Shredder
) -> None:
    """Everything that a backup of the main database would hold: every bytea and text column of every table."""
    keys = await ring.current([AN, BINH])
    snapshots = [
        seal(
            key.secret,
            Context(*subject[:1], "Order", "c", 1, subject[1], key.key_id),
            b"{}" * 50,
            salt=bytes(32),
            nonce=bytes(12),
        )
        for subject, key in keys.items()
    ]
    for number, sealed in enumerate(snapshots):
        await park(pools, number, sealed)
    await shredder.shred(entry(BINH))
    wrapped = [bytes(row["wrapped"]) for row in await keys_pool.fetch("select wrapped from data_keys")]
    needles = wrapped + [key.secret for key in keys.values()]
    assert await occurrences(pools["superuser"], needles) == {}
    # The look itself can fail: the snapshot's own bytes are found.
    assert sum((await occurrences(pools["superuser"], [snapshots[0][60:100]])).values()) == 1


async def occurrences(pool: asyncpg.Pool, needles: list[bytes]) -> dict[str, int]:
    """In which columns these bytes occur, in any whole or as hexadecimal text."""
    columns = await pool.fetch(
        """select format('%I.%I', table_schema, table_name) as name, column_name, data_type from information_schema.columns
           where table_schema not in ('pg_catalog', 'information_schema') and data_type in ('bytea', 'text', 'jsonb')"""
    )
    found = {}
    for column in columns:
        as_bytes = f'"{column["column_name"]}"'
        if column["data_type"] != "bytea":
            as_bytes = f"convert_to({as_bytes}::text, 'UTF8')"
        count = await pool.fetchval(
            f"select count(*) from {column['name']}, unnest($1::bytea[]) as needle"
            f" where position(needle in {as_bytes}) > 0"
            f" or position(convert_to(encode(needle, 'hex'), 'UTF8') in {as_bytes}) > 0",
            needles,
        )
        if count:
            found[f"{column['name']}.{column['column_name']}"] = count
    return found


async def test_a_shredded_subjects_snapshot_opens_for_nobody(
    ring: KeyRing, keys_pool: asyncpg.Pool, shredder: Shredder
) -> None:
    key = (await ring.current([AN]))[AN]
    context = Context("acme", "Order", "c1", 1, "an", key.key_id)
    sealed = seal(key.secret, context, CANARY.encode(), salt=bytes(32), nonce=bytes(12))
    await shredder.shred(entry())
    fresh = KeyRing(keys_pool, provider(), KeyCache(KeySettings()))
    secrets = await fresh.secrets([(*AN, key.key_id)])
    with pytest.raises(DecryptionFailed):
        open_sealed(secrets.get(key.key_id, b""), context, sealed)
