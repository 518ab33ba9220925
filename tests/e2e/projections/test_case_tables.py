"""From a stored, encrypted case to a plain row (CD-15): the document's end-to-end tests, and what goes wrong on the way."""

from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.cases.mapping.model import Provenance
from domain.cases.mapping.tables import ColumnSpec, Feed, TableSpec
from projections import ddl_orders
from projections.versions import create_version, set_state, tombstones_of
from runtime.postgres import array_literal
from schemas.cases import CaseSnapshotStored
from tests.e2e.projections.house import TOPIC, House, released_spec
from tests.e2e.shell.harness import event, produce
from tests.waiting import until

ORDER, INCIDENT = "com.app.OrderCase", "com.app.Incident"
TABLE = "case_plain_order_case"
GROUP = f"projections.{TABLE}.v1"
CANARY = "canary-5d1c"
HERE = Provenance(ORDER, "file", "orders", "orders.yaml:1")


async def plan(house: House, spec: TableSpec) -> int:
    """Another version of a table, made by the ddl job; the running fleet follows by itself."""
    async with house.owner.acquire() as conn, conn.transaction():
        version = await create_version(conn, spec, by="test")
        await ddl_orders.order(conn, "create", spec.name, version, by="test")
    await house.job.round()
    return version


def with_column(spec: TableSpec, name: str, kind: str, path: str) -> TableSpec:
    feed = Feed(name, path, "null", "null", "incident", None, HERE)
    return replace(
        spec, columns=(*spec.columns, ColumnSpec(name, kind, comment=path)), feeds={ORDER: (*spec.feeds[ORDER], feed)}
    )


@pytest.mark.requirement("CD-15", "CD-5", "CD-3", "CD-4", "trap-86")
async def test_cd15_a_blob_becomes_a_row_filled_from_mixin_parent_and_class(house: House) -> None:
    await house.store("i-1", INCIDENT, number="INC0001", sys_created_by="sys 9", incident_state="New", reopen_count="2")
    row = await house.row("analytics.case_plain_incident", "i-1")
    assert row["incident_state"] == "New", "its own mapping"
    assert row["priority"] == "3 - Moderate", "its own mapping overrides the parent's"
    assert row["number"] == "INC0001", "from the parent ServiceCase"
    assert (row["sys_created_by"], row["reopen_count"]) == ("sys 9", 2), "from the parent's mixin"
    assert (row["class_name"], row["created_by"], row["updated_by"]) == (INCIDENT, "an", "an"), "from FlowableObject"
    assert row["case_instance_id"] == "i-1", "from WorkObject"
    assert isinstance(row["created_at"], datetime)
    work = await house.row("analytics.case_work", "i-1")
    assert (work["number"], work["class_name"]) == ("INC0001", INCIDENT), "what is exposed stands on the work table"

    await house.store("o-1", ORDER, total="12.50", items=[{"sku": "a", "quantity": 1}, {"sku": "b", "price": "3.10"}])
    order = await house.row(f"analytics.{TABLE}", "o-1")
    assert (order["order_total"], order["first_sku"]) == (Decimal("12.50"), "a")
    items = await house.look(f"select position, sku, quantity, unit_price from analytics.{TABLE}_items order by position")
    assert [tuple(item.values()) for item in items] == [(0, "a", 1, None), (1, "b", None, Decimal("3.10"))]
    assert not await house.look("select from analytics.case_plain_incident where case_id = 'o-1'")

    await house.store("o-1", ORDER, total="13.00", items=[{"sku": "c"}])
    await house.row(f"analytics.{TABLE}", "o-1", order_total=Decimal("13.00"))
    assert [item["sku"] for item in await house.look(f"select sku from analytics.{TABLE}_items")] == ["c"]
    await house.remove("o-1")
    await house.row(f"projections.{TABLE}__v1", "o-1", tombstone="removed")
    assert not await house.look(f"select from analytics.{TABLE} where case_id = 'o-1'")
    assert not await house.look(f"select from analytics.{TABLE}_items")


