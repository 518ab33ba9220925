"""What code asks while a step runs: which version of a change it follows, and values that are computed once (WF-7, WF-10).

A change's version is answered once and holds for ever. The first answer is what the code that started the instance knew; code
that did not know of the change had the lowest version (trap 65). A crash between computing a value and recording it computes it
again: it is recorded before it is used.
"""

from domain.onboarding import refusals
from domain.onboarding.instance import FINAL, Instance, effect_key
from domain.onboarding.turn import Outcome, Turn, Unchanged
from schemas.errors import Rejected
from schemas.onboarding import RecordSideEffect, RecordVersion
from schemas.workflow_events import SideEffectRecorded, VersionMarker


def version_of(instance: Instance, change_id: str, lowest: int, highest: int) -> int | Rejected:
    """`get_version`: the version that this instance follows, or why the code that asks cannot run it."""
    version = instance.versions.get(change_id)
    if version is None:
        version = instance.code_versions.get(change_id, lowest)
    if lowest <= version <= highest:
        return version
    return refusals.version_unsupported(instance, change_id, version, lowest, highest)


def record_version(turn: Turn, command: RecordVersion) -> Outcome:
    """The answer becomes a VERSION_MARKER, before it is used."""
    refusal = _refusal(turn)
    if refusal is not None:
        return refusal
    version = version_of(turn.instance, command.change_id, command.lowest, command.highest)
    if isinstance(version, Rejected):
        return version
    if command.change_id in turn.instance.versions:
        return Unchanged(turn.instance, f"{command.change_id} is marked as version {version}")
    turn.tell(VersionMarker(at=turn.now, change_id=command.change_id, version=version))
    return turn.decided()


def record_side_effect(turn: Turn, command: RecordSideEffect) -> Outcome:
    """The first value of a name and occurrence counts; `side_effects` of the instance says which event holds it."""
    refusal = _refusal(turn)
    if refusal is not None:
        return refusal
    key = effect_key(command.name, command.occurrence)
    if key in turn.instance.side_effects:
        return Unchanged(turn.instance, f"{key} is in event {turn.instance.side_effects[key]}")
    turn.tell(SideEffectRecorded(at=turn.now, name=command.name, occurrence=command.occurrence, value=command.value))
    return turn.decided()


def _refusal(turn: Turn) -> Rejected | None:
    if "SYSTEM" not in turn.context.actors:
        return refusals.not_permitted(turn.instance, "record what code asks")
    return refusals.ended(turn.instance) if turn.instance.status in FINAL else None
