"""Every error answer of the HTTP door: one table from code to status, title and type, in the form of RFC 9457.

Bodies also carry the documents' `error` and `message`. They name fields and codes; a value that the caller sent is
never repeated. docs/reference/problems.md lists cause and cure of each; a test compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.errors import Rejected

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One row of the table. `also`: further statuses under which the code may be answered."""

    status: int
    title: str
    also: tuple[int, ...] = ()
    headers: Mapping[str, str] | None = None


def type_uri(code: str) -> str:
    """The stable URI that a problem's `type` carries."""
    return f"urn:casestream:problem:{code}"


class Problem(HTTPException):
    """Ends the request with this problem. It is FastAPI's exception, so that its own layers let it pass."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        kind = CATALOGUE[code]
        if status is not None and status != kind.status and status not in kind.also:
            raise ValueError(f"{code} is answered with {kind.status} or {kind.also}, not {status}")
        super().__init__(status or kind.status, detail, {**(kind.headers or {}), **(headers or {})})
        self.code = code
        self.members = members or {}


def problem_of(rejected: Rejected, *, if_match: int | None = None) -> Problem:
    """A business "no" as its problem. A stale view is 412 when it was stated by If-Match, 409 when by the body."""
    stale = if_match is not None and rejected.code == "ConflictState" and rejected.details.get("version") != if_match
    members = {_RENAMED.get(name, name): value for name, value in rejected.details.items()}
    return Problem(rejected.code, rejected.message, status=412 if stale else None, members=members)


def respond(problem: Problem, *, instance: str, trace_id: str) -> Response:
    """The answer. `instance` is the request's path."""
    content = orjson.dumps(body_of(problem, instance=instance, trace_id=trace_id), default=str)
    return Response(content, problem.status_code, dict(problem.headers or {}), MEDIA_TYPE)


def body_of(problem: Problem, *, instance: str, trace_id: str) -> dict[str, object]:
    """The problem in words: an answer's whole body, or what is wrong with one item of a batch."""
    return {
        **problem.members,
        "type": type_uri(problem.code),
        "title": CATALOGUE[problem.code].title,
        "status": problem.status_code,
        "detail": problem.detail,
        "instance": instance,
        "traceId": trace_id,
        "error": problem.code,
        "message": problem.detail,
    }


def pointer(location: Sequence[int | str]) -> str:
    """RFC 6901 of a field's place in the body; the length is bounded, since names may be the caller's own."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join("/" + part for part in parts)[:200]


def validation_errors(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's findings as `errors[]`: where and what is expected, without what was sent."""
    errors = []
    for error in found[:50]:
        place, *inner = error["loc"] or ("body",)
        if inner and inner[0] in FORMS:
            # Which of the body's forms was read is no member of it.
            inner = inner[1:]
        where = {"pointer": pointer(inner)} if place == "body" else {"parameter": str((inner or [""])[0]), "in": str(place)}
        # A value error's text is written by a validator and may quote what it saw.
        message = "The value is not valid." if error["type"] == "value_error" else str(error["msg"])
        errors.append({**where, "code": str(error["type"]), "message": message})
    return errors


# How routes name the forms of a body that may have several.
ONE_EVENT, BATCH_OF_EVENTS = "one-event", "batch-of-events"
FORMS = frozenset({ONE_EVENT, BATCH_OF_EVENTS})
# A problem's own `status` is the HTTP status.
_RENAMED = {"status": "currentStatus", "version": "currentVersion"}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="casestream"'}
_LATER = {"Retry-After": str(RETRY_AFTER_SECONDS)}

