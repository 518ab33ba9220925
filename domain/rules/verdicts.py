"""Why a rule fired or did not, in one sentence: the first thing that decided. Pure.

The conditions' own story is the trace's; here is what lies around them: was there such a version, was it on, is its trigger
for such a change, and did a run really come of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from domain.rules.admission import Reason
from domain.rules.problems import Language
from domain.rules.store import RuleVersion
from domain.rules.trying import Trial
from schemas.rules import ExecutionStatus

Code = Literal[
    "too-young", "off", "other-trigger", "conditions", "held-before", "ran", "held-back", "own-chain", "chain-depth", "rate",
    "max-executions",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What decided."""

    code: Code

    def sentence(self, language: Language) -> str:
        """In words."""
        english, vietnamese = SENTENCES[self.code]
        return vietnamese if language == "vi" else english


def verdict_of_run(run: Mapping[str, Any] | None) -> Verdict | None:
    """What a row of the log says by itself. A row that is only a sample of skipped events says nothing."""
    if run is None:
        return None
    if run["status"] != ExecutionStatus.SKIPPED:
        return Verdict("ran")
    reason = run["error_message"]
    return Verdict(reason) if reason in REASONS else None


def verdict_of(trial: Trial, version: RuleVersion, at: datetime, run: Mapping[str, Any] | None) -> Verdict:
    """`at`: when the event was sent; `run`: its row in the log, if there is one."""
    if (known := verdict_of_run(run)) is not None:
        return known
    if version.created_at > at:
        return Verdict("too-young")
    if not version.is_active:
        return Verdict("off")
    if not trial.triggered:
        return Verdict("other-trigger")
    if trial.trace.held_before:
        return Verdict("held-before")
    return Verdict("held-back" if trial.fires else "conditions")


SENTENCES: Mapping[Code, tuple[str, str]] = {
    "ran": ("It fired: there is a run of this event.", "Đã kích hoạt: có một lần chạy cho sự kiện này."),
    "too-young": (
        "It did not fire: the rule is younger than the event.",
        "Không kích hoạt: quy tắc được tạo sau sự kiện.",
    ),
    "off": ("It did not fire: this version was switched off.", "Không kích hoạt: phiên bản này đang tắt."),
    "other-trigger": (
        "It did not fire: its trigger is not for such a change.",
        "Không kích hoạt: loại trigger không dành cho thay đổi này.",
    ),
    "conditions": (
        "It did not fire: its conditions were not met; the trace says which.",
        "Không kích hoạt: điều kiện không thoả; xem chi tiết từng điều kiện.",
    ),
    "held-before": (
        "It did not fire: its conditions were met before the change too (onBecomingTrue).",
        "Không kích hoạt: trước thay đổi điều kiện cũng đã thoả (onBecomingTrue).",
    ),
    "held-back": (
        "Its conditions are met, but no run is known: it is not read yet, or its id and source were not told.",
        "Điều kiện thoả nhưng không thấy lần chạy nào: chưa được đọc, hoặc chưa cho biết id và nguồn.",
    ),
    "own-chain": (
        "It did not fire: the rule itself led to this event (loop guard).",
        "Không kích hoạt: chính quy tắc này đã dẫn đến sự kiện (chặn vòng lặp).",
    ),
    "chain-depth": (
        "It did not fire: too many rules had led to this event (loop guard).",
        "Không kích hoạt: quá nhiều quy tắc nối tiếp nhau dẫn đến sự kiện (chặn vòng lặp).",
    ),
    "rate": (
        "It did not fire: the rule had run too often for this entity within ten minutes (loop guard).",
        "Không kích hoạt: quy tắc đã chạy quá nhiều lần cho đối tượng này trong mười phút (chặn vòng lặp).",
    ),
    "max-executions": (
        "It did not fire: maxExecutionsPerEntity was reached for this entity.",
        "Không kích hoạt: đối tượng này đã đạt maxExecutionsPerEntity.",
    ),
}
REASONS: frozenset[Reason] = frozenset(get_args(Reason))