@pytest.mark.requirement("CD-15", "CD-12")
@pytest.mark.hole("version-is-a-consumer")
async def test_cd15_a_new_mapped_column_gets_its_ddl_is_applied_and_filled_for_old_and_new_cases(house: House) -> None:
    await house.store("o-1", ORDER, total=1, params={"region": "Hue"}, warehouse="W1")
    await house.row(f"analytics.{TABLE}", "o-1")
    assert await plan(house, with_column(released_spec(TABLE), "warehouse", "text", "$.warehouse")) == 2
    await house.row(f"projections.{TABLE}__v2", "o-1", warehouse="W1", region="Hue")
    await house.store("o-2", ORDER, total=2, warehouse="W2")
    await house.row(f"projections.{TABLE}__v2", "o-2", warehouse="W2")
    await house.row(f"analytics.{TABLE}", "o-2")
    async with house.owner.acquire() as conn:
        await ddl_orders.order(conn, "switch", TABLE, 2, by="test")
    await house.job.round()
    assert [row["warehouse"] for row in await house.look(f"select warehouse from analytics.{TABLE} order by 1")] == ["W1", "W2"]

    # The old version runs on until it is retired; then its consumer leaves and its table goes.
    await house.row(f"projections.{TABLE}__v1", "o-2")
    async with house.owner.acquire() as conn:
        assert await set_state(conn, TABLE, 1, {"standby"}, "retired")
        await ddl_orders.order(conn, "retire", TABLE, 1, by="test")
    await house.store("o-3", ORDER, total=3)
    await house.row(f"analytics.{TABLE}", "o-3")

    async def gone() -> bool:
        await house.job.round()
        return not await house.look("select from pg_class where relname = $1", f"{TABLE}__v1")

    await until(gone, what="the retired table to go")


def forged(good: CaseSnapshotStored, tenant: str = "north", **changes: Any) -> Any:
    """An event as somebody might forge or damage it."""
    payload = good.model_copy(update=changes)
    made = event(payload, tenant, payload.version)
    return replace(made, subject=payload.case_id, partitionkey=f"{tenant}|case|{payload.case_id}")


@pytest.mark.requirement("CD-5", "trap-84", "SP-9")
async def test_what_cannot_be_opened_is_parked_by_case_with_one_text_and_the_others_flow(house: House) -> None:
    await house.store("o-1", ORDER, total=1, note=CANARY)
    await house.row(f"analytics.{TABLE}", "o-1")
    [stored] = await house.look("select snapshot from sys_case_data_store where case_id = 'o-1'")
    sealed = stored["snapshot"]
    good = CaseSnapshotStored(case_id="o-1", class_name=ORDER, version=1, subject_id="s-1", snapshot=b64encode(sealed).decode())
    bad = [
        forged(good, case_id="b-1"),  # another row's blob
        forged(good, tenant="south"),  # another tenant's
        forged(good, case_id="b-2", snapshot=b64encode(sealed[:-1]).decode()),  # truncated
        forged(good, case_id="b-3", snapshot=b64encode(b"CSnp\x09" + sealed[5:]).decode()),  # an unknown format
        forged(good, case_id="b-4", snapshot=b64encode(sealed[:60] + b"\x00" + sealed[61:]).decode()),
        forged(good, case_id="b-5", snapshot="AAAAA"),  # no base64
        forged(good, case_id="b-6", snapshot=None),  # nothing, and no removal
    ]
    await produce(house.kafka, TOPIC, bad)
    await house.store("o-2", ORDER, total=2)
    await house.row(f"analytics.{TABLE}", "o-2")
    parked = await house.until_parked(GROUP, len(bad))
    assert {row["reason"] for row in parked} == {"decryption-failed"}
    assert len({row["error"].partition(" at ")[0] for row in parked}) == 1, "one text, no oracle"
    assert CANARY not in str(parked)
    assert {row["case_id"] for row in await house.look(f"select case_id from projections.{TABLE}__v1")} == {"o-1", "o-2"}


