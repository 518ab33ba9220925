"""Handlers of the flows that the release brings: they do nothing outside, and answer by what the case says.

| the case says | what happens |
|---|---|
| `"document": "unreadable"` | the machine cannot read the card: people are asked |
| `"aml": "hit"` | AML says no |
| `"score": "bad"` | the loan is refused |
"""

from collections.abc import Mapping

from domain.onboarding.handlers import Handler, NotDone, StepCall, StepResult


async def _done(call: StepCall) -> None:
    """Nothing to do, nothing to tell."""


async def _numbered(call: StepCall) -> StepResult:
    """Something was made; its number is that of the step, so that repeating it makes it once."""
    return StepResult({call.handler: str(call.idempotency_id)})


async def _read_document(call: StepCall) -> None:
    if call.case.get("document") == "unreadable":
        raise NotDone("unreadable", retryable=False)


async def _aml(call: StepCall) -> StepResult:
    return StepResult(outcome="REJECTED" if call.case.get("aml") == "hit" else None)


async def _score(call: StepCall) -> StepResult:
    return StepResult(outcome="REFUSED" if call.case.get("score") == "bad" else None)


HANDLERS: Mapping[str, Handler] = {
    "verify-otp": _done,
    "ekyc-check": _read_document,
    "aml-check": _aml,
    "create-account": _numbered,
    "create-wallet": _numbered,
    "activate-card": _numbered,
    "send-welcome": _done,
    "credit-score": _score,
    "reserve-funds": _numbered,
    "UNDO_ACCOUNT_CREATION": _done,
    "UNDO_WALLET_CREATION": _done,
    "UNDO_CARD_ACTIVATION": _done,
    "UNDO_FUND_RESERVATION": _done,
}
