"""What each answer of a service means for its step: again or not, and whether it may have been done."""

import pytest

from domain.effects.effect import Refused, Retry
from domain.onboarding.handlers import StepResult
from runtime.outbound import Answered, Denied, Failed
from workers.senders.step_answers import Later, Said, meaning_of


def _answered(status: int, body: bytes = b"", *, cut: bool = False) -> Answered:
    return Answered(status, {}, body, cut)


def _again(code: str, *, unknown: bool) -> Retry:
    return Retry(code, detail={"unknown": unknown})


def _over(code: str, *, unknown: bool) -> Refused:
    return Refused(code, {"retryable": False, "unknown": unknown})


# What is said -> what it means the first time, and when the same call was made before.
ANSWERS: list[tuple[Answered | Denied | Failed | Retry | Refused, Said, Said | None]] = [
    (_answered(200), StepResult(), None),
    (_answered(204), StepResult(), None),
    (_answered(200, b" \n"), StepResult(), None),
    (_answered(201, b'{"outcome": "PAID", "data": {"id": 7}, "more": 1}'), StepResult({"id": 7}, "PAID"), None),
    (_answered(202, b"whatever"), Later(), None),
    (_answered(200, b"<html>"), _over("answer-unreadable", unknown=True), None),
    (_answered(200, b"[]"), _over("answer-unreadable", unknown=True), None),
    (_answered(200, b'{"data": NaN}'), _over("answer-unreadable", unknown=True), None),
    (_answered(200, b'{"outcome": "no code of ours"}'), _over("answer-unreadable", unknown=True), None),
    (_answered(200, b'{"data": ' + b"[" * 5_000), _over("answer-unreadable", unknown=True), None),
    (_answered(200, b'{"data"', cut=True), _over("answer-too-large", unknown=True), None),
    (_answered(422, b'{"code": "no-such-account"}'), _over("no-such-account", unknown=False), None),
    (_answered(422, b"no"), _over("http-422", unknown=False), _over("http-422", unknown=True)),
    (_answered(400), _over("http-400", unknown=False), _over("http-400", unknown=True)),
    (_answered(404), _over("http-404", unknown=False), _over("http-404", unknown=True)),
    (_answered(302), _over("http-302", unknown=False), _over("http-302", unknown=True)),
    (_answered(429), _again("http-429", unknown=False), _again("http-429", unknown=True)),
    (_answered(408), _again("http-408", unknown=True), None),
    (_answered(500), _again("http-500", unknown=True), None),
    (_answered(503), _again("http-503", unknown=True), None),
    (Failed("timeout"), _again("network-timeout", unknown=True), None),
    (Failed("protocol"), _again("network-protocol", unknown=True), None),
    (Failed("connect"), _again("network-connect", unknown=False), _again("network-connect", unknown=True)),
    (Failed("name"), _again("network-name", unknown=False), _again("network-name", unknown=True)),
    (Denied("not-https"), _over("denied-not-https", unknown=False), _over("denied-not-https", unknown=True)),
    (Refused("secret-missing"), _over("secret-missing", unknown=False), _over("secret-missing", unknown=True)),
    (Retry("secrets-away"), _again("secrets-away", unknown=False), _again("secrets-away", unknown=True)),
]


@pytest.mark.requirement("WF-5")
@pytest.mark.parametrize(("said", "first", "later"), ANSWERS, ids=[str(number) for number in range(len(ANSWERS))])
def test_an_answer_has_one_meaning(said: Answered | Denied | Failed | Retry | Refused, first: Said, later: Said | None) -> None:
    assert meaning_of(said, first=True) == first
    assert meaning_of(said, first=False) == (first if later is None else later)
