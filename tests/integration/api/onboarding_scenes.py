"""Journeys in the states that operators and reviewers meet them in, made as the engine makes them."""

from typing import Any

from api.transactions import transaction
from domain.onboarding.commands import give
from domain.onboarding.engine import Engine
from domain.outbox import Outbox
from domain.work_items import commands as work_items
from schemas.caller import Caller
from schemas.onboarding import Advance, Command, StartInstance, StepFailed, StepSucceeded
from schemas.work_items import CreateWorkItem
from tests.integration.api.conftest import Served

ADMIN = "/admin/onboarding"
REVIEWS = "/api/v1/reviews"
GROUP = "kyc-reviewers"
CANARY = "canary-3141"
ENGINE = Caller("north", "system:test", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


async def told(served: Served, *commands: Command, by: str | None = None) -> None:
    """Commands of the engine, or of the customer `by`, each in a transaction of its own."""
    door = served.app.state.door
    caller = ENGINE if by is None else Caller("north", by, frozenset({"customer"}), "CRM_UI")
    for command in commands:
        async with transaction(door.pool, "north") as conn:
            await give(conn, Engine(door.outbox, door.keys, door.flows, door.case_classes), caller, command)


async def card(served: Served, instance_id: str, user: str = "ann") -> None:
    """An order of a card whose account is being made: step 1 is under way."""
    start = StartInstance(instance_id=instance_id, flow="card-onboarding", flow_version=1, user_id=user, data={"name": CANARY})
    await told(served, start)
    await told(served, Advance(instance_id=instance_id, action="NEXT"), by=user)


async def failed(served: Served, instance_id: str, step: int = 1) -> None:
    """The step gave up for good, and an operator is needed. Its call has ended: no worker makes it any more."""
    await told(served, _failure(instance_id, step))
    await served.rows("delete from effects where owner_id = $1 and finished_at is null", instance_id)


async def failed_back(served: Served, instance_id: str) -> None:
    """The account is made, the wallet is not, the instance was cancelled, and its account cannot be undone."""
    await card(served, instance_id)
    await told(served, StepSucceeded(instance_id=instance_id, step="1", attempt=1, effect_id="e"))
    await failed(served, instance_id, 2)
    headers = served.headers(("admin",), user="root")
    answer = await served.client.post(f"{ADMIN}/{instance_id}/cancel", json={"reason": CANARY}, headers=headers)
    assert answer.json()["status"] == "COMPENSATING", answer.text
    await told(served, _failure(instance_id, 3))


async def reviewed(
    served: Served, instance_id: str, user: str = "ann", *, item: bool = True, data: dict[str, Any] | None = None
) -> str:
    """A customer whose card no machine can read: the id of the review task's work item, which `item` makes."""
    start = StartInstance(instance_id=instance_id, flow="customer-onboarding", flow_version=1, user_id=user, data=data)
    await told(served, start)
    advance = Advance(instance_id=instance_id, action="NEXT")
    await told(served, advance, by=user)
    await told(served, StepSucceeded(instance_id=instance_id, step="1", attempt=1, effect_id="e"))
    await told(served, advance, advance, advance, by=user)
    await told(served, _failure(instance_id, 2))
    (row,) = await served.rows("select work_item_id from onboarding_review_task where instance_id = $1", instance_id)
    if item:
        await make_item(served, row["work_item_id"])
    return str(row["work_item_id"])


async def make_item(served: Served, work_item_id: str) -> None:
    """What group `work-items` does with the engine's command."""
    command = CreateWorkItem(work_item_id=work_item_id, title="Review", business_group=GROUP, process="onboarding-review")
    async with transaction(served.app.state.door.pool, "north") as conn:
        await work_items.create_work_item(conn, Outbox("casestream"), ENGINE, command)


async def join(served: Served, *users: str) -> None:
    """Members of the reviewers' group."""
    admin = served.headers(("admin",))
    for user in users:
        await served.client.put(f"/api/v1/directory/users/{user}", json={"displayName": user}, headers=admin)
    body = {"name": "Reviewers", "memberIds": list(users)}
    answer = await served.client.put(f"/api/v1/directory/teams/{GROUP}", json=body, headers=admin)
    assert answer.status_code == 200, answer.text


async def seen(served: Served, path: str, *roles: str, **who: Any) -> dict[str, Any]:
    """A page of an operator's."""
    answer = await served.client.get(f"{ADMIN}{path}", headers=served.headers(roles or ("operator",), **who))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ordered(served: Served, path: str, body: dict[str, Any], *roles: str, **who: Any) -> tuple[int, dict[str, Any]]:
    """An operator's order, and its answer."""
    headers = served.headers(roles or ("operator",), **{"user": "oper", **who})
    answer = await served.client.post(path, json=body, headers=headers)
    return answer.status_code, answer.json()


def _failure(instance_id: str, step: int) -> StepFailed:
    return StepFailed(instance_id=instance_id, step=str(step), attempt=1, effect_id="e", code="down", retryable=False)
