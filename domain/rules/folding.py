"""Outcomes of actions become the next step of their runs, in the transaction that records them (effects' owner fold).

1. lock the runs, in one order; 2. fold the outcomes; 3. promote or skip the actions behind them; 4. write the runs, their
statistics, and RuleRunFinished for each that ended.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.effects.commands import promote, skip
from domain.effects.effect import Outcome, effect_id
from domain.outbox import Outbox, OutboxEvent
from domain.rules import run_store
from domain.rules.admission import link
from domain.rules.publishing import run_finished
from domain.rules.run_store import RunKey, StoredRun
from domain.rules.runs import FINAL, Progress, Result, Run, settle
from domain.rules.starting import OWNER
from runtime.sql import Connection
from schemas.rule_events import RuleRunFinished
from schemas.rules import TriggerType

_STATUSES: dict[str, Literal["SUCCESS", "FAILED", "CANCELLED"]] = {
    "succeeded": "SUCCESS",
    "failed": "FAILED",
    "skipped": "CANCELLED",
    "canceled": "CANCELLED",
}


class RunFold:
    """The owner of rule runs' effects."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __call__(self, conn: Connection, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Fold these outcomes into their runs."""
        results: defaultdict[RunKey, dict[int, Result]] = defaultdict(dict)
        for outcome in outcomes:
            results[outcome.tenant_id, outcome.owner_id][outcome.index] = _result(outcome)
        runs = await run_store.lock_runs(conn, results)
        steps = [(runs[key], settle(runs[key].run, results[key])) for key in sorted(runs)]
        moved = [(stored, progress) for stored, progress in steps if progress.run != stored.run]
        await _promote(conn, moved)
        await skip(conn, [_effect(stored, index) for stored, progress in moved for index in progress.skipped], "stopped")
        await run_store.save_runs(conn, [(stored, progress.run) for stored, progress in moved], now)
        await self._outbox.append(
            conn, [finished_event(stored, progress.run, now) for stored, progress in moved if progress.run.status in FINAL]
        )


def finished_event(stored: StoredRun, run: Run, now: datetime) -> OutboxEvent:
    """What the world hears of a run that ended."""
    told = RuleRunFinished(
        run_id=stored.id,
        rule_id=stored.rule_id,
        rule_version=stored.rule_version,
        entity_type=stored.entity_type,
        entity_id=stored.entity_id,
        trigger_type=TriggerType(stored.trigger_type),
        status=run.status,
        actions_total=len(run.actions),
        actions_completed=run.count("SUCCESS"),
        actions_failed=run.count("FAILED"),
        actions_skipped=run.count("SKIPPED", "CANCELLED"),
        finished_at=now,
    )
    return run_finished(told, stored.tenant_id, link(stored.rule_id))


def _result(outcome: Outcome) -> Result:
    return Result(_STATUSES[outcome.result], outcome.code)


async def _promote(conn: Connection, moved: Sequence[tuple[StoredRun, Progress]]) -> None:
    await promote(
        conn,
        [
            (*_effect(stored, index), float(progress.run.actions[index].delay_seconds))
            for stored, progress in moved
            for index in progress.promoted
        ],
    )


def _effect(stored: StoredRun, index: int) -> tuple[str, UUID]:
    return (stored.tenant_id, effect_id(OWNER, stored.id, index, ""))
