"""Handlers of a bank on a bad day: a first attempt may fail, and the bank's book has every call.

Which attempt meets which fault follows from its id. The book is a file, one line per call, so that a call counts that nobody
heard the end of: `INSTANCE HANDLER IDEMPOTENCY-ID`.

| of a hundred first attempts | meet |
|---|---|
| 10 | done, but the answer is lost: nobody knows |
| 6 | not done, and the handler says so |
| 4 | a slow answer, after 0.3 s |
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from domain.onboarding.handlers import Handler, NotDone, StepCall, StepResult

BOOK = "DEMO_BANK_BOOK"
FAULTS = {"answer lost": 10, "not done": 6, "slow": 4}
SLOW_SECONDS = 0.3


def fault_of(call_id: str, faults: Mapping[str, int] = FAULTS) -> str:
    """What the first attempt of this step meets; '' for nothing."""
    place = crc32(call_id.encode()) % 100
    for fault, share in faults.items():
        if place < share:
            return fault
        place -= share
    return ""


def note(book: Path, instance_id: str, handler: str, call_id: str) -> None:
    """One line; a line of this length is written whole or not at all."""
    with book.open("a", encoding="utf-8") as lines:
        lines.write(f"{instance_id} {handler} {call_id}\n")


def _moody(handler: Handler) -> Handler:
    async def call(step: StepCall) -> StepResult | Mapping[str, Any] | None:
        fault = fault_of(str(step.idempotency_id)) if step.attempt == 1 else ""
        if fault == "not done":
            raise NotDone("busy")
        note(Path(os.environ[BOOK]), step.instance_id, step.handler, str(step.idempotency_id))
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        given = await handler(step)
        if fault == "answer lost":
            raise ConnectionResetError
        return given

    return call


async def _done(step: StepCall) -> StepResult:
    """Something was made, or undone; its number is that of the step, so that repeating it makes it once."""
    return StepResult({step.handler: str(step.idempotency_id)})


async def _read_card(step: StepCall) -> None:
    if step.case.get("document") == "unreadable":
        raise NotDone("unreadable", retryable=False)


async def _aml(step: StepCall) -> StepResult:
    return StepResult(outcome="REJECTED" if step.case.get("aml") == "hit" else None)


async def _score(step: StepCall) -> StepResult:
    return StepResult(outcome="REFUSED" if step.case.get("score") == "bad" else None)


_DOES: Mapping[str, Handler] = {
    "ekyc-check": _read_card,
    "aml-check": _aml,
    "credit-score": _score,
    **dict.fromkeys(("verify-otp", "send-welcome", "create-account", "create-wallet", "activate-card", "reserve-funds"), _done),
    **dict.fromkeys(("UNDO_ACCOUNT_CREATION", "UNDO_WALLET_CREATION", "UNDO_CARD_ACTIVATION", "UNDO_FUND_RESERVATION"), _done),
}
HANDLERS: Mapping[str, Handler] = {name: _moody(handler) for name, handler in _DOES.items()}
