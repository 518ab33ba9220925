"""Base class and field types of every payload model.

Event models ignore unknown fields (an older reader meets a newer writer); names on the wire are camelCase.
"""

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from schemas.tenants import TENANT_PATTERN


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        # A local time in year 1 or 9999 may have no UTC: a field that fails its model, no crash.
        raise ValueError("out of range in UTC") from error


# PostgreSQL text cannot hold NUL; every string that reaches a text column is checked here, at the door.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f|]+$")]
EventIdentity = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
CODE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"
Code = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=CODE_PATTERN)]
FieldPath = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
TenantId = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
# Counters end where PostgreSQL's bigint does.
Count = Annotated[int, Field(ge=0, lt=2**63)]
Version = Annotated[int, Field(ge=1, lt=2**63)]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]


class Payload(BaseModel):
    """A message's data. `TYPE` is the CloudEvents type; `SCHEMA_VERSION` rises with a reader of all older ones."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, ser_json_timedelta="iso8601"
    )
    TYPE: ClassVar[str]
    SCHEMA_VERSION: ClassVar[int] = 1

    schema_version: Version = 1

    @classmethod
    def dataschema(cls) -> str:
        """The absolute URI that `ce_dataschema` carries."""
        return f"urn:casestream:schema:{cls.TYPE}:v{cls.SCHEMA_VERSION}"

    def to_json(self) -> bytes:
        """The wire form; nulls are left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
