"""`python -m benchmarks.rules.judging.memory`: what a process of the rules group takes with 10,000 rules; at most 150 MB.

The rules have three conditions (ground.py) and three actions, and are read from rows as a tenant's are. All
of the process counts: interpreter, shell and clients, the effects' wiring, and the rules. Ends with 1 above the limit.
"""

import gc
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import processors.shell  # noqa: F401 - a process of the group has it
import runtime.cli.effect_kinds  # noqa: F401 - and this
from benchmarks.rules.judging import ground
from domain.rules.calendar import Calendar
from domain.rules.followed_rules import active_rule
from domain.rules.index import RuleIndex

RULES, MOST_MEGABYTES = 10_000, 150
_PAGE_BYTES = 4096
_ACTIONS: list[dict[str, Any]] = [
    {"actionType": "SEND_EMAIL", "retryCount": 3, "configuration": {"templateId": "welcome", "toField": "email"}},
    {
        "actionType": "CALL_WEBHOOK",
        "configuration": {
            "url": "https://example.com/hook",
            "bodyTemplate": {"id": "{{id}}", "name": "{{name}}", "value": "{{estimatedValue}}"},
        },
    },
    {"actionType": "CREATE_TASK", "configuration": {"subject": "Follow up {{name}}", "dueDateOffset": 2}},
]


def main() -> int:
    began = _megabytes()
    index, active = RuleIndex(), []
    for row in _rows():
        active.append(active_rule(ground.TENANT, row, Calendar()))
        index.add(active[-1].rule)
    gc.collect()
    total = _megabytes()
    print(f"{total:.0f} MB with {len(index):,} rules, {began:.0f} MB without; the limit is {MOST_MEGABYTES} MB")
    return int(total > MOST_MEGABYTES)


def _rows() -> Iterator[dict[str, Any]]:
    """Rules as their rows have them, made one by one so that nothing but the rules is kept."""
    now = datetime.now(UTC)
    for seed in range(RULES // ground.RULES):
        for number, (definition, _) in enumerate(ground.hundred(seed)):
            told = definition.model_dump(mode="json", by_alias=True, exclude_none=True)
            words = {"name": f"Rule {seed}-{number} of the sales team", "description": "Tells somebody what has happened"}
            text = json.dumps({**told, **words, "actions": _ACTIONS})
            row_id = f"{seed:08}-0000-7000-8000-{number:012}"
            yield {"id": row_id, "version": 1, "definition": text, "created_at": now, "active_since": now}


def _megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6


if __name__ == "__main__":
    sys.exit(main())
