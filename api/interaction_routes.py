"""The operations of the interaction service (S0) and of its data access log: their part of the table in `api.routes`."""

from api import answers, data_accesses, interactions
from api.door import Route
from domain.onboarding.actors import MAY_INTERACT, MAY_NOTICE, MAY_OPERATE

_ONE = interactions.PATH + "/{interaction_id}"

INTERACTION_ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        interactions.PATH,
        interactions.start_interaction,
        MAY_INTERACT,
        answers.InteractionView,
        status=201,
        problems=("UnknownFlow", "DataRefused", "SubjectErased"),
        takes=("Idempotency-Key",),
        gives=("ETag", "Location", "Idempotency-Replayed"),
    ),
    Route(
        "POST",
        _ONE + "/steps/{step_name}",
        interactions.submit_step,
        MAY_INTERACT,
        answers.InteractionView,
        problems=(
            *("StepNotCurrent", "StepInProgress", "InteractionEnded", "InvalidTransition"),
            *("DataRefused", "ConflictState", "SubjectErased"),
        ),
        takes=("Idempotency-Key required", "If-Match of an interaction"),
        gives=("ETag", "Location", "Idempotency-Replayed"),
        missing="InteractionNotFound",
        responses={202: {"model": answers.InteractionView, "description": "The step is under way; see Location"}},
    ),
    Route(
        "GET",
        _ONE,
        interactions.get_interaction,
        MAY_INTERACT,
        answers.InteractionView,
        problems=("SubjectErased",),
        takes=("If-None-Match",),
        gives=("ETag",),
        missing="InteractionNotFound",
        responses={304: {"description": "Nothing else is to be seen than If-None-Match names"}},
    ),
    Route(
        "POST",
        _ONE + "/status",
        interactions.notice_interaction,
        MAY_NOTICE,
        answers.InteractionNoticed,
        problems=("StepNotCalled", "StepCallNotFound"),
        gives=("ETag",),
        missing="InteractionNotFound",
    ),
    Route(
        "GET",
        data_accesses.PATH,
        data_accesses.list_data_accesses,
        MAY_OPERATE,
        answers.DataAccessPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
)
