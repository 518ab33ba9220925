"""The chapter of journeys: its oracle against the flows' files, its faults, and books that tell when something is missing."""

from collections import Counter
from io import StringIO
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import pytest
import yaml
from rich.console import Console

from demo.onboarding.applicants import FATES, SHARES, Applicant, applicants
from demo.onboarding.books import KILLED, JourneyBooks, read_calls
from demo.onboarding.handlers import FAULTS, HANDLERS, fault_of
from demo.onboarding.payments import Payments
from demo.onboarding.preparing import DEFINITIONS, EXPIRES, VERSION, copies
from demo.onboarding.report import show_journeys
from domain.onboarding.flows.files import read_files

NAMESPACE = uuid5(NAMESPACE_DNS, "demo.example")


def books(everybody: list[Applicant] | None = None) -> JourneyBooks:
    """As they are when everything went as it must."""
    made = JourneyBooks(everybody or applicants("r"), Payments(0, Path("no-book")))
    for one in made.everybody:
        made.journeys[one.user_id] = f"i-{one.user_id}"
        made.ends[one.flow, one.fate.name, one.fate.status] += 1
        if one.fate.seen is not None:
            made.rows[one.flow, one.fate.seen] += 1
    made.calls = {
        f"i-{one.user_id}": [(handler, f"{one.user_id}/{handler}") for handler in one.fate.calls] for one in made.everybody
    }
    made.decided = Counter(one.fate.decision for one in made.everybody if one.fate.decision)
    made.kills = dict.fromkeys(KILLED, 1.0)
    made.replayed = {"sound": True, "events": 9, "decisions": 4, "divergence": None}
    return made


def test_five_hundred_come_and_every_fate_is_among_them() -> None:
    everybody = applicants("r")
    assert Counter(one.flow for one in everybody) == SHARES
    assert sum(SHARES.values()) == 500
    assert {(one.flow, one.fate.name) for one in everybody} == {(flow, fate.name) for flow in FATES for fate in FATES[flow]}
    assert len({one.user_id for one in everybody}) == 500
    assert not {one.user_id for one in everybody} & {one.user_id for one in applicants("s")}


@pytest.mark.parametrize("flow", sorted(FATES))
def test_the_oracle_names_handlers_in_an_order_that_the_flow_has(flow: str) -> None:
    """Forward handlers in the order of the file's transitions, then the compensations of what was done, the latest first."""
    moves = yaml.safe_load((DEFINITIONS / f"{flow}.v1.yaml").read_text(encoding="utf-8"))["transitions"]
    order = [move["handler"] for move in moves if "handler" in move]
    undone_by = {move["handler"]: move["compensation"] for move in moves if "compensation" in move}
    for fate in FATES[flow]:
        forward = [call for call in fate.calls if call in order]
        assert forward == order[: len(forward)]
        back = [undone_by[handler] for handler in reversed(forward) if handler in undone_by]
        assert list(fate.calls[len(forward) :]) == (back if fate.status == "COMPENSATED" else [])


def test_the_copies_have_no_error_and_change_only_the_pace(tmp_path: Path) -> None:
    files = read_files(copies(tmp_path, "http://127.0.0.1:1/payouts"), frozenset(HANDLERS))
    assert [[one.problem for one in file.findings if one.problem.severity == "error"] for file in files] == [[], [], []]
    definitions = [file.definition for file in files if file.definition is not None]
    assert {(one.flow, one.version) for one in definitions} == {(flow, VERSION) for flow in SHARES}
    expiring = [
        state.name for one in definitions for state in one.states if state.sla and state.sla.expires_after.seconds == 25
    ]
    assert (expiring, EXPIRES) == (["PHONE_ENTERED", "PROFILE_COMPLETED"], "25s")


def test_of_a_hundred_first_attempts_so_many_meet_each_fault() -> None:
    met = Counter(fault_of(str(uuid5(NAMESPACE, str(number)))) for number in range(20_000))
    for fault, share in FAULTS.items():
        assert abs(met[fault] - 200 * share) < 200


def test_books_that_balance_say_so() -> None:
    console = Console(file=StringIO(), width=200)
    assert show_journeys(console, books())


def _undone(made: JourneyBooks) -> str:
    return next(f"i-{one.user_id}" for one in made.everybody if one.fate.status == "COMPENSATED" and len(one.fate.calls) > 3)


def _undo_in_order(made: JourneyBooks) -> None:
    calls = list(made.calls[_undone(made)])
    made.calls = {**made.calls, _undone(made): [*calls[:4], *reversed(calls[4:])]}


def _twice(made: JourneyBooks) -> None:
    calls = list(made.calls[_undone(made)])
    made.calls = {**made.calls, _undone(made): [calls[0], (calls[0][0], "another"), *calls[1:]]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made.ends.update({("card-onboarding", "hit of AML, all undone", "COMPLETED"): 1}),
        lambda made: made.rows.subtract([("loan-application", "PAID_OUT")]),
        lambda made: made.decided.subtract(["approve"]),
        lambda made: made.kills.pop("postgresql"),
        lambda made: made.replayed.update(sound=False),
        lambda made: made.refused.update(["action: ConflictState"]),
        lambda made: made.calls.popitem(),
        _undo_in_order,
        _twice,
    ],
    ids=["an end", "a row", "a decision", "no kill", "replay", "a refusal", "no calls", "undone in order", "another id"],
)
def test_books_tell_what_is_wrong(spoil: object) -> None:
    made = books()
    assert callable(spoil)
    spoil(made)
    assert made.problems()
    assert not show_journeys(Console(file=StringIO(), width=200), made)


def test_the_same_call_again_is_the_same_step() -> None:
    calls = read_calls(["i-1 create-account a", "i-2 create-account b", "i-1 create-account a", "i-1 create-wallet c"])
    assert calls == {
        "i-1": [("create-account", "a"), ("create-account", "a"), ("create-wallet", "c")],
        "i-2": [("create-account", "b")],
    }
    made = books()
    made.calls = calls
    assert (made.noted, made.steps) == (4, 3)
