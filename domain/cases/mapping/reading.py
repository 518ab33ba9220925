"""What a mapping's path makes: one value, a list of values, or a row for each element of a list."""

from dataclasses import dataclass
from functools import lru_cache

from domain.cases.path_grammar import parse_path
from domain.cases.path_syntax import Name, Wildcard
from domain.cases.paths import compile_path


@dataclass(frozen=True, slots=True)
class Reading:
    """`child_prefix` is the list of which each element makes a row, `list_name` the last name in it."""

    many: bool
    child_prefix: str | None
    list_name: str | None
    wildcards: int


@lru_cache(maxsize=4096)
def reading_of(path: str) -> Reading:
    """Raises PathRefused."""
    compiled = compile_path(path)
    segments = parse_path(path).segments
    stars = [at for at, segment in enumerate(segments) if any(isinstance(step, Wildcard) for step in segment)]
    before = segments[: stars[0]] if stars else ()
    names = [step.name for segment in before for step in segment if isinstance(step, Name)]
    return Reading(compiled.many, compiled.child_prefix, names[-1] if names else None, len(stars))
