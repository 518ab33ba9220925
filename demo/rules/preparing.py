"""What a tenant has before its rules run: people, message templates, a signing secret, and its own copy of the rules' files."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo.rules.traffic import MANAGERS, SALES

DEFINITIONS = Path(__file__).resolve().parents[2] / "definitions"
FILES = ("use-cases.yaml", "incidents.yaml")
TEMPLATES = ("welcome", "proposal", "reminder", "breach")
TEAM = "sales"
WHY = ["--reason", "a copy for the demo"]

# Runs a command of ours as a user would; what it prints.
Casestream = Callable[[Sequence[str]], Awaitable[str]]
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copies:
    """The files that are imported, and all of their rules. `clocked`: what the clock starts, imported when the past is told."""

    watching: list[Path]
    clocked: Path
    rules: list[Rule]


async def prepare(casestream: Casestream, folder: Path, tenant: str) -> str:
    """People, templates and a fresh signing secret; the secret."""
    people = [*SALES, *MANAGERS]
    users: list[Rule] = [{"tenant_id": tenant, "user_id": user, "display_name": user.title()} for user in people]
    team: Rule = {"tenant_id": tenant, "team_id": TEAM, "name": "Sales", "member_ids": list(SALES)}
    await casestream(["user", "import", str(_lines(folder / "sales-users.jsonl", users))])
    await casestream(["team", "import", str(_lines(folder / "sales-team.jsonl", [team]))])
    saving = (
        ["message-template", "save", name, str(DEFINITIONS / "message_templates" / f"{name}.yaml"), "--tenant", tenant]
        for name in TEMPLATES
    )
    drawing = ["--output", "json", "secret", "set", "webhook_signing", "--tenant", tenant, "--generate"]
    *_, drawn = await asyncio.gather(*map(casestream, saving), casestream(drawing))
    return str(json.loads(drawn)["value"])


def copy_rules(folder: Path, run: str, hook_url: str) -> Copies:
    """The files with what a tenant changes before it imports them: the receiver's address, and here the pace.

    Retries come after a second, and the clock's rules look every minute, at entities of this run only.
    """
    rules = {name: yaml.safe_load((DEFINITIONS / "rules" / name).read_text(encoding="utf-8")) for name in FILES}
    watching = []
    for name, of_file in rules.items():
        for rule in of_file:
            _change(rule, run, hook_url)
        watching.append(_file(folder / name, [rule for rule in of_file if rule["triggerType"] != "SCHEDULED"]))
    every = [rule for of_file in rules.values() for rule in of_file]
    clocked = _file(folder / "clocked.yaml", [rule for rule in every if rule["triggerType"] == "SCHEDULED"])
    return Copies(watching, clocked, every)


def _change(rule: Rule, run: str, hook_url: str) -> None:
    if "cronExpression" in rule:
        rule["cronExpression"] = "* * * * *"
        rule["conditions"].insert(0, {"fieldName": "run", "operator": "EQUALS", "value": run})
    for action in rule["actions"]:
        if action.get("retryCount"):
            action["retryDelaySeconds"] = 1
        told = action["configuration"]
        if "url" in told:
            told["url"] = told["url"].replace("https://hooks.example.com", hook_url)


def _file(path: Path, rules: Sequence[Rule]) -> Path:
    path.write_text(yaml.safe_dump(list(rules), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _lines(path: Path, entries: Sequence[Rule]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path
