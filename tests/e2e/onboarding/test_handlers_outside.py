"""A loan from its application to the money: scored behind a topic, decided by a person, paid behind HTTP with a callback."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from standardwebhooks import Webhook

from schemas.onboarding import Advance, StartInstance
from schemas.registry import STEP_REPLIES, dlt_topic
from tests.e2e.onboarding.services import LOAN, SECRET, door_of, prepare, scoring
from tests.e2e.onboarding.stage import Stage, open_stage
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.outgoing.receivers import receiver, reply
from tests.waiting import until

CANARY = "canary-9e41"
LOAN_ID = "loan-1"


@pytest.fixture
async def stage(database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path) -> Stage:
    found = await open_stage(database, fresh_kafka, tmp_path)
    await prepare(found)
    return found


def _act(action: str, **data: object) -> Advance:
    return Advance(instance_id=LOAN_ID, action=action, requested_by="ann", data=data or None)


async def _effect_of(stage: Stage, handler: str) -> str:
    query = "select effect_id::text as id from effects where endpoint = $1 and state = 'succeeded'"
    (row,) = await until(lambda: stage.rows(query, f"handler:{handler}"), what=f"{handler} to have been asked")
    return str(row["id"])


@pytest.mark.requirement("WF-1", "WF-13", "SP-4", "trap-79")
async def test_a_loan_is_scored_decided_and_paid_by_others_and_each_answers_in_his_time(stage: Stage) -> None:
    door = door_of(stage)
    async with receiver(reply(202)) as payments, scoring(stage) as scorer:
        told = {
            "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS": json.dumps([f"127.0.0.1:{payments.port}"]),
            "CASESTREAM_ONBOARDING__ADDRESSES": json.dumps([f"loan-application/pay-out=http://127.0.0.1:{payments.port}/pay"]),
        }
        async with stage.running(0.0, "api", **door.environment, **told):
            await stage.order(
                StartInstance(instance_id=LOAN_ID, flow=LOAN.flow, flow_version=LOAN.version, user_id="ann"),
                _act("SUBMIT", amount=5000, account="7", name=CANARY),
            )
            record, request = await scorer.asked()
            assert (record.key, request.handler, request.input) == (
                f"acme|onboarding|{LOAN_ID}".encode(),
                "credit-score",
                {"amount": 5000},
            )
            # Nobody's: not JSON, of no call, of another call. The step goes on waiting.
            await scorer.reply(request, raw=f'{{"name": "{CANARY}'.encode())
            await scorer.reply(request.model_copy(update={"effect_id": "x"}), outcome="REFUSED")
            await scorer.reply(request.model_copy(update={"instance_id": "loan-2"}), data={"score": 1})
            await scorer.reply(request, data={"score": 700})
            await scorer.reply(request, code="too-late")
            await stage.becomes(LOAN_ID, "AWAITING_REVIEWS", state="DECISION_PENDING")
            (item,) = await until(
                lambda: stage.rows("select id::text as id from work_items where status = 'open'"), what="the decision's task"
            )
            await stage.act_on_item(item["id"], "StartWork", "Resolve", "Close")
            await stage.becomes(LOAN_ID, "ACTIVE", state="OFFER_SENT")
            await stage.order(_act("ACCEPT"))
            effect_id = await _effect_of(stage, "pay-out")
            (visit,) = payments.visits
            asked = Webhook(SECRET).verify(visit.body, visit.headers)
            assert (asked["effectId"], asked["input"]) == (effect_id, {"amount": 5000, "account": "7"})
            paid = await door.complete(effect_id, {"data": {"payment": CANARY}})
            assert (paid.status_code, paid.json()["applied"]) == (200, True)
            await stage.becomes(LOAN_ID, "COMPLETED", state="PAID_OUT")
            again = await door.complete(effect_id, {"data": {"payment": "again"}})
            assert (again.status_code, again.json()["applied"]) == (200, False)
            headers = await _parked_headers(stage)
    assert await stage.handlers(LOAN_ID) == ["credit-score", "reserve-funds", "pay-out"]
    assert len(payments.visits) == 1
    assert CANARY not in headers
    assert CANARY not in (stage.book.parent / "log").read_text(encoding="utf-8")
    assert await stage.rows("select from timers where timer_key like 'onboarding-call/%' and state = 'armed'") == []


async def _parked_headers(stage: Stage) -> str:
    """Of the reply that was no JSON."""
    topic = stage.kafka.topic(dlt_topic(STEP_REPLIES, "onboarding"))
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stage.kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await until(lambda: _first(consumer), what="the copy of the reply that nobody can read")
        assert record is not None
        return str(record.headers)
    finally:
        await consumer.stop()


async def _first(consumer: AIOKafkaConsumer) -> ConsumerRecord[bytes, bytes] | None:
    found = await consumer.getmany(timeout_ms=500)
    return next((record for records in found.values() for record in records), None)
