"""The services behind a loan: one that scores, behind a topic, and one that pays, behind HTTP; they answer as the test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from domain.onboarding.definitions import import_flow, released_flows
from domain.onboarding.flow import FlowKey
from domain.secrets.commands import put_secret
from domain.secrets.naming import SIGNING, as_signing_secret
from runtime.keys.ring import open_key_ring
from runtime.postgres import open_pool, tenants_transaction
from runtime.stack.home import Home
from runtime.stack.issuer import create_issuer, sign
from runtime.stack.ports import free_ports
from runtime.stack.state import development_issuer
from schemas.envelope import to_headers
from schemas.flows import FlowDefinition
from schemas.registry import STEP_REPLIES, STEP_REQUESTS
from schemas.steps import StepReplied, StepRequested
from tests.e2e.onboarding.stage import TENANT, Stage
from tests.e2e.shell.harness import event, produce, settings_for
from tests.waiting import until

SECRET = as_signing_secret(b"p" * 32)
LOAN = FlowKey("loan-application", 2)


def loan() -> FlowDefinition:
    """The release's loan, but scored behind a topic."""
    said = released_flows()[FlowKey("loan-application", 1)].as_document()
    handlers = [one for one in said["handlers"] if one["name"] != "credit-score"]
    scoring = {"name": "credit-score", "kind": "kafka", "effects": False, "input": ["amount"]}
    return FlowDefinition.model_validate({**said, "version": LOAN.version, "handlers": [scoring, *handlers]})


async def prepare(stage: Stage) -> None:
    """The flow and the secret that signs, in the stage's tenant; the topic of requests."""
    await stage.kafka.create_topics([STEP_REQUESTS], 2)
    settings = settings_for(stage.database, stage.kafka)
    pool = await open_pool(settings, "worker", size=2)
    try:
        async with open_key_ring(settings) as keys, tenants_transaction(pool, [TENANT]) as conn:
            assert await put_secret(conn, keys, TENANT, SIGNING, SECRET, actor="an") == 1
            assert await import_flow(conn, TENANT, loan(), "an") == "imported"
    finally:
        await pool.close()


@dataclass
class Door:
    """The HTTP door of the stage's process, and a service's token for it."""

    stage: Stage
    port: int
    head: dict[str, str]
    environment: dict[str, str]

    async def complete(self, call_id: str, body: dict[str, Any]) -> httpx.Response:
        """As the service that pays answers, once the door is open."""

        async def answered() -> httpx.Response | None:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                try:
                    url = f"http://127.0.0.1:{self.port}/api/v1/workflow-instance-steps/{call_id}/complete"
                    return await client.post(url, json=body, headers=self.head)
                except httpx.TransportError:
                    return None

        answer = await until(answered, what="the door to open")
        assert answer is not None
        return answer


def door_of(stage: Stage) -> Door:
    home = Home(stage.book.parent / "home", stage.book.parent / "cache")
    claims = {"sub": "payments", "tenant": TENANT, "roles": ["step-handler"]}
    head = {"authorization": f"Bearer {sign(claims, create_issuer(home))}"}
    (port,) = free_ports(1)
    environment = {
        "CASESTREAM_HTTP__PORT": str(port),
        "CASESTREAM_JWT_ISSUERS": json.dumps([development_issuer(home)]),
    }
    return Door(stage, port, head, environment)


@dataclass
class Scoring:
    """Who reads the topic of requests."""

    stage: Stage
    consumer: AIOKafkaConsumer

    async def asked(self) -> tuple[ConsumerRecord[bytes, bytes], StepRequested]:
        """The next request."""
        record = await asyncio.wait_for(self.consumer.getone(), 90)
        assert record.value is not None
        return record, StepRequested.model_validate_json(record.value)

    async def reply(self, request: StepRequested, *, raw: bytes | None = None, **said: Any) -> None:
        """An answer to a request, under an id of its own; `raw` instead of what is right."""
        named = {name: getattr(request, name) for name in ("instance_id", "step", "attempt", "effect_id")}
        made = replace(
            event(StepReplied.model_validate({**named, **said}), TENANT),
            source="scoring",
            subject=request.instance_id,
            partitionkey=f"{TENANT}|onboarding|{request.instance_id}",
        )
        # What cannot be read is parked with its key, and what has the key waits behind it: this one is nobody's.
        await produce(self.stage.kafka, STEP_REPLIES, [made if raw is None else (b"nobody's", raw, to_headers(made))])


@asynccontextmanager
async def scoring(stage: Stage) -> AsyncIterator[Scoring]:
    consumer = AIOKafkaConsumer(
        stage.kafka.topic(STEP_REQUESTS), bootstrap_servers=stage.kafka.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        yield Scoring(stage, consumer)
    finally:
        await consumer.stop()
