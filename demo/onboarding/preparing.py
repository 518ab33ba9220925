"""What the tenant has before its customers come: people who decide, a secret for payments, its own copy of the flows."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from demo.onboarding.applicants import GROUPS, SHARES

DEFINITIONS = Path(__file__).resolve().parents[2] / "definitions" / "flows"
REVIEWER = "reviewer-an"
SECRET = "payments_signing"  # noqa: S105 - its name
VERSION = 2
# Whoever has not gone on by then never comes back.
EXPIRES = "25s"
_FIRST_STATES = ("PHONE_ENTERED", "PROFILE_COMPLETED")

# Runs a command of ours as a user would; what it prints.
Casestream = Callable[[Sequence[str]], Awaitable[str]]


async def prepare(casestream: Casestream, folder: Path, tenant: str, payments_url: str) -> str:
    """A person in each group, the flows' copies, and a fresh secret, which is the answer."""
    people = [{"tenant_id": tenant, "user_id": REVIEWER, "display_name": "An at her desk"}]
    teams = [{"tenant_id": tenant, "team_id": group, "name": group, "member_ids": [REVIEWER]} for group in GROUPS.values()]
    await casestream(["user", "import", str(_lines(folder / "reviewers.jsonl", people))])
    await casestream(["team", "import", str(_lines(folder / "review-groups.jsonl", teams))])
    drawn = await casestream(["--output", "json", "secret", "set", SECRET, "--tenant", tenant, "--generate"])
    for file in copies(folder, payments_url):
        await casestream(["flow", "import", str(file), "--tenant", tenant])
    return str(json.loads(drawn)["value"])


def copies(folder: Path, payments_url: str) -> list[Path]:
    """The released flows with what a tenant changes: where payments are made, and here the pace."""
    return [_copy(DEFINITIONS / f"{flow}.v1.yaml", folder, payments_url) for flow in SHARES]


def _copy(released: Path, folder: Path, payments_url: str) -> Path:
    flow: dict[str, Any] = yaml.safe_load(released.read_text(encoding="utf-8"))
    flow["version"] = VERSION
    for state in flow["states"]:
        if state["name"] == flow["initial"] and state["name"] in _FIRST_STATES:
            state["sla"] = {"expiresAfter": EXPIRES, "onExpiry": "cancel"}
    for move in flow["transitions"]:
        if "retry" in move:
            move["retry"] = {"retries": move["retry"]["retries"], "delay": "200ms"}
        if "attemptTimeout" in move:
            move["attemptTimeout"] = "10s"
    for handler in flow["handlers"]:
        if handler.get("kind") == "http":
            handler |= {"url": payments_url, "secret": SECRET}
    path = folder / released.name.replace("v1", f"v{VERSION}")
    path.write_text(yaml.safe_dump(flow, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _lines(path: Path, entries: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path
