"""The operations of operators of onboarding (WF-15, WF-3): their part of the table in `api.routes`."""

from api import answers, onboarding_admin, onboarding_orders
from api.door import Endpoint, Route
from api.onboarding_admin import PATH, REPLAY
from domain.onboarding.actors import MAY_OPERATE, MAY_WATCH

_INSTANCE = PATH + "/{instance_id}"
_COMPENSATION = _INSTANCE + "/compensation"
_FORMS = {200: {"content": {kind: {"schema": {"type": "string"}} for kind in ("image/svg+xml", "text/plain")}}}
_REFUSALS = ("InvalidTransition", "ConflictState")


def _order(path: str, endpoint: Endpoint, *problems: str, roles: frozenset[str] = MAY_OPERATE) -> Route:
    return Route(
        "POST",
        path,
        endpoint,
        roles,
        answers.InstanceOperated,
        problems=(*_REFUSALS, *problems),
        takes=("Idempotency-Key", "If-Match"),
        gives=("ETag", "Idempotency-Replayed"),
        missing="InstanceNotFound",
    )


ONBOARDING_ADMIN_ROUTES: tuple[Route, ...] = (
    # Before the route of one instance: "dashboard" and "incidents" are no ids.
    Route("GET", PATH + "/dashboard", onboarding_admin.onboarding_dashboard, MAY_WATCH, answers.OnboardingDashboard),
    Route(
        "GET",
        PATH + "/incidents",
        onboarding_orders.list_onboarding_incidents,
        MAY_WATCH,
        answers.InstanceIncidentPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route(
        "POST",
        PATH + "/incidents/retry",
        onboarding_orders.retry_onboarding_incidents,
        MAY_OPERATE,
        answers.BulkRetried,
    ),
    Route(
        "POST",
        PATH + "/migrations",
        onboarding_orders.migrate_onboarding,
        MAY_OPERATE,
        answers.Migrated,
        problems=("UnknownFlow",),
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed",),
    ),
    Route(
        "GET",
        PATH + "/definition/{flow_version}",
        onboarding_admin.get_onboarding_definition,
        MAY_WATCH,
        answers.FlowGraph,
        missing="FlowNotFound",
        responses=_FORMS,
    ),
    Route("GET", PATH, onboarding_admin.list_onboarding, MAY_WATCH, answers.InstancePage),
    Route(
        "GET",
        _INSTANCE,
        onboarding_admin.get_onboarding,
        MAY_WATCH,
        answers.InstanceDetail,
        gives=("ETag",),
        missing="InstanceNotFound",
    ),
    Route(
        "GET",
        _INSTANCE + "/timeline",
        onboarding_admin.get_onboarding_timeline,
        MAY_WATCH,
        answers.Timeline,
        problems=("InvalidCursor",),
        gives=("Link",),
        missing="InstanceNotFound",
    ),
    Route(
        "GET",
        _INSTANCE + "/reasons/{event_number}",
        onboarding_orders.read_onboarding_reason,
        MAY_OPERATE,
        answers.ReasonGiven,
        problems=("SubjectErased",),
        takes=("Access-Reason",),
        missing="ReasonNotFound",
    ),
    _order(_INSTANCE + "/cancel", onboarding_orders.cancel_onboarding, "InstanceEnded", roles=MAY_WATCH),
    _order(_INSTANCE + "/retry", onboarding_orders.retry_onboarding),
    _order(_COMPENSATION + "/mark-done", onboarding_orders.mark_compensated),
    _order(_COMPENSATION + "/input", onboarding_orders.propose_compensation_input),
    _order(_COMPENSATION + "/input/approve", onboarding_orders.approve_compensation_input, "FourEyes"),
    Route(
        "POST",
        REPLAY + "/{instance_id}",
        onboarding_admin.replay_onboarding,
        MAY_OPERATE,
        answers.ReplayAnswer,
        problems=("HistoryTooLong",),
        missing="InstanceNotFound",
    ),
)
