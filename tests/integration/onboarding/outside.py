"""A flow whose steps are done outside, and a service on the loopback that answers by the path that it is called at."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.flow import FlowKey
from domain.secrets.naming import as_signing_secret
from domain.secrets.reads import LiveSecret
from runtime.outbound import Limits, Outbound, Policy
from runtime.outbound.client import trusting
from runtime.outbound.dialing import SystemResolver
from schemas.flows import FlowDefinition
from tests.integration.onboarding.journeys import Journeys
from tests.integration.outgoing.receivers import Answering, Receiver, Visit, receiver, reply
from workers.senders.signed_calls import SignedCalls
from workers.senders.step_http import HttpSteps
from workers.senders.step_kafka import KafkaSteps

SECRET = as_signing_secret(b"s" * 32)


def document(port: int, paths: Collection[str], *, undo: Mapping[str, Any] | None = None, **move: Any) -> dict[str, Any]:
    """From A an action for each path, each a step behind HTTP there, but `kafka`; `undo`: how UNDO is reached, else by HTTP."""
    said = {"to": "B", "actors": ["USER"], "mode": "async", "compensation": "UNDO", "retry": {"retries": 0}, **move}
    return {
        "flow": "outside",
        "version": 1,
        "initial": "A",
        "states": [{"name": "A"}, {"name": "B"}, {"name": "C", "end": "completed"}, {"name": "NO", "end": "rejected"}],
        "transitions": [
            *({"from": "A", "action": path.upper(), "handler": path, **said} for path in paths),
            {"from": "B", "action": "NEXT", "to": "C", "actors": ["USER"]},
        ],
        "handlers": [
            *(
                {
                    "name": path,
                    "kind": "http",
                    "url": f"http://127.0.0.1:{port}/{path}",
                    "input": ["amount"],
                    "answerWithin": "1h",
                }
                for path in paths
                if path != "kafka"
            ),
            *([{"name": "kafka", "kind": "kafka", "input": ["amount"], "answerWithin": "1h"}] if "kafka" in paths else []),
            {"name": "UNDO", **(undo or {"kind": "http", "url": f"http://127.0.0.1:{port}/undo"})},
        ],
    }


def by_path(answers: Mapping[str, Answering]) -> Answering:
    """A service that answers each of these paths in its way, and others with 200."""

    async def answer(visit: Visit, writer: asyncio.StreamWriter) -> None:
        path = visit.head.split(" ", 2)[1].strip("/")
        await answers.get(path, reply(200))(visit, writer)

    return answer


@asynccontextmanager
async def outside(journeys: Journeys, answers: Mapping[str, Answering], **move: Any) -> AsyncIterator[Receiver]:
    """The flow with these steps, and the service behind them."""

    async def secrets(tenant_id: str, names: Collection[str]) -> Mapping[str, LiveSecret]:
        return {name: LiveSecret((SECRET,)) for name in names if name == "webhook_signing"}

    async with receiver(by_path(answers)) as at:
        definition = FlowDefinition.model_validate(document(at.port, answers, **move))
        journeys.flows = FollowedFlows({FlowKey("outside", 1): definition})
        policy = Policy(development=frozenset({("127.0.0.1", at.port)}))
        outbound = Outbound(policy, Limits(1, 1), trusting(None, "CA"), resolve=SystemResolver())
        calls = SignedCalls(outbound, secrets, lambda: datetime.now(UTC))
        journeys.outside = [HttpSteps(calls, journeys.ring, {}), KafkaSteps(journeys.ring)]
        yield at


def paths_of(at: Receiver) -> list[str]:
    return [visit.head.split(" ", 2)[1].strip("/") for visit in at.visits]
