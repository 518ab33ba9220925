"""The reference page says what the tables say."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from domain.work_items.transitions import (
    ACTIONS,
    CONTROLS,
    PERMISSIONS,
    STATUS_LABELS,
    STATUSES,
    TRANSITIONS,
    Control,
    allowed_next_actions,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "work-items.md"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _rows() -> Iterable[str]:
    for action, targets in TRANSITIONS.items():
        yield _row(f"`{action}`", _codes(targets), _codes(set(targets.values())))
    for status in STATUSES:
        label = STATUS_LABELS[status]
        yield _row(f"`{status}`", label.vi, label.en, _codes(allowed_next_actions(status)) or "none")
    yield _row("action", *PERMISSIONS)
    for action in ACTIONS:
        yield _row(f"`{action}`", *("yes" if action in may else "" for may in PERMISSIONS.values()))
    for control in CONTROLS:
        yield _row(f"{control.kind} `{control.key}`", control.label.vi, control.label.en, _actions(control))


def _actions(control: Control) -> str:
    by_action = {
        action: [status for status, leads in control.actions.items() if leads == action] for action in control.actions.values()
    }
    return "; ".join(f"`{action}` from {_codes(statuses)}" for action, statuses in by_action.items())


@pytest.mark.requirement("trap-61", "WI-8", "WI-9")
def test_the_reference_page_has_every_row_of_the_tables() -> None:
    written = PAGE.read_text(encoding="utf-8").splitlines()
    assert [row for row in _rows() if row not in written] == []


@pytest.mark.requirement("trap-61")
def test_there_is_one_service_for_both_doors() -> None:
    """The document prints its service twice (section 7.2); here doors have no status rule and no SQL of their own."""
    root = PAGE.parents[2]
    for door in ("api/work_items.py", "processors/work_items.py"):
        text = (root / door).read_text(encoding="utf-8")
        assert "domain.work_items" in text
        assert "update work_items" not in text


@pytest.mark.requirement("trap-62")
def test_migrations_only_ever_add_columns() -> None:
    migrations = sorted((PAGE.parents[2] / "migrations").glob("*.sql"))
    assert migrations
    for migration in migrations:
        words = " ".join(migration.read_text(encoding="utf-8").lower().split())
        assert "drop column" not in words, migration.name
        assert "rename column" not in words, migration.name


@pytest.mark.requirement("trap-37", "trap-58")
def test_commands_call_no_service_inside_the_transaction() -> None:
    """What could reach outside is not even imported in this room."""
    outside = ("httpx", "aiokafka", "aiosmtplib", "socket", "urllib.request", "requests")
    for module in (PAGE.parents[2] / "domain").rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        assert not [name for name in outside if f"import {name}" in text or f"from {name}" in text], module.name