@pytest.mark.requirement("CD-5", "trap-80")
async def test_a_missing_key_is_set_aside_and_never_a_tombstone_until_it_is_restored(house: House) -> None:
    await house.store("o-1", ORDER, total=1)
    await house.row(f"analytics.{TABLE}", "o-1")
    keys = await house.keys.fetch("select * from data_keys")
    await house.keys.execute("delete from data_keys")
    version = await plan(house, with_column(released_spec(TABLE), "extra", "text", "$.extra"))
    assert house.fleet._ring is not None
    house.fleet._ring.release("north", "s-1")
    group = f"projections.{TABLE}.v{version}"
    [parked] = await house.until_parked(group)
    assert parked["reason"] == "data-key-missing"
    assert not await house.look(f"select from projections.{TABLE}__v{version}")
    for row in keys:
        names = ", ".join(row.keys())
        places = ", ".join(f"${at + 1}" for at in range(len(row)))
        await house.keys.execute(f"insert into data_keys ({names}) values ({places})", *row.values())
    await house.owner.execute("update parked_messages set ordered = 'redrive' where group_name = $1", group)
    await house.row(f"projections.{TABLE}__v{version}", "o-1", tombstone=None)


@pytest.mark.requirement("CD-13", "trap-80")
@pytest.mark.hole("shredded-subject-refused")
async def test_a_shredded_subject_is_a_tombstone_in_live_and_new_versions(house: House) -> None:
    await house.store("o-1", ORDER, total=1, customer={"name": CANARY})
    await house.store("o-2", ORDER, subject="s-2", total=2)
    await house.row(f"analytics.{TABLE}", "o-1")
    await house.row(f"analytics.{TABLE}", "o-2")
    await house.owner.execute(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 's-1', gen_random_uuid(), now(), 'op', 'asked')"
    )
    async with house.owner.acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenants', $1, true)", array_literal(["north"]))
        assert await tombstones_of(conn, "north", "s-1") > 0
    version = await plan(house, with_column(released_spec(TABLE), "extra", "text", "$.extra"))
    for number in (1, version):
        await house.row(f"projections.{TABLE}__v{number}", "o-1", tombstone="erased", order_total=None)
        await house.row(f"projections.{TABLE}__v{number}", "o-2", tombstone=None)


@pytest.mark.requirement("CD-5", "trap-85")
async def test_a_column_without_a_value_is_an_incident_and_its_row_is_written(house: House) -> None:
    for number in range(3):
        await house.store(f"o-{number}", ORDER, total=CANARY, currency="VND")
        await house.row(f"analytics.{TABLE}", f"o-{number}", order_total=None, currency="VND")
    incidents = await house.look("select * from incidents where kind = 'column-not-filled' and object_id = $1", f"{TABLE}.v1")
    assert [(row["tenant_id"], row["seen_count"]) for row in incidents] == [("north", 3)]
    assert "order_total" in incidents[0]["summary"]
    assert CANARY not in str(incidents)


@pytest.mark.hole("version-is-a-consumer")
@pytest.mark.requirement("CD-13")
async def test_a_version_that_cannot_run_is_an_incident_and_hurts_no_other(house: House) -> None:
    broken = with_column(released_spec(TABLE), "bad", "text", "$..everything")
    version = await plan(house, broken)

    async def told() -> bool:
        return bool(
            await house.look("select from incidents where kind = 'projection-failed' and object_id = $1", f"{TABLE}.v{version}")
        )

    await until(told, what="the incident")
    await house.store("o-1", ORDER, total=1)
    await house.row(f"analytics.{TABLE}", "o-1")
    assert house.fleet.ready


@pytest.mark.requirement("CD-12")
async def test_freshness_tells_the_serving_version_and_how_far_it_is_behind(house: House) -> None:
    await house.store("o-1", ORDER, total=1)
    await house.row(f"analytics.{TABLE}", "o-1")

    async def fresh() -> dict[str, Any] | None:
        [row] = await house.look("select * from meta.projection_freshness where table_name = $1", TABLE)
        return row if row["lag_records"] == 0 and row["applied_at"] is not None else None

    row = await until(fresh, what="a measured lag")
    assert row is not None
    assert (row["serving_version"], row["state"], row["next_version"]) == (1, "serving", None)
