"""Every operation of the HTTP door and who may use it: one table. A new row joins the OpenAPI document, the access matrix
and schemathesis by itself.

Roles here open the door; what an action needs beyond that is decided by its subject.
"""

from typing import Any

from api import answers, cases, directory, events, health, incidents, work_items
from api.door import Route
from api.interaction_routes import INTERACTION_ROUTES
from api.mapping_routes import MAPPING_ROUTES
from api.onboarding_admin_routes import ONBOARDING_ADMIN_ROUTES
from api.onboarding_routes import ONBOARDING_ROUTES
from api.outgoing_routes import outgoing_routes
from api.rebuild_routes import REBUILD_ROUTES
from api.review_routes import REVIEW_ROUTES
from api.rule_routes import RULE_ROUTES
from domain.cases.decisions import MAY_LIST as MAY_LIST_CASES
from domain.cases.decisions import MAY_READ as MAY_READ_CASES
from domain.cases.decisions import MAY_STORE as MAY_STORE_CASES
from domain.cases.documents import MAX_DEPTH
from domain.entities.accepting import MAY_PUBLISH
from domain.work_items.transitions import MAY_EDIT, MAY_READ

_CRM = "/api/crm/work-items"
_ITEM = _CRM + "/{work_item_id}"
_DIRECTORY = "/api/v1/directory"
_CASES = "/api/v1/cases"
_CASE = _CASES + "/{case_id}"
_ENTITY_TYPES = "/api/v1/entity-types"
_INCIDENTS = "/api/v1/incidents"
_INCIDENT = _INCIDENTS + "/{incident_id}"
_ACTION_CODES = (
    "InvalidAction",
    "InvalidTransition",
    "ConflictState",
    "AssigneeRequired",
    "UnknownAssignee",
    "InactiveAssignee",
    "OccurredAtRefused",
)

_NOT_READY: dict[int, dict[str, Any]] = {503: {"model": answers.Health, "description": "Not ready to serve"}}

READERS = frozenset[str](MAY_READ)
EDITORS = frozenset[str](MAY_EDIT)
ADMINS = frozenset({"admin"})
OPERATORS = frozenset({"operator", "admin"})


