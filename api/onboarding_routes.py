"""The operations of journeys (WF-14): their part of the table in `api.routes`."""

from api import answers, onboarding, step_answers
from api.door import Route
from domain.onboarding.actors import MAY_BEGIN, MAY_COMPLETE, MAY_LOOK

_INSTANCE = onboarding.PATH + "/{instance_id}"

ONBOARDING_ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        onboarding.PATH + "/start",
        onboarding.start_onboarding,
        MAY_BEGIN,
        answers.OnboardingMoved,
        status=201,
        problems=("UnknownFlow", "SubjectErased"),
        takes=("Idempotency-Key",),
        gives=("ETag", "Location", "Idempotency-Replayed"),
    ),
    Route(
        "POST",
        _INSTANCE + "/action",
        onboarding.act_on_onboarding,
        MAY_BEGIN,
        answers.OnboardingMoved,
        problems=("InvalidTransition", "ActorNotAllowed", "StepInProgress", "InstanceEnded", "ConflictState"),
        takes=("Idempotency-Key", "If-Match"),
        gives=("ETag", "Location", "Idempotency-Replayed"),
        missing="InstanceNotFound",
        responses={202: {"model": answers.OnboardingMoved, "description": "The step is under way; see Location"}},
    ),
    Route(
        "GET",
        _INSTANCE + "/status",
        onboarding.get_onboarding_status,
        MAY_LOOK,
        answers.OnboardingStatus,
        gives=("ETag",),
        missing="InstanceNotFound",
    ),
    Route(
        "POST",
        step_answers.PATH,
        step_answers.complete_step,
        MAY_COMPLETE,
        answers.StepAnswered,
        problems=("StepNotCalled", "ResultTooLarge"),
        missing="StepCallNotFound",
    ),
)
