"""Why a rule fired or did not, in one sentence: the first thing that decided. Pure.

The conditions' own story is the trace's; here is what lies around them: was there such a version, was it on, is its trigger
for such a change, and did a run really come of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.rules.problems import Language
from domain.rules.store import RuleVersion
from domain.rules.trying import Trial

Code = Literal["too-young", "off", "other-trigger", "conditions", "held-before", "ran", "held-back"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What decided."""

    code: Code

    def sentence(self, language: Language) -> str:
        """In words."""
        english, vietnamese = SENTENCES[self.code]
        return vietnamese if language == "vi" else english


def verdict_of(trial: Trial, version: RuleVersion, at: datetime, *, ran: bool) -> Verdict:
    """`at`: when the event happened; `ran`: whether a run of it exists."""
    if ran:
        return Verdict("ran")
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
        "Its conditions are met, but there is no run: it is not read yet, a limit or the loop guard held it, or it has no id.",
        "Điều kiện thoả nhưng không có lần chạy: chưa được đọc, bị giới hạn hoặc chặn vòng lặp, hoặc chưa cho biết id.",
    ),
}
