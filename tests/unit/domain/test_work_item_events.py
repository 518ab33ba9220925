"""Events are kept for ever, so their models hold ids, codes and times only: erasing a person must not need them."""

from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import MaxLen
from pydantic import AwareDatetime, StringConstraints

from schemas.models import Code, EventIdentity, Identifier, Instant, Payload, Text
from schemas.registry import TOPICS
from schemas.types import MODELS

EVENTS = [MODELS[name] for name in TOPICS["work-items.events.v1"].types]
_CODED = {
    _constraint.pattern
    for kind in (Code, Identifier, EventIdentity)
    for _constraint in get_args(kind)
    if isinstance(_constraint, StringConstraints)
}


def _free_text(annotation: Any, metadata: tuple[Any, ...] = ()) -> bool:
    """True when a value of this type could hold what a person wrote."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *constraints = get_args(annotation)
        return _free_text(inner, (*metadata, *constraints))
    if origin in (Union, UnionType, tuple):
        return any(_free_text(part) for part in get_args(annotation) if part is not Ellipsis)
    if origin is Literal or annotation in (int, bool, float, datetime, AwareDatetime, NoneType):
        return False
    if annotation is str:
        return not any(getattr(constraint, "pattern", None) in _CODED for constraint in metadata)
    return True


@pytest.mark.requirement("WI-2", "WI-6")
@pytest.mark.parametrize("model", EVENTS, ids=lambda model: str(model.TYPE))
def test_an_event_model_holds_ids_codes_and_times_only(model: type[Payload]) -> None:
    doubtful = [name for name, field in model.model_fields.items() if _free_text(field.annotation, tuple(field.metadata))]
    assert doubtful == []


def test_the_check_finds_free_text() -> None:
    texts: list[Any] = [str, Text, Text | None, Annotated[str, MaxLen(5)], dict[str, str], tuple[Text, ...]]
    codes: list[Any] = [Code, Identifier | None, tuple[Code, ...], Literal["a"], int, Instant]
    assert [annotation for annotation in texts if not _free_text(annotation)] == []
    assert [annotation for annotation in codes if _free_text(annotation)] == []
