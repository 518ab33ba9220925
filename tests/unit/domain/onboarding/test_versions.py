"""What code asks while a step runs, and moving to another version of a flow."""

import pytest

from domain.onboarding.marking import version_of
from schemas.onboarding import MigrateInstance, RecordSideEffect, RecordVersion
from tests.unit.domain.onboarding.giving import ID, Engine, flow, move

FLOW = flow(move("A", "DONE", handler="work"))


def asked(lowest: int, highest: int, change: str = "email-validation-logic") -> RecordVersion:
    return RecordVersion(instance_id=ID, change_id=change, lowest=lowest, highest=highest)


@pytest.mark.requirement("WF-7", "trap-65")
def test_a_change_follows_the_code_that_started_the_instance() -> None:
    old, new = Engine.of(FLOW), Engine.of(FLOW, code_versions={"email-validation-logic": 2})
    for engine, version in ((old, 1), (new, 2)):
        assert engine.must(asked(1, 2)) == ["VERSION_MARKER"]
        assert version_of(engine.instance, "email-validation-logic", 1, 3) == version
        assert f"version {version}" in engine.quiet(asked(1, 3)), "the answer holds"


@pytest.mark.requirement("WF-7", "trap-65")
def test_a_version_that_the_code_does_not_know_any_more_fails_loudly() -> None:
    engine = Engine.of(FLOW)
    engine.must(asked(1, 2))
    refused = engine.refused(asked(2, 3))
    assert refused.code == "VersionUnsupported"
    assert "follows version 1 of email-validation-logic, and this code knows 2 to 3" in refused.message
    newer = Engine.of(FLOW, code_versions={"email-validation-logic": 5})
    assert newer.refused(asked(1, 2)).code == "VersionUnsupported", "code that was rolled back"


@pytest.mark.requirement("WF-10", "trap-66")
def test_a_value_is_computed_once_for_each_name_and_occurrence() -> None:
    engine = Engine.of(FLOW)
    first = RecordSideEffect(instance_id=ID, name="otp-generation", occurrence=0, value="123456")
    engine.must(first)
    number = engine.instance.version
    assert f"event {number}" in engine.quiet(first.model_copy(update={"value": "654321"}))
    engine.must(first.model_copy(update={"occurrence": 1}))
    assert engine.instance.side_effects == {"otp-generation#0": number, "otp-generation#1": number + 1}
    assert "123456" not in repr(engine.instance)


def test_only_the_engine_records_what_code_asks_and_only_before_the_end() -> None:
    engine = Engine.of(FLOW)
    assert engine.refused(asked(1, 2), "u-1", "USER").code == "PermissionDenied"
    engine.cancel()
    assert engine.refused(asked(1, 2)).code == "InstanceEnded"


@pytest.mark.requirement("IN-13")
def test_an_instance_moves_to_another_version_only_by_a_mapping_that_fits() -> None:
    new = flow(move("FIRST", "DONE"), move("B", "DONE"), version=2)
    engine = Engine.of(flow(move("A", "B")), new)

    def migrate(version: int, **states: str) -> MigrateInstance:
        return MigrateInstance(instance_id=ID, flow_version=version, states=states, reason="a new law")

    assert engine.refused(migrate(2), "o-1", "OPERATOR").code == "InvalidTransition", "there is no state A"
    assert engine.refused(migrate(3), "o-1", "OPERATOR").code == "InvalidTransition"
    assert engine.refused(migrate(2, A="FIRST"), "u-1", "USER").code == "PermissionDenied"
    assert engine.must(migrate(2, A="FIRST"), "o-1", "OPERATOR") == ["WORKFLOW_MIGRATED", "STATE_ENTERED"]
    assert (engine.instance.flow_version, engine.instance.state) == (2, "FIRST")
    assert "already" in engine.quiet(migrate(2), "o-1", "OPERATOR")
    engine.act()
    assert engine.instance.status == "COMPLETED"


def test_an_instance_does_not_move_while_a_step_is_under_way() -> None:
    engine = Engine.of(FLOW, flow(move("A", "DONE"), version=2))
    engine.act()
    migrate = MigrateInstance(instance_id=ID, flow_version=2, reason="a new law")
    assert engine.refused(migrate, "o-1", "OPERATOR").code == "InvalidTransition"


@pytest.mark.requirement("WF-7", "trap-65")
def test_a_version_that_code_does_not_know_is_no_failure_that_the_flow_could_answer() -> None:
    engine = Engine.of(flow(move("A", "DONE", handler="work", on_failure={"to": "DONE"})))
    engine.act()
    engine.fail(1, code="version-unsupported", retryable=False, unknown=True)
    assert engine.instance.status == "INCIDENT"
