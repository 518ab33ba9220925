"""`casestream mapping` on a database: what the door does over HTTP, from a terminal."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from domain.cases.commands import store_snapshot
from domain.cases.known_classes import known_classes
from domain.cases.mapping.files import read_text
from domain.cases.mapping.graph import graph_of
from domain.cases.mapping.resolve import resolve
from domain.cases.mapping_store import released_files
from domain.cases.mapping_store.exporting import yaml_of
from domain.cases.sensitivity import blind_index
from projections.cases.opening import hash_key_of
from runtime.keys.ring import open_key_ring
from runtime.settings import Settings
from schemas.caller import Caller
from schemas.cases import StoreSnapshot
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import OUTBOX, World
from tests.integration.keys.conftest import keks

ORDER = "com.app.OrderCase"
CANARY = "canary-9931"
MORE = """
module: orders
classes:
  - className: com.app.GiftOrder
    parent: com.app.OrderCase
    mappings:
      - {plainColumn: greeting, jsonPath: $.greeting}
      - {plainColumn: weight, jsonPath: $.weight, type: "numeric(8,3)"}
"""


def environment(database: ClonedDatabase) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CASESTREAM_KEYS__PROVIDER": "environment",
        "CASESTREAM_KEYS__KEKS": keks("kek-1"),
    }


async def mapping(
    database: ClonedDatabase, *words: str, environ: Mapping[str, str] | None = None, said: str = ""
) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtime.cli", "mapping", *words),
        env=dict(environ or environment(database)),
        cwd=Path(__file__).resolve().parents[3],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(said.encode())
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_file_is_imported_published_shown_and_disabled(world: World, tmp_path: Path) -> None:
    database, file = world.database, tmp_path / "gifts.yaml"
    file.write_text(MORE)
    code, out, err = await mapping(database, "import", str(file), "--reason", "gifts", "--output", "jsonl")
    assert (code, json.loads(out)["state"]) == (0, "draft"), err
    code, out, err = await mapping(database, "publish", "com.app.GiftOrder", "--reason", "gifts", "--output", "jsonl")
    assert code == 0, err
    assert "case_plain_gift_order added" in json.loads(out)["tables"]
    code, out, _ = await mapping(database, "versions", "com.app.GiftOrder", "--output", "jsonl")
    (version,) = [json.loads(line) for line in out.splitlines()]
    assert (code, version["version"], version["state"]) == (0, 1, "enabled")
    code, out, _ = await mapping(database, "export", "com.app.GiftOrder")
    assert (code, "com.app.GiftOrder@1#/mappings/1" in out) == (0, True)
    (exported,) = yaml.safe_load(out)["classes"]
    assert exported["mappings"] == yaml.safe_load(MORE)["classes"][0]["mappings"]
    assert (await mapping(database, "disable", "com.app.GiftOrder", "--reason", "no gifts"))[0] == 0
    assert (await mapping(database, "export", "com.app.GiftOrder"))[0] == 1
    rows = await world.look("select tenant_id, action, reason from audit_log order by at, audit_id")
    assert [tuple(row.values()) for row in rows] == [
        ("", "mapping.draft-saved", "gifts"),
        ("", "mapping.published", "gifts"),
        ("", "mapping.disabled", "no gifts"),
    ]


async def test_a_bad_file_is_refused_with_every_problem(world: World, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(MORE.replace("greeting, ", "select, ").replace("$.weight", "$..weight"))
    code, _, err = await mapping(world.database, "import", str(file), "--publish", "--reason", "x")
    assert code == 1
    assert "column-name" in err
    assert "/mappings/1/jsonPath: path" in err
    file.write_text("module: [")
    code, _, err = await mapping(world.database, "import", str(file), "--reason", "x")
    assert (code, f"{file}:" in err) == (1, True)
    assert await world.look("select from mapping_definitions") == []


@pytest.mark.requirement("CD-12")
async def test_ddl_writes_a_migration_with_its_hash_and_plan(world: World, tmp_path: Path) -> None:
    out_dir = tmp_path / "sql"
    code, out, err = await mapping(world.database, "ddl", "case_plain_order_case", "--out", str(out_dir), "--output", "json")
    assert code == 0, err
    plan = json.loads(out)
    (file,) = out_dir.iterdir()
    assert (file.name, str(file)) == ("case_plain_order_case__v1.sql", plan["file"])
    text = file.read_text()
    assert plan["sha256"] in text.splitlines()[0]
    assert {"snapshots", "seconds", "locks", "backfill"} <= plan.keys()
    assert 'create table "projections"."case_plain_order_case__v1"' in text
    await (await world.pool("migrate")).execute(text)
    code, _, err = await mapping(world.database, "ddl", "nonsense")
    assert (code, "no mapping makes the table nonsense" in err) == (1, True)


@pytest.mark.requirement("CD-14")
async def test_a_path_is_checked_from_the_terminal(world: World, keys_database: ClonedDatabase) -> None:
    environ = environment(world.database)
    async with open_key_ring(Settings.load(environ)) as ring, world.api() as conn:
        command = StoreSnapshot(
            case_id="c-1",
            class_name=ORDER,
            subject_id="s-1",
            variables=json.dumps({"total": 12.5, "customer": {"name": CANARY}}),
        )
        caller = Caller("north", "an", frozenset({"agent"}), "CRM_UI")
        await store_snapshot(conn, OUTBOX, ring, caller, command, known_classes(released_files()))
    asked = ("check-path", ORDER, "$.total", "--tenant", "north", "--reason", "a report", "--output", "json")
    code, out, err = await mapping(world.database, *asked, "--type", "numeric(12,2)", "--column", "sum", environ=environ)
    assert code == 0, err
    said = json.loads(out)
    assert (said["case"], said["found"]["values"], said["outcomes"]) == (
        "c-1",
        [{"json_type": "number", "value": "12.5", "converted": "12.5"}],
        {"number": 1},
    )
    assert said["columns"][0].startswith("order_total by com.app.OrderCase (file")
    assert '"sum" numeric(12,2)' in said["ddl"]["case_plain_order_case"]
    masked = ("check-path", ORDER, "$.customer", "--tenant", "north", "--reason", "a report")
    code, out, err = await mapping(world.database, *masked, environ=environ)
    assert (code, CANARY in out + err, "****" in out) == (0, False, True)
    code, _, err = await mapping(world.database, *asked[:2], "$..x", *asked[3:], environ=environ)
    assert (code, "PathRefused" in err) == (3, True)
    rows = await world.look("select tenant_id, reason from audit_log where action = 'case.path-checked'")
    assert {tuple(row.values()) for row in rows} == {("north", "a report")}
    assert len(rows) == 3


@pytest.mark.requirement("CD-10")
@pytest.mark.requirement("CD-4")
async def test_the_hash_of_a_value_is_what_the_projector_keeps_for_it(world: World) -> None:
    asked = ("blind-index", "--tenant", "north", "--reason", "a fraud case", "--output", "json")
    hashes = {}
    for kind, said in (("text", CANARY), ("numeric(12,2)", "1.5"), ("numeric(12,2)", "1.50")):
        code, out, err = await mapping(world.database, *asked, "--type", kind, said=said)
        assert (code, CANARY in out + err) == (0, False), err
        hashes[said] = json.loads(out)["hash"]
    key = hash_key_of(Settings.load(environment(world.database)))
    assert key is not None
    assert hashes[CANARY] == blind_index(key, "north", CANARY) != blind_index(key, "south", CANARY)
    assert hashes["1.5"] == hashes["1.50"] == blind_index(key, "north", Decimal("1.5"))
    code, _, err = await mapping(world.database, *asked, "--type", "date", said="no date")
    assert (code, "ValueRefused" in err, "no date" in err) == (3, True, False)
    code, _, err = await mapping(world.database, *asked, "--type", "money", said="1")
    assert (code, "TypeRefused" in err) == (3, True)
    rows = await world.look("select tenant_id, reason, detail::text from audit_log where action = 'mapping.blind-index'")
    assert [(row["tenant_id"], row["reason"]) for row in rows] == [("north", "a fraud case")] * 3
    assert CANARY not in str(rows)


def test_what_is_exported_reads_back_the_same() -> None:
    files = released_files()
    definitions, problems = read_text(yaml_of(files.values()), "again.yaml")
    assert problems == []
    again, _ = graph_of(definitions)
    assert again.keys() == files.keys()
    for name in files:
        before, after = resolve(files, name)[0], resolve(again, name)[0]
        assert [column.entry for column in before.columns] == [column.entry for column in after.columns]
        assert before.ancestry == after.ancestry
