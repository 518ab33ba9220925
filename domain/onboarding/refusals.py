"""Every "no" to a command for an instance: a code, a sentence, and what is allowed. No text of a person is repeated."""

from domain.onboarding.flow import Flow
from domain.onboarding.instance import Instance
from schemas.errors import Rejected
from schemas.flows import Actor


def not_found(instance_id: str) -> Rejected:
    return Rejected("InstanceNotFound", f"Instance {instance_id} not found")


def unknown_flow(flow: str, version: int) -> Rejected:
    return Rejected("UnknownFlow", f"start an instance of {flow} version {version}: it is not known; import it")


def exists(instance: Instance) -> Rejected:
    message = f"start instance {instance.id}: it exists already, of another flow, user or work item; send another id"
    return _about(instance, "ConflictState", message)


def tenant_inactive(tenant_id: str) -> Rejected:
    return Rejected("PermissionDenied", f"start an instance: tenant {tenant_id} is not active")


def user_erased() -> Rejected:
    return Rejected("SubjectErased", "start an instance: the user was erased, and nothing about him is kept any more")


def not_yours(user_id: str, by: str) -> Rejected:
    return Rejected(
        "PermissionDenied", f"start an instance for user {user_id}: {by} may start one for himself only", {"userId": user_id}
    )


def not_permitted(instance: Instance | None, what: str) -> Rejected:
    message = f"{what}: none of the caller's roles may; ask for one that may"
    return Rejected("PermissionDenied", message) if instance is None else _about(instance, "PermissionDenied", message)


def stale(instance: Instance, expected: int) -> Rejected:
    message = f"instance {instance.id}: expected version {expected}, found {instance.version}; read it again and repeat"
    return _about(instance, "ConflictState", message)


def ended(instance: Instance) -> Rejected:
    message = f"instance {instance.id} has ended ({instance.status}); nothing moves it any more"
    return _about(instance, "InstanceEnded", message)


def busy(instance: Instance, flow: Flow, action: str) -> Rejected:
    message = f"{action} instance {instance.id}: it is {instance.status} in {instance.state}, and a step is under way"
    return _about(instance, "StepInProgress", message, flow)


def invalid_transition(instance: Instance, flow: Flow, action: str) -> Rejected:
    message = f"Action {action} is not allowed from state {instance.state}"
    return _about(instance, "InvalidTransition", message, flow)


def wrong_actor(instance: Instance, flow: Flow, action: str, allowed: tuple[Actor, ...], has: frozenset[Actor]) -> Rejected:
    message = f"Action {action} is for {', '.join(allowed)}"
    return _about(instance, "ActorNotAllowed", message, flow, has)


def no_such_step(instance: Instance, step: str) -> Rejected:
    return _about(instance, "UnknownStep", f"instance {instance.id} has no step {step[:60]}")


def no_such_call(effect_id: object) -> Rejected:
    return Rejected("StepCallNotFound", f"There is no call {effect_id} of a handler that answers from outside")


def not_called_yet(effect_id: object) -> Rejected:
    return Rejected("StepNotCalled", f"complete call {effect_id}: nobody was called with it yet; answer what you were asked")


def no_such_task(instance: Instance, task: int | None) -> Rejected:
    return _about(instance, "UnknownTask", f"instance {instance.id} has no review task {task}")


def field_not_editable(instance: Instance, name: str, editable: tuple[str, ...]) -> Rejected:
    message = f"review of instance {instance.id}: {name[:100]} may not be edited; editable are {', '.join(editable) or 'none'}"
    return _about(instance, "FieldNotEditable", message)


def no_such_decision(instance: Instance, flow: Flow, decision: str) -> Rejected:
    return _about(instance, "InvalidDecision", f"{decision} is no decision of state {instance.state}", flow)


def nothing_failed(instance: Instance, wanted: str) -> Rejected:
    return _about(instance, "InvalidTransition", f"instance {instance.id} is {instance.status}, not {wanted}")


def no_proposal(instance: Instance, proposal: int) -> Rejected:
    message = f"instance {instance.id} has no proposed input in event {proposal}: read it again"
    return _about(instance, "ConflictState", message)


def four_eyes(instance: Instance) -> Rejected:
    return _about(instance, "FourEyes", "who proposed the input may not approve it: ask another operator")


def cannot_reopen(instance: Instance, why: str) -> Rejected:
    return _about(instance, "InvalidTransition", f"reopen instance {instance.id}: {why}")


def cannot_migrate(instance: Instance, why: str) -> Rejected:
    return _about(instance, "InvalidTransition", f"migrate instance {instance.id}: {why}")


def no_case_class(instance: Instance) -> Rejected:
    flow = f"{instance.flow} version {instance.flow_version}"
    message = f"instance {instance.id}: {flow} names no case class as which its case could be stored"
    return _about(instance, "InvalidTransition", message)


def version_unsupported(instance: Instance, change_id: str, version: int, lowest: int, highest: int) -> Rejected:
    message = (
        f"instance {instance.id} follows version {version} of {change_id}, and this code knows {lowest} to {highest}: "
        "deploy code that knows it, or migrate the instance"
    )
    return _about(instance, "VersionUnsupported", message)


def _about(
    instance: Instance, code: str, message: str, flow: Flow | None = None, actors: frozenset[Actor] | None = None
) -> Rejected:
    details: dict[str, object] = {
        "instanceId": instance.id,
        "status": instance.status,
        "state": instance.state,
        "version": instance.version,
    }
    if flow is not None:
        details["allowedActions"] = flow.actions(instance.state, actors) if instance.waits else ()
    return Rejected(code, message, details)
