"""Golden histories: what instances of the shipped flows went through, kept for ever and decided again by every later release.

`python -m tests.unit.domain.onboarding.scenarios` writes those that are not there yet. One that is there is never written anew:
if today's decisions part from it, running instances would go another way than they began.
"""

import json
from collections.abc import Callable
from pathlib import Path

from domain.onboarding.history import Recorded, read_row, row_document
from domain.onboarding.orders import RunStep
from schemas.onboarding import (
    Advance,
    CompleteInstance,
    MarkCompensated,
    RecordSideEffect,
    RecordVersion,
    Recover,
    ReopenInstance,
    RetryStep,
)
from tests.unit.domain.onboarding.giving import ID, SHIPPED, Engine

GOLDEN = Path(__file__).parent / "golden"


def _happy(engine: Engine) -> None:
    engine.act(data={"otp": "canary"})
    engine.must(RecordVersion(instance_id=ID, change_id="otp-length", lowest=1, highest=2))
    engine.must(RecordSideEffect(instance_id=ID, name="otp-generation", occurrence=0, value="canary"))
    engine.succeed(1)
    for _ in range(3):
        engine.act()
    for step in (2, 3, 4, 5):
        engine.succeed(step)


def _reviewed(engine: Engine) -> None:
    engine.later(hours=1)
    engine.fire("reminder.1")
    engine.act()
    engine.succeed(1)
    for _ in range(3):
        engine.act()
    engine.later(seconds=30)
    engine.fire("attempt.2.1")
    engine.later(seconds=10)
    engine.fire("retry.2.2")
    engine.must(Recover(instance_id=ID, cause="lease-expired", step=2, attempt=2))
    engine.fail(2, 2, code="unreadable", retryable=False)
    engine.decide("approve", edited_fields=("fullName",), data={"fullName": "canary"})
    engine.fail(2, 1, code="worker-lost", unknown=True)
    engine.fail(3, code="down", retryable=False)
    engine.must(RetryStep(instance_id=ID, reason="the service is back"), "o-1", "OPERATOR")
    engine.succeed(3, 2, outcome="REJECTED")


def _expired(engine: Engine) -> None:
    engine.later(hours=24)
    engine.fire("expiry")


def _rejected(engine: Engine) -> None:
    engine.act()
    for step in (1, 2, 3):
        engine.succeed(step)
    engine.succeed(4, outcome="REJECTED")
    while engine.instance.status == "COMPENSATING":
        (order,) = [order for order in engine.orders if isinstance(order, RunStep)]
        engine.succeed(order.step)


def _cancelled_by_hand(engine: Engine) -> None:
    engine.act()
    engine.succeed(1)
    engine.cancel()
    engine.succeed(2)
    for attempt in range(1, 7):
        engine.fail(3, attempt, code="down")
        if engine.instance.status == "COMPENSATION_FAILED":
            break
        engine.later(hours=2)
        engine.fire(f"retry.3.{attempt + 1}")
    engine.must(MarkCompensated(instance_id=ID, reason="closed in the core system"), "o-1", "OPERATOR")
    engine.succeed(4)


def _paid_out(engine: Engine) -> None:
    engine.act("SUBMIT", data={"amount": "canary"})
    engine.succeed(1)
    engine.decide("approve")
    engine.succeed(2)
    engine.act("ACCEPT")
    engine.succeed(3)


def _declined(engine: Engine) -> None:
    engine.act("SUBMIT")
    engine.fail(1, code="no-such-person", retryable=False)
    engine.decide("return")
    engine.act("SUBMIT")
    engine.succeed(2)
    engine.decide("approve", task=2)
    engine.succeed(3)
    engine.act("DECLINE")
    engine.succeed(4)


def _operator(engine: Engine, action: str) -> None:
    engine.must(Advance(instance_id=ID, action=action), "o-1", "OPERATOR")


def _closed_and_reopened(engine: Engine) -> None:
    _operator(engine, "ISSUE")
    engine.must(ReopenInstance(instance_id=ID, cycle=1))
    engine.succeed(1)
    engine.must(CompleteInstance(instance_id=ID, cycle=1))
    engine.must(ReopenInstance(instance_id=ID, cycle=2))
    _operator(engine, "HAND_OVER")


def _cleared(engine: Engine) -> None:
    _operator(engine, "CLEAR")


# File name -> flow, and what happens.
SCENARIOS: dict[str, tuple[str, Callable[[Engine], None]]] = {
    "customer-onboarding.v1.happy": ("customer-onboarding", _happy),
    "customer-onboarding.v1.reviewed": ("customer-onboarding", _reviewed),
    "customer-onboarding.v1.expired": ("customer-onboarding", _expired),
    "card-onboarding.v1.rejected-by-aml": ("card-onboarding", _rejected),
    "card-onboarding.v1.cancelled-by-hand": ("card-onboarding", _cancelled_by_hand),
    "loan-application.v1.paid-out": ("loan-application", _paid_out),
    "card-replacement.v1.closed-and-reopened": ("card-replacement", _closed_and_reopened),
    "aml-watch.v1.cleared": ("aml-watch", _cleared),
    "loan-application.v1.declined": ("loan-application", _declined),
}


def lived(name: str) -> list[Recorded]:
    """The history of a scenario, decided today."""
    flow, happens = SCENARIOS[name]
    engine = Engine.of(SHIPPED[flow])
    happens(engine)
    return engine.history


def golden(name: str) -> list[Recorded]:
    """The history as it was decided when it was shipped."""
    lines = (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [read_row(json.loads(line)) for line in lines]


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in SCENARIOS:
        path = GOLDEN / f"{name}.jsonl"
        if not path.exists():
            lines = [json.dumps(row_document(row), ensure_ascii=False) for row in lived(name)]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            print(f"wrote {path.name}: {len(lines)} events")


if __name__ == "__main__":
    main()