ROUTES: tuple[Route, ...] = (
    # The most frequent first: routes are matched in this order.
    Route(
        "POST",
        _ITEM + "/actions",
        work_items.apply_action,
        EDITORS,
        answers.ActionAnswer,
        problems=_ACTION_CODES,
        takes=("Idempotency-Key", "If-Match"),
        gives=("ETag", "Idempotency-Replayed"),
        missing="WorkItemNotFound",
    ),
    Route(
        "POST",
        _CRM,
        work_items.create,
        EDITORS,
        answers.ActionAnswer,
        status=201,
        problems=("ConflictState", "UnknownAssignee", "InactiveAssignee", "OccurredAtRefused", "UnknownTenant"),
        takes=("Idempotency-Key required",),
        gives=("ETag", "Location", "Idempotency-Replayed"),
    ),
    # Before the route of one item: "taxonomy" is no id.
    Route("GET", _CRM + "/taxonomy", work_items.taxonomy, READERS, answers.TaxonomyAnswer),
    Route("GET", _ITEM, work_items.get, READERS, answers.WorkItemView, gives=("ETag",), missing="WorkItemNotFound"),
    Route("GET", _CRM, work_items.list_items, READERS, answers.WorkItemPage, problems=("InvalidCursor",), gives=("Link",)),
    Route(
        "PATCH",
        _ITEM,
        work_items.edit,
        EDITORS,
        answers.EditAnswer,
        problems=("UnknownAssignee", "InactiveAssignee"),
        takes=("If-Match required",),
        gives=("ETag",),
        missing="WorkItemNotFound",
    ),
    Route(
        "GET",
        _ITEM + "/state-history",
        work_items.list_history,
        READERS,
        answers.StateHistoryPage,
        problems=("InvalidCursor",),
        gives=("Link",),
        missing="WorkItemNotFound",
    ),
    Route(
        "GET",
        _ITEM + "/comments",
        work_items.list_comments,
        READERS,
        answers.CommentPage,
        problems=("InvalidCursor",),
        gives=("Link",),
        missing="WorkItemNotFound",
    ),
    Route(
        "POST",
        _ITEM + "/comments",
        work_items.comment,
        EDITORS,
        answers.CommentView,
        status=201,
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed",),
        missing="WorkItemNotFound",
    ),
    Route(
        "POST",
        _CASE + "/snapshots",
        cases.store_snapshot,
        MAY_STORE_CASES,
        answers.CaseStored,
        status=201,
        problems=(
            *("UnknownTenant", "UnknownCaseClass", "DocumentRefused", "SnapshotTooLarge"),
            *("SubjectErased", "CaseClassFixed", "CaseSubjectFixed"),
        ),
        takes=("Idempotency-Key required", "If-Match"),
        gives=("ETag", "Location", "Idempotency-Replayed"),
        # The body is one level, `variables` begins the document.
        depth_limit=MAX_DEPTH + 2,
    ),
    Route(
        "GET",
        _CASE,
        cases.read_case,
        MAY_READ_CASES,
        answers.CaseDocument,
        problems=("CaseRemoved", "SubjectErased", "SnapshotUnreadable"),
        takes=("Access-Reason",),
        gives=("ETag",),
        missing="CaseNotFound",
    ),
    Route(
        "DELETE",
        _CASE,
        cases.remove_case,
        MAY_STORE_CASES,
        answers.CaseStored,
        problems=("SubjectErased",),
        takes=("If-Match",),
        gives=("ETag",),
        missing="CaseNotFound",
    ),
    Route("GET", _CASES, cases.list_cases, MAY_LIST_CASES, answers.CasePage, problems=("InvalidCursor",), gives=("Link",)),
    Route(
        "GET",
        _CASE + "/versions",
        cases.list_versions,
        MAY_LIST_CASES,
        answers.CaseVersionPage,
        problems=("InvalidCursor",),
        gives=("Link",),
        missing="CaseNotFound",
    ),
    Route(
        "POST",
        "/api/v1/events",
        events.publish_events,
        MAY_PUBLISH,
        answers.EventsPublished,
        problems=("UnknownTenant", "TenantMismatch", "ManagedEntityType", "SubjectErased", "EventTooLarge", "EventIdReused"),
    ),
    Route(
        "GET",
        _ENTITY_TYPES,
        events.list_entity_types,
        READERS,
        answers.EntityTypePage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route(
        "PUT",
        _ENTITY_TYPES + "/{entity_type}",
        events.put_entity_type,
        ADMINS,
        answers.EntityTypeView,
        problems=("UnknownTenant",),
    ),
    Route("GET", _DIRECTORY + "/tenant", directory.get_tenant, READERS, answers.TenantView, missing="TenantNotFound"),
    Route("PUT", _DIRECTORY + "/tenant", directory.put_tenant, ADMINS, answers.TenantView, missing="TenantNotFound"),
    Route(
        "GET",
        _DIRECTORY + "/users",
        directory.list_users,
        READERS,
        answers.UserPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route(
        "PUT",
        _DIRECTORY + "/users/{user_id}",
        directory.put_user,
        ADMINS,
        answers.UserWritten,
        problems=("UnknownTenant",),
    ),
    Route(
        "GET",
        _DIRECTORY + "/teams",
        directory.list_teams,
        READERS,
        answers.TeamPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route(
        "PUT",
        _DIRECTORY + "/teams/{team_id}",
        directory.put_team,
        ADMINS,
        answers.TeamWritten,
        problems=("UnknownTenant", "UnknownMember"),
    ),
    Route(
        "DELETE",
        _DIRECTORY + "/teams/{team_id}/members/{user_id}",
        directory.remove_member,
        ADMINS,
        None,
        status=204,
        missing="MemberNotFound",
    ),
    Route(
        "GET",
        _INCIDENTS,
        incidents.list_all,
        OPERATORS,
        answers.IncidentPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route("GET", _INCIDENT, incidents.show, OPERATORS, answers.IncidentView, missing="IncidentNotFound"),
    Route(
        "POST",
        _INCIDENT + "/resolve",
        incidents.resolve,
        OPERATORS,
        answers.IncidentView,
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed",),
        missing="IncidentNotFound",
    ),
    Route(
        "POST",
        _INCIDENT + "/retry",
        incidents.retry,
        OPERATORS,
        answers.RetryAnswer,
        problems=("NotRetryable",),
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed",),
        missing="IncidentNotFound",
    ),
    *outgoing_routes(READERS, ADMINS),
    *RULE_ROUTES,
    *MAPPING_ROUTES,
    *REBUILD_ROUTES,
    *ONBOARDING_ROUTES,
    *INTERACTION_ROUTES,
    *ONBOARDING_ADMIN_ROUTES,
    *REVIEW_ROUTES,
    Route("GET", "/livez", health.livez, None, answers.Health),
    Route("GET", "/readyz", health.readyz, None, answers.Health, responses=_NOT_READY),
    Route("GET", "/healthz", health.healthz, None, answers.Health, responses=_NOT_READY),
    Route(
        "GET",
        "/openapi.json",
        health.openapi,
        None,
        None,
        responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "This document"}},
    ),
    Route(
        "GET",
        "/metrics",
        health.metrics,
        None,
        None,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format"}},
    ),
)
