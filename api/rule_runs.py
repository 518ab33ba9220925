"""Runs of a rule over HTTP (RU-12, RU-14): the log, one run with what each condition saw, and cancelling one."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.rule_access import with_rule
from api.rule_inputs import OfStatus, Page, RuleId, RunId, Size
from api.views import view_of
from domain.rules import reads
from domain.rules.store import StoredRule
from runtime.sql import Connection
from schemas.errors import Rejected


async def list_runs(
    request: DoorRequest, rule_id: RuleId, page: Page = 1, size: Size = 50, status: OfStatus = None
) -> Response:
    """The rule's runs, newest first."""

    async def answer(conn: Connection, rule: StoredRule) -> Response:
        rows, total = await reads.list_runs(conn, rule.tenant_id, rule.id, status=status, page=page, size=size)
        return json_answer({"items": [_run_view(row) for row in rows], "page": page, "size": size, "total": total})

    return await with_rule(request, rule_id, answer)


async def get_run(request: DoorRequest, rule_id: RuleId, run_id: RunId) -> Response:
    """One run: what each condition saw, and what became of each action."""

    async def effect(conn: Connection) -> Response:
        row = await reads.find_run(conn, request.principal.tenant_id, str(rule_id), str(run_id))
        return json_answer(_run_detail(row)) if row else request.refuse(no_run(run_id))

    return await request.in_transaction(effect)


async def cancel_run(request: DoorRequest, rule_id: RuleId, run_id: RunId) -> Response:
    """What of the run has not begun never will; calls in flight go on."""

    async def effect(conn: Connection) -> Response:
        now: datetime = await conn.fetchval("select cs_now()")
        outcome = await reads.cancel_run(conn, request.door.outbox, request.caller(), str(rule_id), str(run_id), now)
        return request.refuse(outcome) if isinstance(outcome, Rejected) else json_answer(_run_detail(outcome))

    return await request.in_transaction(effect, key_required=False)


_run_view = view_of(answers.RunView)


def _run_detail(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: json.loads(row[column]) if row[column] else None for name, column in _TEXTS}
    return {**_run_view(row), **told, "causation": list(row["causation"])}


_TEXTS = (("input", "input_data"), ("output", "output_data"), ("trace", "trace"))


def no_run(run_id: RunId | None) -> Rejected:
    """The answer where a rule has no such run."""
    return Rejected("RunNotFound", f"There is no run {run_id} of this rule.")
