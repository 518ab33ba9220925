"""`casestream effect` and the retry of an incident, as an operator types them."""

import pytest

from tests.e2e.operations.commands import casestream
from tests.integration.effects.conftest import Start
from tests.integration.effects.world import TENANT, Ground, LoopbackSender, Receiver, new
from tests.waiting import until

CANARY = "canary-4711"


@pytest.mark.requirement("trap-26")
async def test_a_person_sees_retries_and_cancels_effects_and_never_what_they_say(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    environ = {"DATABASE_URL": ground.database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    receiver.answer = lambda _request: "no"
    stop = start(ground.effects_worker([LoopbackSender(receiver.port)]))
    failing = [new(f"r{number}", request={"run": f"r{number}", "text": CANARY}) for number in range(2)]
    waiting = new("w", waiting=True, request={"text": CANARY})
    await ground.plan(*failing, waiting)
    await until(lambda: _count(ground, "failed", 2), what="two failures")

    listed = await casestream(environ, "effect", "list")
    assert {row["effect_id"] for row in listed} == {str(effect.id) for effect in failing}
    unfinished = await casestream(environ, "effect", "list", "--state", "unfinished")
    assert [row["effect_id"] for row in unfinished] == [str(waiting.id)]
    shown = await casestream(environ, "effect", "show", str(failing[0].id))
    assert (shown["state"], shown["code"], shown["attempt"]) == ("failed", "http-410", 1)
    assert CANARY not in f"{listed}{unfinished}{shown}"

    canceled = await casestream(environ, "effect", "cancel", str(waiting.id), "--reason", "sent by hand")
    assert [row["said"] for row in canceled] == ["ordered"]
    await casestream(environ, "effect", "cancel", str(failing[0].id), "--reason", "too late", expect=1)

    receiver.answer = lambda _request: "ok"
    (incident,) = await casestream(environ, "incident", "list", "--kind", "effect-failed")
    said = await casestream(environ, "incident", "retry", incident["incident_id"])
    assert said["said"].startswith("ordered 2 effect(s) once more")
    await until(lambda: _count(ground, "succeeded", 2), what="both")
    stop.set()
    await casestream(environ, "effect", "retry", str(failing[0].id), expect=1)
    await casestream(environ, "effect", "retry", "--tenant", TENANT, "--fingerprint", "webhook|nobody|x", expect=1)
    deeds = await ground.look("select action from audit_log where action like 'effect.%' order by audit_id")
    assert [row["action"] for row in deeds] == ["effect.cancel", "effect.retry", "effect.retry"]
    assert len(set(receiver.ids())) == 2
    assert await ground.states() == {"succeeded": 2, "canceled": 1}


async def _count(ground: Ground, state: str, count: int) -> bool:
    return (await ground.states()).get(state, 0) == count
