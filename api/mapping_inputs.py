"""What editors of mappings may send. A class's words are read by the subject, which tells every mistake with its place at
once; here they are only an object, described as the published format describes them.
"""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field, WithJsonSchema

from api.inputs import Input
from schemas.case_classes import CaseClass
from schemas.models import Identifier, Text

CLASS_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$"
ClassName = Annotated[str, Path(max_length=200, pattern=CLASS_PATTERN, description="Name of the class")]
Which = Annotated[str, Query(pattern=r"^(file|effective|draft|[1-9][0-9]{0,8})$")]
From = Annotated[Which, Query(alias="from", description="`file`, `effective`, `draft` or a version's number")]
To = Annotated[Which, Query(alias="to", description="`file`, `effective`, `draft` or a version's number")]
WithDraft = Annotated[bool, Query(description="As it would be with the class's draft")]
Reason = Annotated[Text, Field(min_length=1, max_length=1_000)]


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references: those of a part of an OpenAPI document lead nowhere."""
    parts = schema.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return inline(parts[node["$ref"].rpartition("/")[2]])
            return {name: inline(value) for name, value in node.items()}
        return [inline(item) for item in node] if isinstance(node, list) else node

    inlined: dict[str, Any] = inline(schema)
    return inlined


Words = Annotated[dict[str, Any], WithJsonSchema(_inlined(CaseClass.model_json_schema()))]


class DraftPut(Input):
    """A class in the words of the files, and what the change is for."""

    definition: Words
    reason: Reason


class Publication(Input):
    """Why the draft is published."""

    reason: Reason


class Disabling(Input):
    """Why a version no longer counts; without a number the one that does."""

    reason: Reason
    version: Annotated[int, Field(strict=True, ge=1, lt=2**31)] | None = None


class PathCheck(Input):
    """A path to try on real records. With a column the answer shows what mapping it would do to the tables."""

    path: Annotated[Text, Field(min_length=1, max_length=2_000, examples=["$.items[0].sku"])]
    type: Annotated[Text, Field(max_length=50, examples=["numeric(12,2)"])] | None = None
    case_id: Identifier | None = None
    column: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    reason: Reason
