"""The operations about secrets, message templates and notifications: their part of the table in `api.routes`."""

from api import answers, message_templates, notifications, tenant_secrets
from api.door import Route

_SECRETS = "/api/v1/secrets"
_TEMPLATES = "/api/v1/message-templates"
_TEMPLATE = _TEMPLATES + "/{template_id}"
_NOTIFICATIONS = "/api/v1/notifications"


def outgoing_routes(readers: frozenset[str], admins: frozenset[str]) -> tuple[Route, ...]:
    """The rows, for the roles that the table names."""
    return _secrets(admins) + _templates(readers, admins) + _notifications(readers)


def _secrets(admins: frozenset[str]) -> tuple[Route, ...]:
    return (
        Route(
            "GET",
            _SECRETS,
            tenant_secrets.list_secrets,
            admins,
            answers.SecretPage,
            problems=("InvalidCursor",),
            gives=("Link",),
        ),
        Route(
            "PUT",
            _SECRETS + "/{secret_name}",
            tenant_secrets.put_secret,
            admins,
            answers.SecretWritten,
            problems=("UnknownTenant", "SubjectErased"),
        ),
        Route(
            "DELETE",
            _SECRETS + "/{secret_name}",
            tenant_secrets.remove_secret,
            admins,
            None,
            status=204,
            missing="SecretNotFound",
        ),
    )


def _templates(readers: frozenset[str], admins: frozenset[str]) -> tuple[Route, ...]:
    return (
        Route(
            "GET",
            _TEMPLATES,
            message_templates.list_templates,
            readers,
            answers.TemplatePage,
            problems=("InvalidCursor",),
            gives=("Link",),
        ),
        Route(
            "GET",
            _TEMPLATE,
            message_templates.get_template,
            readers,
            answers.TemplateView,
            gives=("ETag",),
            missing="TemplateNotFound",
        ),
        Route(
            "PUT",
            _TEMPLATE,
            message_templates.put_template,
            admins,
            answers.TemplateWritten,
            problems=("UnknownTenant", "TemplateRefused", "IfMatchRequired"),
            takes=("If-Match",),
            gives=("ETag",),
        ),
        Route(
            "DELETE",
            _TEMPLATE,
            message_templates.remove_template,
            admins,
            None,
            status=204,
            takes=("If-Match",),
            missing="TemplateNotFound",
        ),
        Route(
            "GET",
            _TEMPLATE + "/versions",
            message_templates.list_template_versions,
            readers,
            answers.TemplateVersionPage,
            problems=("InvalidCursor",),
            gives=("Link",),
            missing="TemplateNotFound",
        ),
        Route(
            "POST",
            _TEMPLATE + "/preview",
            message_templates.preview_template,
            readers,
            answers.TemplatePreview,
            problems=("RenderRefused",),
            missing="TemplateNotFound",
        ),
    )


def _notifications(readers: frozenset[str]) -> tuple[Route, ...]:
    return (
        Route(
            "GET",
            _NOTIFICATIONS,
            notifications.list_notifications,
            readers,
            answers.NotificationPage,
            problems=("InvalidCursor",),
            gives=("Link",),
        ),
        Route(
            "POST",
            _NOTIFICATIONS + "/{notification_id}/read",
            notifications.read_notification,
            readers,
            answers.NotificationView,
            missing="NotificationNotFound",
        ),
        Route("POST", _NOTIFICATIONS + "/read-all", notifications.read_all_notifications, readers, answers.NotificationsRead),
    )
