"""What pydantic finds wrong with the shape of a rule, as problems with a pointer and a sentence in both languages."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.rules.problems import Problem, pointer_to


def shape_problems(error: ValidationError, root: tuple[str | int, ...] = ()) -> list[Problem]:
    """Each error once, at the place that the author wrote. `root`: where the model stands in the rule."""
    found = [
        Problem(pointer_to(*root, *_place(item)), "shape", _words(item))
        for item in error.errors(include_url=False, include_input=False)
    ]
    return list({(problem.pointer, problem.params["what"]): problem for problem in found}.values())


def _place(item: ErrorDetails) -> tuple[str | int, ...]:
    # A key that is refused is told as `[key]` behind the key itself.
    return item["loc"][:-1] if item["loc"] and item["loc"][-1] == "[key]" else item["loc"]


def _words(item: ErrorDetails) -> dict[str, str]:
    english, vietnamese = _SENTENCES.get(item["type"], _OTHERWISE)
    context: dict[str, Any] = {name: str(value) for name, value in item.get("ctx", {}).items()}
    if item["type"] not in _SENTENCES:
        context["message"] = item["msg"]
    return {"what": english.format_map(context), "what_vi": vietnamese.format_map(context)}


_OTHERWISE = ("the value does not fit: {message}", "giá trị không hợp lệ: {message}")
_SENTENCES: dict[str, tuple[str, str]] = {
    "missing": ("the field is missing", "thiếu trường này"),
    "extra_forbidden": ("there is no field of this name", "không có trường nào tên như vậy"),
    "enum": ("it is not one of {expected}", "không thuộc {expected}"),
    "literal_error": ("it is not one of {expected}", "không thuộc {expected}"),
    "string_type": ("a text is expected", "cần một chuỗi văn bản"),
    "int_type": ("a whole number is expected", "cần một số nguyên"),
    "bool_type": ("true or false is expected", "cần true hoặc false"),
    "dict_type": ("a JSON object is expected", "cần một đối tượng JSON"),
    "model_type": ("a JSON object is expected", "cần một đối tượng JSON"),
    "tuple_type": ("a JSON list is expected", "cần một danh sách JSON"),
    "too_long": ("it has more than {max_length} entries", "có nhiều hơn {max_length} phần tử"),
    "too_short": ("it has fewer than {min_length} entries", "có ít hơn {min_length} phần tử"),
    "string_too_long": ("the text has more than {max_length} characters", "văn bản dài hơn {max_length} ký tự"),
    "string_too_short": ("the text has fewer than {min_length} characters", "văn bản ngắn hơn {min_length} ký tự"),
    "string_pattern_mismatch": ("the text does not have the form {pattern}", "văn bản không có dạng {pattern}"),
    "greater_than_equal": ("it is less than {ge}", "nhỏ hơn {ge}"),
    "less_than_equal": ("it is more than {le}", "lớn hơn {le}"),
    "less_than": ("it is not less than {lt}", "không nhỏ hơn {lt}"),
    "assign_twice": ("say assignToField or assignTo, not both", "chỉ dùng assignToField hoặc assignTo, không dùng cả hai"),
    "assign_direct": (
        "DIRECT names one userId or one teamId, and no userIds",
        "DIRECT cần đúng một userId hoặc một teamId, không có userIds",
    ),
    "assign_round": (
        "ROUND_ROBIN names userIds or a teamId, and no userId",
        "ROUND_ROBIN cần userIds hoặc teamId, không có userId",
    ),
    "delay_too_long": ("the longest delay is 366 days", "khoảng chờ dài nhất là 366 ngày"),
}
