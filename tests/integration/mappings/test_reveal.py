"""`casestream mapping reveal`: an encrypted column is opened for one case, and the audit log knows it first."""

import json

import asyncpg
import pytest

from domain.cases.mapping.model import Provenance
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, Feed, TableSpec
from projections.cases.opening import Opener, Snapshot
from projections.cases.writing import write_rows
from runtime.keys.ring import KeyRing, open_key_ring
from runtime.settings import Settings
from runtime.snapshots import Context, seal
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World
from tests.integration.mappings.test_command_line import environment, mapping
from tests.integration.projections.tables import make_version, switch

LOAN = "com.app.Loan"
ID, OTHER_ID = "079-555-0100", "084-555-0199"
ASKED = ("--tenant", "north", "--reason", "a court order", "--output", "json")


def fed(column: str, path: str) -> Feed:
    return Feed(column, path, "null", "null", "null", None, Provenance(LOAN, "file", "loans", "loans.yaml:1"))


def loan_spec() -> TableSpec:
    """Encrypted columns in the main table and in a child table."""
    number = ColumnSpec("national_id", "text", "encrypt")
    guarantors = ChildSpec(
        "case_plain_loan_guarantors", "$.guarantors", (number,), {LOAN: (fed("national_id", "$.guarantors[*].id"),)}
    )
    columns = (ColumnSpec("amount", "numeric(12,2)"), number)
    feeds = {LOAN: (fed("amount", "$.amount"), fed("national_id", "$.id"))}
    return TableSpec("case_plain_loan", columns, feeds, (guarantors,))


async def fill(world: World, ring: KeyRing) -> None:
    """Version 1 is shown and has one case, made by the way that projectors take."""
    owner = await asyncpg.connect(world.database.url("migrate"))
    await make_version(owner, loan_spec())
    assert (await switch(owner, "case_plain_loan", 1)).state == "executed"
    await owner.close()
    key = (await ring.current([("north", "s-1")]))["north", "s-1"]
    document = json.dumps({"amount": 5, "id": ID, "guarantors": [{"id": OTHER_ID}, {}]}).encode()
    sealed = seal(key.secret, Context("north", LOAN, "c-1", 4, "s-1", key.key_id), document, salt=bytes(32), nonce=bytes(12))
    snapshot = Snapshot("north", "c-1", LOAN, 4, "s-1", sealed)
    opener = Opener(loan_spec(), ring, None)
    async with world.worker() as conn:
        row, problems = opener.row(snapshot, await opener.hold(conn, [snapshot]))
        assert problems == []
        assert await write_rows(conn, loan_spec(), 1, [row]) == 1


@pytest.mark.requirement("CD-4")
async def test_an_encrypted_column_is_shown_for_one_case_and_recorded(world: World, keys_database: ClonedDatabase) -> None:
    environ = environment(world.database)
    async with open_key_ring(Settings.load(environ)) as ring:
        await fill(world, ring)

    async def reveal(*words: str) -> tuple[int, str, str]:
        return await mapping(world.database, "reveal", *words, *ASKED, environ=environ)

    code, out, err = await reveal("case_plain_loan", "national_id", "--case", "c-1")
    assert (code, json.loads(out)) == (0, [{"case": "c-1", "position": None, "national_id": ID}]), err
    code, out, err = await reveal("case_plain_loan_guarantors", "national_id", "--case", "c-1")
    assert code == 0, err
    assert [(row["position"], row["national_id"]) for row in json.loads(out)] == [(0, OTHER_ID), (1, None)]
    entries = await world.look("select object_id, reason, detail::text from audit_log where action = 'case.column-revealed'")
    assert [(entry["object_id"], entry["reason"]) for entry in entries] == [("c-1", "a court order")] * 2
    assert ID not in str(entries)

    code, _, err = await reveal("case_plain_loan", "amount", "--case", "c-1")
    assert (code, "it has: national_id" in err) == (3, True)
    code, _, err = await reveal("case_plain_lone", "national_id", "--case", "c-1")
    assert (code, "TableNotThere" in err) == (3, True)
    code, out, err = await reveal("case_plain_loan", "national_id", "--case", "c-2")
    assert (code, json.loads(out), "has no row of case c-2" in err) == (0, [], True)
    elsewhere = ("reveal", "case_plain_loan", "national_id", "--case", "c-1", "--tenant", "south", *ASKED[2:])
    code, out, err = await mapping(world.database, *elsewhere, environ=environ)
    assert (code, json.loads(out), ID in out + err) == (0, [], False)


@pytest.mark.requirement("CD-4")
@pytest.mark.hole("shredded-subject-refused")
async def test_of_an_erased_person_nothing_is_shown(world: World, keys_database: ClonedDatabase) -> None:
    environ = environment(world.database)
    async with open_key_ring(Settings.load(environ)) as ring:
        await fill(world, ring)
    # The ledger has the person; the table's row is not purged yet, and the key is still there.
    ledger = "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
    await (await world.pool("superuser")).execute(f"{ledger} values ('north', 's-1', gen_random_uuid(), now(), 'an', 'asked')")
    code, out, err = await mapping(
        world.database, "reveal", "case_plain_loan", "national_id", "--case", "c-1", *ASKED, environ=environ
    )
    assert (code, "SubjectErased" in err, ID in out + err) == (3, True, False)