CATALOGUE: dict[str, ProblemType] = {
    # the request itself
    "MalformedBody": ProblemType(400, "The body is not valid JSON"),
    "BodyTooDeep": ProblemType(400, "The body is nested too deep"),
    "BodyTooLarge": ProblemType(413, "The body is too large"),
    "UnsupportedMediaType": ProblemType(415, "The body is not declared as JSON"),
    "ValidationFailed": ProblemType(422, "A field or parameter is not valid"),
    "InvalidCursor": ProblemType(400, "The cursor does not belong to this list"),
    "NotFound": ProblemType(404, "There is nothing at this address"),
    "MethodNotAllowed": ProblemType(405, "The address does not know this method"),
    # who asks
    "NotAuthenticated": ProblemType(401, "A valid token is needed", headers=_CHALLENGE),
    "PermissionDenied": ProblemType(403, "The roles do not allow this"),
    # repeated and concurrent requests
    "IdempotencyKeyRequired": ProblemType(400, "An Idempotency-Key is needed"),
    "InvalidIdempotencyKey": ProblemType(400, "The Idempotency-Key is malformed"),
    "IdempotencyKeyInUse": ProblemType(409, "The first request with this key is still running", headers=_LATER),
    "IdempotencyKeyReused": ProblemType(422, "The Idempotency-Key belongs to another request"),
    "InvalidIfMatch": ProblemType(400, "The If-Match header is malformed"),
    "IfMatchRequired": ProblemType(428, "If-Match is needed"),
    "ConflictState": ProblemType(409, "The object has changed since it was read", also=(412,)),
    # rules
    "EventNotFound": ProblemType(404, "There is no such event in the topic, or it was not reached"),
    "RuleNotFound": ProblemType(404, "There is no such rule"),
    "RuleRefused": ProblemType(422, "The rule has problems"),
    "RunIsOver": ProblemType(409, "The run has ended"),
    "RunNotFound": ProblemType(404, "There is no such run"),
    "TooManyRules": ProblemType(409, "The tenant has as many rules as it may have"),
    # work items
    "InvalidAction": ProblemType(400, "The action is unknown or not for callers"),
    "InvalidTransition": ProblemType(400, "The action is not allowed from this status"),
    "WorkItemNotFound": ProblemType(404, "There is no such work item"),
    "InvalidWorkItemId": ProblemType(422, "A work item's id is a UUID"),
    "AssigneeRequired": ProblemType(400, "The action needs an assignee"),
    "UnknownAssignee": ProblemType(400, "The directory does not know the assignee"),
    "InactiveAssignee": ProblemType(400, "The assignee is inactive"),
    "OccurredAtRefused": ProblemType(400, "The time cannot be set like this"),
    # journeys
    "InstanceNotFound": ProblemType(404, "There is no such journey"),
    "UnknownFlow": ProblemType(422, "There is no such flow or version"),
    "ActorNotAllowed": ProblemType(403, "The action is for somebody else"),
    "StepInProgress": ProblemType(409, "A step is under way"),
    "StepCallNotFound": ProblemType(404, "There is no such call of a step"),
    "StepNotCalled": ProblemType(409, "Nobody was called yet"),
    "ResultTooLarge": ProblemType(413, "The result is larger than a journey keeps"),
    "InstanceEnded": ProblemType(409, "The journey has ended"),
    "FlowNotFound": ProblemType(404, "There is no such flow or version"),
    "ReasonNotFound": ProblemType(404, "There is no such event, or it gives no reason"),
    "HistoryTooLong": ProblemType(409, "The history is too long for a request"),
    "FourEyes": ProblemType(403, "Somebody else must approve"),
    # interactions
    "InteractionNotFound": ProblemType(404, "There is no such interaction of yours"),
    "StepNotCurrent": ProblemType(409, "The interaction is at another step"),
    "InteractionEnded": ProblemType(409, "The interaction has ended"),
    "DataRefused": ProblemType(422, "The data does not fit the step's schema"),
    # reviews
    "ReviewNotFound": ProblemType(404, "There is no such review task"),
    "ReviewClosed": ProblemType(409, "The task was decided or withdrawn"),
    "ReviewTaken": ProblemType(409, "The task is not the caller's"),
    "ReviewNotReady": ProblemType(409, "The task's work item is still being made"),
    "NotInGroup": ProblemType(403, "The task belongs to a group of others"),
    "FieldNotEditable": ProblemType(422, "A field may not be edited"),
    "InvalidDecision": ProblemType(400, "The decision is not allowed here"),
    "UnknownTask": ProblemType(404, "The journey has no such review task"),
    # cases
    "CaseNotFound": ProblemType(404, "There is no such case or version"),
    "UnknownCaseClass": ProblemType(422, "No case can be of this class"),
    "DocumentRefused": ProblemType(422, "The variables are not a document"),
    "SnapshotTooLarge": ProblemType(413, "The snapshot is too large to be stored"),
    "CaseClassFixed": ProblemType(409, "A case never changes its class"),
    "CaseSubjectFixed": ProblemType(409, "A case never changes its subject"),
    "CaseRemoved": ProblemType(410, "The case was removed"),
    "SubjectErased": ProblemType(410, "The subject was erased"),
    "SnapshotUnreadable": ProblemType(500, "The stored snapshot cannot be decrypted"),
    "ReasonRequired": ProblemType(400, "Reading data about persons needs a reason"),
    # entities
    "TenantMismatch": ProblemType(403, "The event names another tenant than the token"),
    "ManagedEntityType": ProblemType(409, "Entities of this type are changed by commands only"),
    "EventIdReused": ProblemType(409, "The event's id belongs to another event"),
    "EventTooLarge": ProblemType(413, "The event is too large to be published"),
    # the directory and incidents
    "UnknownTenant": ProblemType(403, "The token's tenant is not known here"),
    "TenantNotFound": ProblemType(404, "There is no such tenant"),
    "MemberNotFound": ProblemType(404, "There is no such member of the team"),
    "UnknownMember": ProblemType(400, "The directory does not know a member"),
    "IncidentNotFound": ProblemType(404, "There is no such incident"),
    "NotRetryable": ProblemType(409, "Incidents of this kind cannot be retried"),
    # what leaves the system
    "SecretNotFound": ProblemType(404, "There is no such secret"),
    "TemplateNotFound": ProblemType(404, "There is no such message template or version"),
    "TemplateRefused": ProblemType(422, "The words are no template"),
    "RenderRefused": ProblemType(422, "The values do not fit the template"),
    "NotificationNotFound": ProblemType(404, "There is no such notification of yours"),
    # mappings
    "MappingNotFound": ProblemType(404, "There is no such class, version or draft"),
    "MappingRefused": ProblemType(422, "The mapping is not good"),
    "NoDraft": ProblemType(409, "There is no draft to publish"),
    "NotEnabled": ProblemType(409, "There is no enabled version"),
    "PathRefused": ProblemType(422, "The path or the type cannot be mapped"),
    # rebuilds of table versions
    "RebuildNotFound": ProblemType(404, "There is no such rebuild or version"),
    "RebuildRunning": ProblemType(409, "A rebuild of the table is open already"),
    "RebuildNotThere": ProblemType(409, "The rebuild's state does not allow this"),
    "VersionNotReady": ProblemType(409, "The version is not ready for this"),
    "NothingToCompareWith": ProblemType(409, "There is no other version to compare with"),
    "ParityMissing": ProblemType(409, "The version was not shown to be equal"),
    "TrialVersion": ProblemType(409, "The version holds one tenant's rows only"),
    "AlreadyServing": ProblemType(409, "The view shows this version already"),
    "NothingToSwitchBackTo": ProblemType(409, "No former version stands by"),
    "VersionServes": ProblemType(409, "The view shows this version"),
    "AlreadyRetired": ProblemType(409, "The version is retired"),
    # the server
    "InternalError": ProblemType(500, "Something failed on our side"),
    "TemporarilyUnavailable": ProblemType(503, "The service cannot answer right now", headers=_LATER),
}
