"""Answers about secrets, message templates and notifications."""

from datetime import datetime
from uuid import UUID

from api.answers.building_blocks import Answer
from schemas.outgoing import Priority


class SecretView(Answer):
    """A secret without its value, which no answer has. `previousLiveUntil`: the value before counts until then."""

    name: str
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    previous_live_until: datetime | None


class SecretPage(Answer):
    """One page of secrets."""

    items: list[SecretView]
    next_cursor: str | None


class SecretWritten(Answer):
    """The secret and the number of its new value."""

    name: str
    version: int


class TemplateSummary(Answer):
    """A message template in a list."""

    template_id: str
    version: int
    name: str
    subject: str
    author: str
    reason: str
    created_at: datetime
    updated_at: datetime


class TemplatePage(Answer):
    """One page of message templates."""

    items: list[TemplateSummary]
    next_cursor: str | None


class TemplateView(TemplateSummary):
    """A version of a message template with its words and the paths that they read."""

    text: str
    html: str | None
    variables: list[str]


class TemplateVersionView(Answer):
    """A version of a message template."""

    version: int
    name: str
    subject: str
    text: str
    html: str | None
    author: str
    reason: str
    created_at: datetime


class TemplateVersionPage(Answer):
    """One page of versions, newest first."""

    items: list[TemplateVersionView]
    next_cursor: str | None


class TemplateWritten(Answer):
    """The template, its new version, and the paths that its words read."""

    template_id: str
    version: int
    variables: list[str]


class TemplatePreview(Answer):
    """The message as it would be. `missing`: paths without a value, which became nothing."""

    template_id: str
    version: int
    subject: str
    text: str
    html: str | None
    missing: list[str]


class NotificationView(Answer):
    """A notification of the caller."""

    notification_id: UUID
    title: str
    message: str
    priority: Priority
    action_url: str | None
    created_at: datetime
    read_at: datetime | None


class NotificationPage(Answer):
    """One page of the caller's notifications, newest first. `unreadCount` counts to 1000."""

    items: list[NotificationView]
    next_cursor: str | None
    unread_count: int


class NotificationsRead(Answer):
    """How many notifications are read now that were not, and how many still are not."""

    read_count: int
    unread_count: int
