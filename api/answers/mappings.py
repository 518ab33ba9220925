"""Answers about mappings. A class's words (`definition`) are those of the files under definitions/cases."""

from datetime import datetime
from typing import Literal

from api.answers.building_blocks import Answer, FieldError

Words = dict[str, object]
SourceKind = Literal["file", "db"]
Change = Literal["added", "changed", "removed"]


class ProvenanceView(Answer):
    """Who said it: S4's four words."""

    source_class: str
    source_kind: SourceKind
    source_module: str
    source_location: str


class MappingSummary(Answer):
    """A class in the list. `version` is the enabled one in the database; null while the file counts."""

    class_name: str
    parent: str | None
    is_mixin: bool
    abstract: bool
    module: str | None
    source_kind: SourceKind | None
    source_location: str | None
    version: int | None
    draft_version: int | None
    revision: int


class MappingPage(Answer):
    """One page of classes by name."""

    items: list[MappingSummary]
    next_cursor: str | None


class MappingView(MappingSummary):
    """A class with its words as they count, and those of its draft."""

    definition: Words | None
    draft: Words | None


class TableChangeView(Answer):
    """A table whose rows follow from other mappings now: it needs a new version."""

    name: str
    change: Change


class MappingChanged(Answer):
    """The class after a change; warnings are for a person to look at."""

    class_name: str
    version: int
    state: Literal["draft", "enabled", "disabled"]
    revision: int
    warnings: list[FieldError]
    tables: list[TableChangeView]


class MappingVersion(Answer):
    """One version in the database."""

    version: int
    state: Literal["draft", "enabled", "disabled"]
    author: str
    reason: str
    created_at: datetime
    published_at: datetime | None
    published_by: str | None
    disabled_at: datetime | None
    disabled_by: str | None
    disabled_reason: str | None


class MappingVersionPage(Answer):
    """One page of a class's versions, newest first."""

    items: list[MappingVersion]
    next_cursor: str | None


class MappingDifference(Answer):
    """A word that differs: of the class when `column` is null; a mapping that one side lacks when `word` is null."""

    column: str | None
    word: str | None
    old: object
    new: object


class MappingDiff(Answer):
    """What differs between two wordings of a class."""

    class_name: str
    differences: list[MappingDifference]


class ResolvedColumnView(Answer):
    """The mapping that won for a column, and who said it."""

    column: str
    path: str | None
    type: str
    exposed: bool
    indexed: bool
    sensitivity: Literal["none", "mask", "hash", "encrypt"]
    provenance: ProvenanceView


class ResolvedMapping(Answer):
    """A class with all that it inherits; `ancestry` has the most specific class first."""

    class_name: str
    ancestry: list[str]
    columns: list[ResolvedColumnView]
    problems: list[FieldError]


class TablePlan(Answer):
    """A table that the class fills: the version that its mapping means, and the statements if no version has it yet."""

    name: str
    state: Literal["new", "changed", "unchanged"]
    version: int
    fingerprint: str
    statements: list[str]


class MappingDdl(Answer):
    """The tables of a class."""

    class_name: str
    tables: list[TablePlan]


class FoundValue(Answer):
    """A value as JSON text, what the column would hold, or why it cannot. Masked: the text says nothing."""

    json_type: str
    value: str
    converted: str | None
    unfit: str | None
    masked: bool


class CheckedRecord(Answer):
    """What the path finds in one record. `stopped`: the look took too long or too much memory, so there is no answer."""

    case_id: str
    version: int
    stored_at: datetime
    outcome: Literal["value", "missing", "null", "unreadable", "exhausted", "stopped"]
    stopped: Literal["time", "memory", "failure"] | None
    count: int
    values: list[FoundValue]


class PathStatistics(Answer):
    """What the path finds in the newest records: how often `missing`, `null`, or a value of which JSON type."""

    records: int
    outcomes: dict[str, int]
    unfit: int
    not_opened: int
    stopped: Literal["time", "memory", "failure"] | None


class DdlPreview(Answer):
    """What mapping the path to the column would do."""

    tables: list[TablePlan]
    problems: list[FieldError]


class PathChecked(Answer):
    """A path, tried on real records of the caller's tenant."""

    class_name: str
    path: str
    type: str | None
    record: CheckedRecord | None
    statistics: PathStatistics
    columns: list[ResolvedColumnView]
    preview: DdlPreview | None
