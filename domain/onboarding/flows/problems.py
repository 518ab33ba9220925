"""What can be wrong with a flow definition: a code, the place, and a sentence in Vietnamese or English.

An error keeps the definition from being used; a warning is for its author to look at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.lined_yaml import Place

Language = Literal["vi", "en"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `place`: steps from the definition's root, such as ("transitions", 3, "handler")."""

    place: Place
    code: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return "warning" if self.code in WARNINGS else "error"

    def sentence(self, language: Language = "en") -> str:
        """The finding in words."""
        english, vietnamese = SENTENCES[self.code]
        return (vietnamese if language == "vi" else english).format_map(self.params)


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """What keeps the definition from being used."""
    return [problem for problem in problems if problem.severity == "error"]


WARNINGS = frozenset(
    """
    never-taken sla-unused attempt-beyond-total handler-unused reminder-unordered reminder-unused case-class-unused no-url
    url-not-https
    """.split()
)

# code -> (English, Vietnamese). The names in braces are the problem's params.
SENTENCES: Mapping[str, tuple[str, str]] = {
    "shape": ("{what}", "{what_vi}"),
    "too-long": ("the file has more than {most} characters", "tệp có nhiều hơn {most} ký tự"),
    "not-utf8": ("the file is not UTF-8", "tệp không phải UTF-8"),
    "no-yaml": ("the file is no YAML: {reason}", "tệp không phải YAML: {reason}"),
    "forbidden-character": ("the file has a character that YAML forbids", "tệp có ký tự mà YAML không cho phép"),
    "too-deep": ("it is nested too deeply for a flow", "lồng quá sâu so với một luồng"),
    "alias": (
        "aliases are not read: write it out, so that everything has a line",
        "không dùng alias: hãy viết đầy đủ để mỗi phần có dòng riêng",
    ),
    "duplicate-key": ("{key} is said twice, first in line {before}", "{key} xuất hiện hai lần, lần đầu ở dòng {before}"),
    "unfit-scalar": (
        "{value} is no value of the kind that YAML takes it for: put it in quotes",
        "{value} không đúng kiểu mà YAML hiểu: hãy đặt trong dấu nháy",
    ),
    "version-twice": (
        "{flow} version {version} is defined in {other} as well",
        "{flow} phiên bản {version} cũng được định nghĩa trong {other}",
    ),
    "state-twice": ("state {name} is defined twice", "trạng thái {name} được định nghĩa hai lần"),
    "handler-twice": ("handler {name} is declared twice", "handler {name} được khai báo hai lần"),
    "transition-twice": (
        "{state} has two transitions for {action}; give them different actions",
        "{state} có hai chuyển tiếp cho {action}; hãy đặt tên hành động khác nhau",
    ),
    "unknown-state": ("there is no state {name}", "không có trạng thái {name}"),
    "unreachable": ("state {name} cannot be reached from {initial}", "không thể đến trạng thái {name} từ {initial}"),
    "dead-end": (
        "state {name} is no end, and no transition leaves it",
        "trạng thái {name} không phải điểm kết thúc mà không có chuyển tiếp nào đi ra",
    ),
    "no-way-out": (
        "from state {name} no end can be reached: instances would go round for ever",
        "từ trạng thái {name} không đến được điểm kết thúc nào: luồng sẽ chạy vòng mãi",
    ),
    "leaves-end": ("{name} is an end; nothing leaves it", "{name} là điểm kết thúc; không thể đi tiếp"),
    "unknown-handler": (
        "handler {name} is not declared under handlers",
        "handler {name} chưa được khai báo trong handlers",
    ),
    "handler-not-installed": (
        "there is no installed python handler {name}; installed are {known}",
        "chưa cài handler python {name}; đã cài {known}",
    ),
    "no-url": (
        "handler {name} has no url: it can be called only where the setting CASESTREAM_ONBOARDING__ADDRESSES names one",
        "handler {name} không có url: chỉ gọi được khi thiết lập CASESTREAM_ONBOARDING__ADDRESSES nêu địa chỉ",
    ),
    "url-not-https": (
        "{url} is no https: it is called on a developer's machine only, and denied elsewhere",
        "{url} không phải https: chỉ gọi được trên máy phát triển, nơi khác sẽ bị từ chối",
    ),
    "unknown-topic": (
        "no handler can be asked on topic {name}; there is {known}",
        "không thể gửi yêu cầu qua topic {name}; hiện có {known}",
    ),
    "unknown-secret": (
        "the tenant has no secret {name}: set it with casestream secret set, or leave it out for webhook_signing",
        "tenant không có secret {name}: hãy đặt bằng casestream secret set, hoặc bỏ đi để dùng webhook_signing",
    ),
    "handler-unused": ("handler {name} is declared and not used", "handler {name} được khai báo nhưng không dùng"),
    "no-compensation": (
        "handler {name} has effects and the transition has no compensation: name one, or say in irreversible why not",
        "handler {name} có tác động ra ngoài mà chuyển tiếp không có compensation: hãy nêu, hoặc giải thích ở irreversible",
    ),
    "two-automatic": (
        "{state} has several transitions for SYSTEM; the engine can take only one by itself: use outcomes",
        "{state} có nhiều chuyển tiếp cho SYSTEM; hệ thống chỉ tự đi được một: hãy dùng outcomes",
    ),
    "never-taken": (
        "{action} is never taken: the engine leaves {state} by itself, by {automatic}",
        "{action} không bao giờ xảy ra: hệ thống tự rời {state} bằng {automatic}",
    ),
    "endless": (
        "{states}: automatic transitions without handlers form a circle",
        "{states}: các chuyển tiếp tự động không có handler tạo thành vòng lặp",
    ),
    "no-decision": (
        "{state} waits for a review and has no {action} for REVIEWER",
        "{state} chờ duyệt mà không có {action} cho REVIEWER",
    ),
    "not-a-decision": (
        "{state} waits for a review: only APPROVE, REJECT and RETURN of a REVIEWER leave it, not {action}",
        "{state} chờ duyệt: chỉ rời đi bằng APPROVE, REJECT, RETURN của REVIEWER, không phải {action}",
    ),
    "no-review": (
        "REVIEWER can take {action} only in a state with a review, and {state} has none",
        "REVIEWER chỉ dùng được {action} ở trạng thái có review, {state} không có",
    ),
    "no-case-class": (
        "{state} is a persist point, and the flow has no caseClass as which the case could be stored",
        "{state} là điểm lưu mà luồng không có caseClass để lưu hồ sơ",
    ),
    "case-class-unused": (
        "caseClass is said, and no state has persist: true",
        "có caseClass mà không trạng thái nào có persist: true",
    ),
    "sla-unused": (
        "nobody is waited for in {state}, so its sla never counts; a step has totalTimeout",
        "không chờ ai ở {state} nên sla không có tác dụng; bước xử lý dùng totalTimeout",
    ),
    "reminder-late": (
        "a reminder after {remind} never comes: the state expires after {expires}",
        "nhắc sau {remind} không bao giờ đến: trạng thái hết hạn sau {expires}",
    ),
    "reminder-unused": (
        "nobody is ever reminded here: say remindAfter, or onExpiry: remind",
        "ở đây không bao giờ nhắc ai: hãy ghi remindAfter hoặc onExpiry: remind",
    ),
    "unknown-template": (
        "the tenant has no message template {name}: save it with casestream message-template save",
        "tenant không có mẫu thư {name}: hãy lưu bằng casestream message-template save",
    ),
    "reminder-unordered": (
        "reminders are given in the order of time; {remind} comes too late in the list",
        "các lần nhắc phải theo thứ tự thời gian; {remind} đứng sai chỗ",
    ),
    "attempt-beyond-total": (
        "attemptTimeout is not shorter than totalTimeout, so there is never a second attempt",
        "attemptTimeout không ngắn hơn totalTimeout nên không bao giờ có lần thử thứ hai",
    ),
}
