"""Operators' orders as they type them, in processes of their own: the twins of /admin/onboarding and of reviews."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.onboarding import StepFailed, StepSucceeded
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import key_environment
from tests.integration.onboarding.journeys import ENGINE, Journeys

ROOT = Path(__file__).parents[3]
CAUSE = ("--fingerprint", "card-onboarding|create-account", "--reason", "mended")


class Commands:
    """Runs `casestream` for tenant north."""

    def __init__(self, database: ClonedDatabase) -> None:
        self._environ = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            **key_environment(database),
        }

    async def __call__(self, *words: str, expect: int = 0) -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", "--output", "json", *words, "--tenant", "north", env=self._environ, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 300)
        assert process.returncode == expect, (out + err).decode()
        return json.loads(out) if out.strip() else err.decode()


@pytest.fixture
def casestream(database: ClonedDatabase, journeys: Journeys) -> Commands:
    return Commands(database)


async def _failed(journeys: Journeys, instance_id: str, step: int = 1) -> None:
    told = {"instance_id": instance_id, "step": str(step), "attempt": 1, "effect_id": "e"}
    await journeys.tell(StepFailed(**told, code="down", retryable=False), actors=ENGINE)


@pytest.mark.requirement("WF-15", "WF-9")
async def test_an_operator_sees_retries_and_cancels_and_the_audit_log_names_him(
    journeys: Journeys, casestream: Commands, tmp_path: Path
) -> None:
    for name in ("i-1", "i-2"):
        await journeys.start(name)
        await journeys.act(name)
        await _failed(journeys, name)
    shown = await casestream("instance", "dashboard")
    assert shown["open_incidents"] == [{"kind": "step-failed", "fingerprint": CAUSE[1], "count": 2}]
    assert (await casestream("instance", "show", "i-1"))["allowed_operations"] == ["cancel", "retry"]
    tried = await casestream("incident", "retry-all", *CAUSE)
    assert [(one["instance_id"], one["result"]) for one in tried] == [("i-1", "retried"), ("i-2", "retried")]
    assert "InvalidTransition" in await casestream("instance", "retry", "i-1", "--reason", "x", expect=1)
    assert (await casestream("instance", "cancel", "i-2", "--reason", "x"))["status"] == "CANCELED"
    timeline = await casestream("instance", "timeline", "i-2")
    number = next(entry["number"] for entry in timeline if entry["type"] == "CANCEL_REQUESTED")
    assert (await casestream("instance", "reason", "i-2", str(number), "--reason", "complaint 7"))["reason"] == "x"
    # The first account is made, and its undo fails.
    await journeys.tell(
        StepSucceeded(instance_id="i-1", step="1", attempt=2, effect_id="e"), actors=ENGINE
    )  # fmt: skip
    await _failed(journeys, "i-1", 2)
    await casestream("instance", "cancel", "i-1", "--reason", "x")
    await _failed(journeys, "i-1", 3)
    words = tmp_path / "input.json"
    words.write_text('{"account": "4711"}')
    await casestream("instance", "propose-input", "i-1", "--file", str(words), "--reason", "x")
    proposal = (await casestream("instance", "show", "i-1"))["proposal"]["proposal"]
    assert "FourEyes" in await casestream("instance", "approve-input", "i-1", str(proposal), expect=1)
    assert (await casestream("instance", "mark-compensated", "i-1", "--reason", "by hand"))["status"] == "COMPENSATED"
    audited = await journeys.world.look("select distinct actor from audit_log where action like 'onboarding.%'")
    assert [row["actor"][:4] for row in audited] == ["cli:"]


@pytest.mark.requirement("IN-9")
async def test_an_admin_at_the_terminal_decides_a_review(journeys: Journeys, casestream: Commands) -> None:
    await journeys.start("i-1", "customer-onboarding")
    await journeys.act("i-1")
    await journeys.tell(StepSucceeded(instance_id="i-1", step="1", attempt=1, effect_id="e"), actors=ENGINE)
    for _ in range(3):
        await journeys.act("i-1")
    await _failed(journeys, "i-1", 2)
    (task,) = await casestream("review", "list", "--group", "kyc-reviewers")
    assert (await casestream("review", "show", task["work_item_id"]))["instance_id"] == "i-1"
    assert (await casestream("review", "approve", task["work_item_id"]))["state"] == "AML_PENDING"
    assert "ReviewClosed" in await casestream("review", "return", task["work_item_id"], "--reason", "x", expect=1)


@pytest.mark.requirement("IN-13")
async def test_an_operator_moves_instances_to_another_version_after_a_dry_run(
    journeys: Journeys, casestream: Commands, tmp_path: Path
) -> None:
    await journeys.start("i-1")
    text = (ROOT / "definitions" / "flows" / "card-onboarding.v1.yaml").read_text().replace("version: 1", "version: 2")
    (tmp_path / "card-onboarding.v2.yaml").write_text(text)
    await casestream("flow", "import", str(tmp_path / "card-onboarding.v2.yaml"))
    move = ("instance", "migrate", "--flow", "card-onboarding", "--from", "1", "--to", "2", "--reason", "a new law")
    assert [one["result"] for one in await casestream(*move)] == ["fits"]
    assert (await journeys.row("i-1"))["flow_version"] == 1
    assert [one["result"] for one in await casestream(*move, "--execute")] == ["moved"]
    assert (await journeys.row("i-1"))["flow_version"] == 2
    assert await casestream(*move) == []
    assert "UnknownFlow" in await casestream(*move[:-3], "9", "--reason", "x", expect=1)
