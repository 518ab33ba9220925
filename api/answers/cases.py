"""Answers about cases."""

from datetime import datetime
from typing import Any

from api.answers.building_blocks import Answer


class CaseStored(Answer):
    """What a persist point or a removal made of the case."""

    case_id: str
    class_name: str
    version: int
    removed: bool


class CaseView(Answer):
    """A case without its contents."""

    case_id: str
    class_name: str
    subject_id: str
    version: int
    removed: bool
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class CaseDocument(CaseView):
    """A decrypted version: `version` is the one shown, `masked` says whether sensitive fields are hidden."""

    masked: bool
    document: dict[str, Any]


class CasePage(Answer):
    items: list[CaseView]
    next_cursor: str | None


class CaseVersionView(Answer):
    """A version without its contents; a removal has no bytes."""

    version: int
    removed: bool
    sealed_bytes: int | None
    stored_at: datetime
    stored_by: str
    source: str


class CaseVersionPage(Answer):
    items: list[CaseVersionView]
    next_cursor: str | None
