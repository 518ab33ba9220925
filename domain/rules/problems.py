"""What can be wrong with a rule: a code, the place as a JSON pointer, and a sentence in Vietnamese or English.

An error keeps the rule from being saved; a warning is for its author to look at. Sentences name fields, operators and what
the author wrote, and say what to write instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["vi", "en"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `pointer` is RFC 6901, from the rule's root."""

    pointer: str
    code: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return "warning" if self.code in WARNINGS else "error"

    def sentence(self, language: Language = "en") -> str:
        """The finding in words."""
        english, vietnamese = SENTENCES[self.code]
        return (vietnamese if language == "vi" else english).format_map(self.params)


def errors(problems: list[Problem]) -> list[Problem]:
    """What keeps the rule from being saved."""
    return [problem for problem in problems if problem.severity == "error"]


def pointer_to(*steps: str | int) -> str:
    """A JSON pointer from its steps."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


WARNINGS = frozenset({"mixed-joining", "never-true", "comparison-ignored", "value-ignored", "no-actions"})

# code -> (English, Vietnamese). The names in braces are the problem's params.
SENTENCES: Mapping[str, tuple[str, str]] = {
    "shape": ("{what}", "{what_vi}"),
    "condition-empty": (
        "a condition has a fieldName and an operator, or a group of conditions",
        "điều kiện phải có fieldName và operator, hoặc có group gồm các điều kiện",
    ),
    "condition-and-group": (
        "a group has only its conditions and a logicalOperator; take away {names}",
        "group chỉ có các điều kiện con và logicalOperator; hãy bỏ {names}",
    ),
    "group-empty": ("the group has no condition", "group không có điều kiện nào"),
    "too-deep": ("groups are nested deeper than {most}", "group lồng nhau quá {most} cấp"),
    "too-many-conditions": ("a rule has at most {most} conditions", "một quy tắc có nhiều nhất {most} điều kiện"),
    "old-comparison": (
        "checkOldValue needs oldValueComparison: CHANGED, CHANGED_TO, CHANGED_FROM, WAS or WAS_NOT",
        "checkOldValue cần oldValueComparison: CHANGED, CHANGED_TO, CHANGED_FROM, WAS hoặc WAS_NOT",
    ),
    "comparison-conflict": (
        "operator says {operator} and oldValueComparison says {comparison}; keep one",
        "operator là {operator} còn oldValueComparison là {comparison}; hãy giữ một",
    ),
    "comparison-ignored": (
        "oldValueComparison counts only with checkOldValue: true",
        "oldValueComparison chỉ có tác dụng khi checkOldValue là true",
    ),
    "path": (
        "{text} is no path ({reason}): write status, address.city, lines[0].sku or ['name.with.dots']",
        "{text} không phải đường dẫn ({reason}): hãy viết status, address.city, lines[0].sku hoặc ['tên.có.dấu.chấm']",
    ),
    "unknown-field": ("{entity_type} has no field {field}", "{entity_type} không có trường {field}"),
    "operator-type": (
        "{operator} does not fit valueType {type}: it fits {legal}",
        "{operator} không dùng được với valueType {type}: chỉ dùng với {legal}",
    ),
    "value-missing": ("{operator} needs a value", "{operator} cần có value"),
    "value-ignored": ("{operator} looks at no value", "{operator} không dùng đến value"),
    "value-unfit": ("{value} is no {type}: write {example}", "{value} không phải {type}: hãy viết {example}"),
    "value-list": (
        "{operator} needs a JSON list with at least one value, such as {example}",
        "{operator} cần một danh sách JSON có ít nhất một giá trị, ví dụ {example}",
    ),
    "value-range": (
        "BETWEEN needs a JSON list of two values, the smaller first, such as {example}",
        "BETWEEN cần một danh sách JSON gồm hai giá trị, giá trị nhỏ trước, ví dụ {example}",
    ),
    "null-matches": (
        "nullMatches says nothing beside {operator}, which asks for absence or presence itself",
        "nullMatches không có nghĩa với {operator}, vì toán tử này đã tự xét có hay không có giá trị",
    ),
    "never-true": (
        "{operator} is never met on {trigger}: nothing was changed there",
        "{operator} không bao giờ đúng với {trigger}: ở đó không có giá trị nào thay đổi",
    ),
    "mixed-joining": (
        "AND and OR are mixed without a group and are joined from left to right: {shown}. Put what belongs together in a group",
        "AND và OR trộn lẫn mà không có group nên được nối từ trái sang phải: {shown}. Hãy đưa những gì đi cùng nhau vào group",
    ),
    "trigger-field": (
        "{trigger} needs triggerField, the field to watch",
        "{trigger} cần triggerField, là trường cần theo dõi",
    ),
    "not-for-trigger": ("{name} is not for {trigger}", "{name} không dùng cho {trigger}"),
    "cron-missing": ("SCHEDULED needs a cronExpression", "SCHEDULED cần cronExpression"),
    "cron": (
        "{text} is no cron expression that ever fires: write five fields, such as 0 8 * * 1-5",
        "{text} không phải biểu thức cron có lúc chạy: hãy viết năm trường, ví dụ 0 8 * * 1-5",
    ),
    "zone": (
        "{text} is no time zone: write a name such as Asia/Ho_Chi_Minh",
        "{text} không phải múi giờ: hãy viết tên như Asia/Ho_Chi_Minh",
    ),
    "date-field-missing": ("ON_DATE_FIELD needs dateField", "ON_DATE_FIELD cần dateField"),
    "no-actions": ("the rule has no action: it will match and do nothing", "quy tắc không có hành động: khớp mà không làm gì"),
    "template": ("{reason}, at character {position}", "mẫu sai ở ký tự {position}: {reason}"),
    "template-env": (
        "{text} would read the server's environment: store the value as a secret of the tenant and write {{{{secret:NAME}}}}",
        "{text} sẽ đọc biến môi trường của máy chủ: hãy lưu giá trị làm secret và viết {{{{secret:TEN}}}}",
    ),
    "secret-place": (
        "secret {name} stands in {place}: a secret may stand in a webhook's header only",
        "secret {name} nằm ở {place}: secret chỉ được dùng trong header của webhook",
    ),
    "secret-unknown": ("the tenant has no secret {name}", "không có secret {name}"),
    "variable-unknown": (
        "{{{{{path}}}}} is unknown: {entity_type} has no field {field}",
        "{{{{{path}}}}} không tồn tại: {entity_type} không có trường {field}",
    ),
    "mail-template-unknown": ("there is no message template {id}", "không có mẫu thư {id}"),
    "mail-variable-missing": ("message template {id} needs the variable {name}", "mẫu thư {id} cần biến {name}"),
    "user-unknown": ("there is no active user {id}", "không có người dùng {id} đang hoạt động"),
    "team-unknown": ("there is no team {id}", "không có nhóm {id}"),
    "rule-unknown": ("there is no rule {id}", "không có quy tắc {id}"),
    "url": (
        "a webhook's url is https:// or http:// with a host, and its placeholders stand after the host",
        "url của webhook là https:// hoặc http:// có tên máy, và các chỗ trống phải nằm sau tên máy",
    ),
    "header-text": (
        "a header has no line break or other control character",
        "header không được có ký tự xuống dòng hay ký tự điều khiển",
    ),
    "header-reserved": ("the header {name} is written by the sender", "header {name} do hệ thống gửi tự ghi"),
}
