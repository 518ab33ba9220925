"""What pydantic finds wrong with the shape of a rule, as problems with a pointer and a sentence in both languages."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.rules.problems import Problem, pointer_to
from domain.shape_words import Sentences, words_of


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
    english, vietnamese = words_of(item, _OF_RULES)
    return {"what": english, "what_vi": vietnamese}


_OF_RULES: Sentences = {
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
