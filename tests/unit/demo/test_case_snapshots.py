"""The chapter of cases: the same snapshots for the same run, incidents in their order, exact amounts."""

import json
from decimal import Decimal
from pathlib import Path

from demo.cases.snapshots import CHANGED_EVERY, incident_snapshots, interleaved, order_change, order_snapshots
from demo.generator import incidents
from domain.work_items.import_mapping import load_mapping
from schemas.envelope import from_kafka, to_headers

MAPPING = load_mapping(Path(__file__).parents[3] / "definitions" / "demo" / "incidents.yaml")
TENANTS = ("north", "central")


def test_every_row_of_an_incident_is_a_snapshot_with_36_fields_in_its_order() -> None:
    rows = list(incidents(20))
    histories = incident_snapshots(reversed(rows), MAPPING, "r")
    assert sum(map(len, histories)) == len(rows)
    for history in histories:
        told = [json.loads(snapshot.command.variables) for snapshot in history]
        assert all(len(variables) == 36 for variables in told)
        assert [variables["sys_mod_count"] for variables in told] == sorted(
            (variables["sys_mod_count"] for variables in told), key=int
        )
        assert len({snapshot.tenant_id for snapshot in history}) == 1
    assert "?" not in "".join(snapshot.command.variables for history in histories for snapshot in history)


def test_the_same_run_gives_the_same_commands_and_another_run_other_cases() -> None:
    first, again, other = (order_snapshots(30, TENANTS, run) for run in ("r", "r", "s"))
    assert first == again
    assert not {one[0].command.case_id for one in first} & {one[0].command.case_id for one in other}


def test_an_orders_total_is_the_exact_sum_of_its_items() -> None:
    for history in order_snapshots(50, TENANTS, "r"):
        variables = json.loads(history[-1].command.variables)
        items = variables["items"]
        assert Decimal(variables["total"]) == sum(Decimal(item["price"]) * item["quantity"] for item in items)


def test_versions_come_in_order_and_every_command_is_an_event_of_its_own() -> None:
    histories = order_snapshots(40, TENANTS, "r")
    assert [len(history) for history in histories[:CHANGED_EVERY]] == [2] + [1] * (CHANGED_EVERY - 1)
    sent = [*interleaved(histories), order_change(3, TENANTS, "r", 3)]
    events = [from_kafka(event.data, to_headers(event)) for event in (snapshot.envelope() for snapshot in sent)]
    assert len({event.id for event in events}) == len(events)
    assert {event.partitionkey for event in events} == {
        f"{snapshot.tenant_id}|case|{snapshot.command.case_id}" for snapshot in sent
    }
