"""What callers may send about secrets, message templates and notifications."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field, StrictInt, StringConstraints

from api.inputs import Input
from domain.secrets.naming import LONGEST_VALUE, NAME, VALUE
from schemas.models import Text

_LAST_VERSION = 2**31 - 1


class SecretPut(Input):
    """A secret's new value. The one before lives on so long beside it, so that receivers can change over; 0: not at all."""

    value: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_VALUE, pattern=VALUE)]
    previous_lives_seconds: Annotated[StrictInt, Field(ge=0, le=30 * 86_400)] = 86_400


class TemplatePut(Input):
    """A message template's next version. `{{path}}` stands for a value of the entity or a variable of the action."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    subject: Annotated[Text, Field(min_length=1, max_length=1_000, examples=["Welcome, {{fullName}}"])]
    text: Annotated[Text, Field(max_length=65_536)]
    html: Annotated[Text, Field(max_length=65_536)] | None = None
    reason: Annotated[Text, Field(max_length=1_000)] = ""


class PreviewRequest(Input):
    """Values to fill a template with; nothing is sent and nothing is kept."""

    values: dict[str, Any] = Field(default_factory=dict)
    version: Annotated[StrictInt, Field(ge=1, le=_LAST_VERSION)] | None = None


SecretName = Annotated[str, Path(min_length=1, max_length=100, pattern=NAME, description="Name of the secret")]
TemplateId = Annotated[
    str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$", description="Id of the template")
]
TemplateVersion = Annotated[int | None, Query(alias="version", ge=1, le=_LAST_VERSION, description="The newest when absent")]
NotificationId = Annotated[UUID, Path(description="Id of the notification")]
