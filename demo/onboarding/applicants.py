"""Who applies in the chapter, and what must become of each: counted by hand from the flows' files, with no code of the product.

| flow | of ten applicants |
|---|---|
| customer-onboarding | two have an unreadable card: a person approves one; one is a hit of AML; one never comes back |
| card-onboarding | two are a hit of AML, after account, wallet and card; one never comes back |
| loan-application | two have a bad score, two are rejected by the officer, two decline the offer, four are paid out |
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHARES = {"customer-onboarding": 250, "card-onboarding": 150, "loan-application": 100}
GROUPS = {"customer-onboarding": "kyc-reviewers", "loan-application": "loan-officers"}
_CUSTOMER = ("verify-otp", "ekyc-check", "aml-check", "create-account", "send-welcome")
_CARD = ("create-account", "create-wallet", "activate-card", "aml-check")
_CARD_UNDONE = ("UNDO_CARD_ACTIVATION", "UNDO_WALLET_CREATION", "UNDO_ACCOUNT_CREATION")


@dataclass(frozen=True, slots=True)
class Fate:
    """`said`: what the customer's data must say for it. `decision`: of whoever is asked. `calls`: handlers, in order.

    `seen`: the state in which analysts see the journey at last, which is that of its last persist point; None: not at all.
    """

    name: str
    status: str
    calls: tuple[str, ...]
    said: Mapping[str, Any] = field(default_factory=dict)
    decision: str | None = None
    comes_back: bool = True
    seen: str | None = "COMPLETED"


_DONE = Fate("served by machines", "COMPLETED", _CUSTOMER)
_UNREADABLE = {"document": "unreadable"}
_CARD_DONE = Fate("served by machines", "COMPLETED", _CARD)
_GONE = Fate("never came back", "CANCELED", (), comes_back=False, seen=None)
_BAD = Fate("bad score", "REJECTED", ("credit-score",), {"score": "bad"}, seen="DECLINED")
_REFUSED = Fate("rejected by a person", "REJECTED", ("credit-score",), decision="reject", seen="DECLINED")
_RESERVED = ("credit-score", "reserve-funds")
_DECLINED = Fate("offer declined", "COMPENSATED", (*_RESERVED, "UNDO_FUND_RESERVATION"), decision="approve", seen="DECLINED")
_PAID = Fate("paid out", "COMPLETED", (*_RESERVED, "pay-out"), decision="approve", seen="PAID_OUT")
_AML_HIT = Fate("hit of AML, all undone", "COMPENSATED", _CARD + _CARD_UNDONE, {"aml": "hit"}, seen="AML_REJECTED")
FATES: Mapping[str, tuple[Fate, ...]] = {
    "customer-onboarding": (
        Fate("approved by a person", "COMPLETED", _CUSTOMER, _UNREADABLE, "approve"),
        Fate("rejected by a person", "REJECTED", _CUSTOMER[:2], _UNREADABLE, "reject", seen="REJECTED"),
        Fate("hit of AML", "REJECTED", _CUSTOMER[:3], {"aml": "hit"}, seen="REJECTED"),
        _GONE,
        *[_DONE] * 6,
    ),
    "card-onboarding": (_AML_HIT, _AML_HIT, _GONE, *[_CARD_DONE] * 7),
    "loan-application": (_BAD, _BAD, _REFUSED, _REFUSED, _DECLINED, _DECLINED, *[_PAID] * 4),
}


@dataclass(frozen=True, slots=True)
class Applicant:
    """One customer of this run. His user id is his own, so that every journey has another subject."""

    user_id: str
    flow: str
    fate: Fate

    @property
    def data(self) -> dict[str, Any]:
        """What he says of himself."""
        return {"fullName": "Nguyễn Văn An", **self.fate.said}


def applicants(run: str, shares: Mapping[str, int] = SHARES) -> list[Applicant]:
    """All of them; who never comes back comes first, so that his time is over when the others are served."""
    found = [
        Applicant(f"{flow.partition('-')[0]}-{number}-{run}", flow, FATES[flow][number % 10])
        for flow, share in shares.items()
        for number in range(share)
    ]
    return sorted(found, key=lambda one: one.fate.comes_back)


def expected(everybody: Sequence[Applicant]) -> Counter[tuple[str, str, str]]:
    """How many journeys of each flow and fate end with which status."""
    return Counter((one.flow, one.fate.name, one.fate.status) for one in everybody)


def expected_rows(everybody: Sequence[Applicant]) -> Counter[tuple[str, str]]:
    """How many journeys of each flow analysts see at last in which state."""
    return Counter((one.flow, one.fate.seen) for one in everybody if one.fate.seen is not None)


def steps_of(number: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a customer of customer-onboarding says, step by step, after he gave his phone number."""
    yield "otp", {"otp": "123456"}
    yield "profile", {"email": f"{number}@demo.example"}
    yield "documents", {"idNumber": "079555010012"}
    yield "consent", {"consent": True}
