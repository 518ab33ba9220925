"""The operations of review tasks (IN-9): their part of the table in `api.routes`."""

from api import answers, reviews
from api.door import Endpoint, Route
from domain.onboarding.actors import MAY_REVIEW

_TASK = reviews.PATH + "/{work_item_id}"
_WHO = ("NotInGroup", "ReviewClosed", "ReviewTaken")
_MOVES = (
    *_WHO,
    *("ReviewNotReady", "InvalidTransition", "ConflictState", "UnknownAssignee", "InactiveAssignee"),
)


def _move(path: str, endpoint: Endpoint) -> Route:
    return Route(
        "POST",
        _TASK + path,
        endpoint,
        MAY_REVIEW,
        answers.ReviewView,
        problems=_MOVES,
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed",),
        missing="ReviewNotFound",
    )


def _decision(path: str, endpoint: Endpoint) -> Route:
    return Route(
        "POST",
        _TASK + path,
        endpoint,
        MAY_REVIEW,
        answers.InstanceOperated,
        problems=(*_WHO, "FieldNotEditable", "InvalidDecision", "UnknownTask"),
        takes=("Idempotency-Key",),
        gives=("ETag", "Idempotency-Replayed"),
        missing="ReviewNotFound",
    )


REVIEW_ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        reviews.PATH,
        reviews.list_reviews,
        MAY_REVIEW,
        answers.ReviewPage,
        problems=("InvalidCursor", "NotInGroup"),
        gives=("Link",),
    ),
    Route("GET", _TASK, reviews.get_review, MAY_REVIEW, answers.ReviewView, missing="ReviewNotFound"),
    Route(
        "GET",
        _TASK + "/fields",
        reviews.read_review_fields,
        MAY_REVIEW,
        answers.ReviewFields,
        problems=("NotInGroup", "ReviewClosed", "SubjectErased"),
        takes=("Access-Reason",),
        missing="ReviewNotFound",
    ),
    _move("/claim", reviews.claim_review),
    _move("/release", reviews.release_review),
    _move("/reassign", reviews.reassign_review),
    _decision("/approve", reviews.approve_review),
    _decision("/reject", reviews.reject_review),
    _decision("/return", reviews.return_review),
)
