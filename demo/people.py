"""The people and teams of an incident log, as files for `casestream tenant|user|team import`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from domain.work_items.import_mapping import Columns

Row = Mapping[str, str]


def assignees(rows: Iterable[Row], columns: Columns) -> list[str]:
    """Everybody to whom something was assigned."""
    return sorted({row[columns.assignee] for row in rows} - {"", columns.none})


def write_directory(folder: Path, tenants: Sequence[str], rows: Sequence[Row], columns: Columns) -> dict[str, Path]:
    """Three JSONL files: tenants, users, teams. Every tenant gets all the log's people and groups."""
    folder.mkdir(parents=True, exist_ok=True)
    people = assignees(rows, columns)
    teams = sorted({row[columns.team] for row in rows} - {"", columns.none}) if columns.team else []
    files: dict[str, list[dict[str, object]]] = {
        "tenant": [{"tenant_id": tenant, "name": tenant.title()} for tenant in tenants],
        "user": [{"tenant_id": tenant, "user_id": user, "display_name": user} for tenant in tenants for user in people],
        "team": [{"tenant_id": tenant, "team_id": team, "name": team} for tenant in tenants for team in teams],
    }
    written = {}
    for kind, entries in files.items():
        written[kind] = folder / f"{kind}s.jsonl"
        written[kind].write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return written
