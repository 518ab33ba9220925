"""What an effect that leaves a rule's run asks for: mails, webhooks, notifications, as they stand in the effect's request.

Everything is rendered already; only the secrets of a webhook's headers are markers, which the sender resolves (trap 33).
Whoever plans such an effect builds its request from these models (`to_request`), and the sender reads it with them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from schemas.models import Identifier, Text

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Priority = Literal["LOW", "MEDIUM", "NORMAL", "HIGH", "CRITICAL", "URGENT"]
# The 20 kB of Standard Webhooks 1.0.
PAYLOAD_BYTES = 20_000
MOST_RECIPIENTS = 100

# No token of RFC 9110 is longer in practice; a secret's marker has control characters, which only the sender may see.
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]


class Request(BaseModel):
    """Base of every request: camelCase as JSON, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def to_request(self) -> dict[str, Any]:
        """The effect's request."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


class WebhookRequest(Request):
    """An HTTP call. `body` is sent byte by byte; without a Content-Type header it is JSON.

    `signingSecret` names the tenant's secret that signs; left out it is `webhook_signing`, where the tenant has it.
    """

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    method: Method = "POST"
    headers: Annotated[dict[HeaderName, str], Field(max_length=50)] = Field(default_factory=dict)
    body: str = ""
    signing_secret: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")] | None = None


class EmailRequest(Request):
    """A mail in text and, if wanted, HTML. Addresses are bare: `somebody@example.com`."""

    to: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_RECIPIENTS)]
    cc: Annotated[tuple[str, ...], Field(max_length=MOST_RECIPIENTS)] = ()
    reply_to: str | None = None
    subject: str
    text: str
    html: str | None = None


class NotificationRequest(Request):
    """A notification inside the application, for each of these users."""

    title: Annotated[Text, Field(min_length=1, max_length=1_000)]
    message: Annotated[Text, Field(max_length=65_536)]
    to_users: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=100)]
    priority: Priority = "NORMAL"
    action_url: Annotated[Text, Field(max_length=2_048)] | None = None
