"""Commands to cases for the conformance suite, sealed under the one key that every process knows."""

import json
from dataclasses import replace

from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.cases.sealing import StoredSnapshot, open_document
from domain.outbox import Outbox
from processors.cases import Cases
from runtime.keys.ring import DataKey, Subject
from schemas.cases import StoreSnapshot
from schemas.envelope import CloudEvent
from tests.e2e.shell.case_snapshots import CLASS, KEY_ID, SECRET, SUBJECT, OneKey
from tests.e2e.shell.harness import event, execute, rows
from tests.infrastructure.databases import ClonedDatabase


class OneWritingKey(OneKey):
    """The same ring, to encrypt with."""

    async def current(self, subjects: list[Subject]) -> dict[Subject, DataKey]:
        return {subject: DataKey(KEY_ID, SECRET) for subject in subjects}


def processor() -> Cases:
    return Cases(Outbox("casestream"), OneWritingKey(), FollowedClasses(released_files()))  # type: ignore[arg-type]


def history(tenant: str, case_id: str, length: int, ids: list[str]) -> list[CloudEvent]:
    """The case's first persist points: `n` is the number of the command."""
    return [
        replace(
            event(
                StoreSnapshot(
                    case_id=case_id, class_name=CLASS, subject_id=SUBJECT, variables=f'{{"n": {number}}}', requested_by="u1"
                ),
                tenant,
                None,
                id=ids[number - 1],
                source="upstream",
            ),
            subject=case_id,
            partitionkey=f"{tenant}|case|{case_id}",
        )
        for number in range(1, length + 1)
    ]


async def prepare(database: ClonedDatabase, tenant: str) -> None:
    await execute(database, f"insert into tenants (tenant_id, name) values ('{tenant}', 'Acme')")


async def read(database: ClonedDatabase) -> dict[str, tuple[int, int]]:
    """Versions of each case, and the `n` of its last one; the events tell the same."""
    found = await rows(
        database,
        "select distinct on (case_id) tenant_id, case_id, class_name, subject_id, version, snapshot, "
        "count(*) over (partition by case_id) as versions, "
        "(select count(*) from outbox_events o where o.aggregate_id = case_id and o.sequence is not null) as events "
        "from sys_case_data_store order by case_id, version desc",
    )
    applied = {}
    for row in found:
        names = ("tenant_id", "case_id", "class_name", "subject_id", "version", "snapshot")
        text = open_document(StoredSnapshot(**{name: row[name] for name in names}), {KEY_ID: SECRET})
        assert row["versions"] == row["events"] == row["version"]
        applied[row["case_id"]] = (row["versions"], json.loads(text)["n"])
    return applied
