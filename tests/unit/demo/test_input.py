"""The demo's input: generator against facts, mapper against mapping, oracle against mapper."""

from collections import Counter
from pathlib import Path

import pytest

from demo.generator import incidents
from demo.oracle import expected
from demo.volume import COMMANDS_PER_ITEM, POISON_AFTER, Poison, volume
from domain.work_items.import_mapping import load_mapping
from domain.work_items.importing import Importer
from schemas.errors import ConfigurationError
from schemas.work_items import ApplyAction, CreateWorkItem

MAPPING = Path(__file__).parents[3] / "definitions" / "demo" / "incidents.yaml"


def row(order: int, state: str, at: str = "01-02-2026 08:00", assignee: str = "?", number: str = "INC1") -> dict[str, str]:
    return {
        "number": number,
        "sys_mod_count": str(order),
        "incident_state": state,
        "sys_updated_at": at,
        "sys_updated_by": "Updated by 1",
        "assigned_to": assignee,
        "assignment_group": "Group 1",
        "priority": "2 - High",
    }


def actions(*rows: dict[str, str]) -> list[str]:
    (commands,) = Importer(load_mapping(MAPPING)).commands(rows)
    return [command.name for command in commands]


def test_the_generator_follows_the_real_logs_facts() -> None:
    rows = list(incidents(890))
    first = {row["number"]: row for row in reversed(rows)}
    shares = Counter(row["incident_state"] for row in first.values())
    assert 0.6 < shares["New"] / 890 < 0.8
    assert 4_500 < len(rows) < 7_500
    assert rows == list(incidents(890))
    assert rows != list(incidents(890, seed=7))


def test_rows_are_taken_in_the_order_of_their_count_whatever_their_instant() -> None:
    late = row(2, "Resolved", "01-02-2026 07:00")
    assert actions(late, row(0, "New"), row(1, "Active")) == ["Create", "StartWork", "Resolve"]


def test_active_means_what_the_expected_status_says() -> None:
    assert actions(row(0, "Active", assignee="Resolver 1")) == ["Create", "Assign"]
    assert actions(row(0, "New"), row(1, "Active")) == ["Create", "StartWork"]
    assert actions(row(0, "Active"), row(1, "Awaiting Vendor"), row(2, "Active"))[-1] == "BackToInProgress"
    assert actions(row(0, "Active"), row(1, "Resolved"), row(2, "Active"))[-1] == "Reopen"


def test_a_new_assignee_adds_assign_and_none_adds_nothing() -> None:
    assigned = row(1, "Active", assignee="Resolver 2")
    assert actions(row(0, "Active"), assigned, row(2, "Active")) == ["Create", "StartWork", "Assign"]


def test_a_forbidden_move_is_sent_and_does_not_move_the_fold() -> None:
    # New to Resolved is refused: the item stays open, so Active afterwards starts the work.
    assert actions(row(0, "New"), row(1, "Resolved"), row(2, "Active")) == ["Create", "Resolve", "StartWork"]


def test_ids_are_stable_per_run_and_differ_between_runs() -> None:
    def ids(run: str) -> list[object]:
        (commands,) = Importer(load_mapping(MAPPING), run).commands([row(0, "New"), row(1, "Active")])
        return [command.id for command in commands]

    assert ids("a") == ids("a")
    assert not set(ids("a")) & set(ids("b"))


@pytest.mark.parametrize("seed", range(5))
def test_mapper_and_oracle_count_the_same_commands(seed: int) -> None:
    rows = list(incidents(300, seed))
    commands = Importer(load_mapping(MAPPING)).commands(rows)
    assert sum(map(len, commands)) == expected(rows).commands


def test_poison_hits_one_item_in_the_middle_of_its_life() -> None:
    load = volume(2_000, "t", ("north",), ["Resolver 1"])
    assert len(load.poison) == 2
    assert load.parked == 2 * (1 + COMMANDS_PER_ITEM - POISON_AFTER)
    records = list(load.records())
    assert len(records) == load.commands
    victim = next(record for record in records if isinstance(record, Poison))
    of_key = [record for record in records if isinstance(record, Poison) or record.command.work_item_id.encode() in victim.key]
    kinds = [type(record) if isinstance(record, Poison) else type(record.command) for record in of_key if record in of_key]
    assert kinds[: POISON_AFTER + 1] == [CreateWorkItem, ApplyAction, ApplyAction, Poison]


def test_a_wrong_mapping_names_every_problem(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(MAPPING.read_text().replace("SetWaitingCustomer", "SetWaitingForever").replace("title:", "titel:"))
    with pytest.raises(ConfigurationError) as refused:
        load_mapping(wrong)
    text = str(refused.value)
    assert "SetWaitingForever" in text
    assert "titel" in text
