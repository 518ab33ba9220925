"""What pydantic finds wrong with the shape of a document that a person wrote, in English and Vietnamese."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

Sentences = Mapping[str, tuple[str, str]]


def words_of(item: ErrorDetails, more: Sentences) -> tuple[str, str]:
    """The finding in both languages. `more`: sentences of the subject's own kinds of errors."""
    found = more.get(item["type"]) or _SENTENCES.get(item["type"])
    english, vietnamese = found or _OTHERWISE
    context: dict[str, Any] = {name: str(value) for name, value in item.get("ctx", {}).items()}
    if found is None:
        context["message"] = item["msg"]
    return english.format_map(context), vietnamese.format_map(context)


_OTHERWISE = ("the value does not fit: {message}", "giá trị không hợp lệ: {message}")
_SENTENCES: Sentences = {
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
}
