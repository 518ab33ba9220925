"""Case commands and events (S4, CD-1, CD-2): snapshots travel encrypted; everything else is ids, codes and numbers.

`variables` is a JSON text and stays one: a number in it must reach the snapshot digit by digit, which no parsed form of it
promises.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.models import Code, EventIdentity, Identifier, Instant, Payload, Text, Version

CaseState = Literal["Active", "Completed", "Terminated"]
CaseAction = Literal["StoreSnapshot", "RemoveCase"]
# As S4 writes them: com.app.OrderCase.
ClassName = Annotated[Text, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$")]
BusinessKey = Annotated[Text, Field(min_length=1, max_length=500)]


class StoreSnapshot(Payload):
    """A persist point: all variables of a case as they are now (UC-01). `variables` is the JSON text of an object.

    The ids of the class tree default to `caseId`. `expectedVersion` is the version that the sender saw; 0 says that the
    case must be new.
    """

    TYPE: ClassVar[str] = "StoreSnapshot"
    case_id: Identifier
    class_name: ClassName
    subject_id: Identifier
    variables: Annotated[Text, Field(min_length=2)]
    business_key: BusinessKey | None = None
    state: CaseState | None = None
    process_instance_id: Identifier | None = None
    process_definition_id: Identifier | None = None
    parent_instance_id: Identifier | None = None
    expected_version: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    requested_by: Identifier | None = None


class RemoveCase(Payload):
    """The case is gone for its readers: a removal is a version of its own; what was stored before stays."""

    TYPE: ClassVar[str] = "RemoveCase"
    case_id: Identifier
    expected_version: Version | None = None
    requested_by: Identifier | None = None


class CaseSnapshotStored(Payload):
    """A version of a case. `snapshot` is the sealed document, format v1, in base64; a removal has none.

    One event per version: `ce_sequence` is `version`.
    """

    TYPE: ClassVar[str] = "CaseSnapshotStored"
    case_id: Identifier
    class_name: ClassName
    version: Version
    subject_id: Identifier
    removed: bool = False
    # The pattern is for other readers; ours decodes strictly, and a regular expression over all of it costs more than that.
    snapshot: Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z0-9+/]*={0,2}$"})] | None = None


class CaseCommandRefused(Payload):
    """The answer to a Kafka command that was refused. It carries no sequence: the case did not change."""

    TYPE: ClassVar[str] = "CaseCommandRefused"
    case_id: Identifier
    # As the command's envelope gave them: wider than our own ids.
    command_source: EventIdentity
    command_id: EventIdentity
    action: CaseAction
    code: Code
    version: Version | None = None
    refused_at: Instant
