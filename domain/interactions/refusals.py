"""Every "no" to a front end: a code, a sentence, and what it may do. No id, state or version of the engine's, no value."""

from collections.abc import Sequence

from domain.interactions.interaction import Interaction
from schemas.errors import Rejected


def not_found(interaction_id: object) -> Rejected:
    return Rejected("InteractionNotFound", f"Interaction {interaction_id} not found")


def unknown_flow(flow: str) -> Rejected:
    return Rejected("UnknownFlow", f"start an interaction of {flow}: there is no such flow; import it")


def may_not_start() -> Rejected:
    return Rejected("PermissionDenied", "start an interaction: the tenant is not active, or none of the caller's roles may")


def erased() -> Rejected:
    return Rejected("SubjectErased", "the person was erased, and nothing about him is kept any more")


def other_step(interaction: Interaction, step: str, allowed: Sequence[str]) -> Rejected:
    message = "submit a step: the interaction is at another one; read it again"
    return _about(interaction, "StepNotCurrent", message, step, allowed)


def busy(interaction: Interaction, step: str) -> Rejected:
    return _about(interaction, "StepInProgress", "submit a step: the one before is still under way; wait for its outcome", step)


def ended(interaction: Interaction, step: str) -> Rejected:
    return _about(interaction, "InteractionEnded", "submit a step: the interaction has ended", step)


def no_such_action(interaction: Interaction, step: str, allowed: Sequence[str]) -> Rejected:
    message = "submit a step: the action is not the customer's in this step"
    return _about(interaction, "InvalidTransition", message, step, allowed)


def stale(interaction: Interaction, step: str, changed: Sequence[str]) -> Rejected:
    """`changed`: JSON pointers into the answer of whoever reads it now."""
    message = "the interaction has changed since you read it; read it again and repeat"
    found = _about(interaction, "ConflictState", message, step)
    return Rejected(found.code, found.message, {**found.details, "changed": tuple(changed)})


def moved(interaction_id: object) -> Rejected:
    message = f"interaction {interaction_id} changed while this was decided; read it again and repeat"
    return Rejected("ConflictState", message, {"interactionId": interaction_id})


def takes_no_data() -> Rejected:
    message = "this step takes no data: no case definition says what may be said in it"
    return Rejected("DataRefused", message, {"errors": [{"pointer": "/data", "code": "no-schema", "message": message}]})


def data_refused(errors: Sequence[dict[str, str]]) -> Rejected:
    return Rejected("DataRefused", "the data does not fit the step's schema; see errors", {"errors": list(errors)})


def _about(interaction: Interaction, code: str, message: str, step: str, allowed: Sequence[str] | None = None) -> Rejected:
    details: dict[str, object] = {"interactionId": interaction.id, "stepName": step, "interactionStatus": interaction.status}
    if allowed is not None:
        details["allowedActions"] = tuple(allowed)
    return Rejected(code, message, details)
