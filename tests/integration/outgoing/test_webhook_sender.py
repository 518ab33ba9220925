"""Webhooks against a real receiver: signed, repeatable by their id, classified, and closed to what does not belong."""

import asyncio
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from domain.secrets.naming import as_signing_secret
from domain.secrets.reads import LiveSecret
from domain.templating import parse, render
from runtime.outbound import Limits, Outbound, Policy
from runtime.outbound.client import trusting
from runtime.outbound.dialing import SystemResolver
from schemas.errors import DecryptionFailed, TransientError
from schemas.outgoing import PAYLOAD_BYTES, WebhookRequest
from tests.integration.outgoing.conftest import Clock
from tests.integration.outgoing.receivers import Receiver, Visit, in_turn, receiver, reply
from workers.senders.signed_calls import SignedCalls
from workers.senders.webhook import WebhookSender

OLD, NEW = as_signing_secret(b"o" * 32), as_signing_secret(b"n" * 32)
CANARY = "canary-7f3a"


def secrets(**values: str | tuple[str, ...]) -> Any:
    """A tenant's live secrets; a text is a secret with one value."""

    async def read(tenant_id: str, names: Collection[str]) -> Mapping[str, LiveSecret]:
        assert tenant_id == "acme"
        live = {name: (value,) if isinstance(value, str) else value for name, value in values.items()}
        return {name: LiveSecret(live[name]) for name in names if name in live}

    return read


def sender(at: Receiver, clock: Clock, known: Any = None, limits: Limits | None = None) -> WebhookSender:
    policy = Policy(development=frozenset({("127.0.0.1", at.port)}))
    outbound = Outbound(policy, limits or Limits(1, 2), trusting(None, "CA"), resolve=SystemResolver())
    return WebhookSender(SignedCalls(outbound, known or secrets(webhook_signing=NEW), clock))


def call(at: Receiver, effect_id: UUID | None = None, attempt: int = 1, **request: Any) -> Call:
    given = {"url": f"http://127.0.0.1:{at.port}/hook", "body": '{"name": "Nguyễn Văn An"}', **request}
    return Call(effect_id or uuid4(), "acme", attempt, WebhookRequest(**given).to_request(), f"127.0.0.1:{at.port}")


def verify(visit: Visit, secret: str) -> Any:
    return Webhook(secret).verify(visit.body, visit.headers)


@pytest.mark.requirement("trap-31")
async def test_a_receiver_verifies_the_signature_and_knows_a_repetition_by_its_id(clock: Clock) -> None:
    async with receiver(in_turn(reply(503), reply(204))) as at:
        effect_id = uuid4()
        first = await sender(at, clock).send(call(at, effect_id))
        clock.moment = datetime.now(UTC) + timedelta(seconds=90)
        second = await sender(at, clock).send(call(at, effect_id, attempt=2))
        assert (first, second) == (Retry("http-503", None, {"status": 503}), Done({"status": 204}))
        assert [verify(visit, NEW) for visit in at.visits] == [{"name": "Nguyễn Văn An"}] * 2
        assert {visit.headers["webhook-id"] for visit in at.visits} == {str(effect_id)}
        times = [int(visit.headers["webhook-timestamp"]) for visit in at.visits]
        assert 85 <= times[1] - times[0] <= 95


async def test_while_a_secret_changes_receivers_with_either_one_verify(clock: Clock) -> None:
    async with receiver(reply(200)) as at:
        await sender(at, clock, secrets(webhook_signing=(NEW, OLD))).send(call(at))
        (visit,) = at.visits
        assert verify(visit, OLD) == verify(visit, NEW)
        with pytest.raises(WebhookVerificationError):
            verify(visit, as_signing_secret(b"x" * 32))


async def test_a_changed_body_does_not_verify(clock: Clock) -> None:
    async with receiver(reply(200)) as at:
        await sender(at, clock).send(call(at))
        at.visits[0].body = b"{}"
        with pytest.raises(WebhookVerificationError):
            verify(at.visits[0], NEW)


async def test_a_tenant_without_a_signing_secret_signs_nothing_and_one_that_names_it_must_have_it(clock: Clock) -> None:
    async with receiver(reply(200)) as at:
        without = sender(at, clock, secrets())
        assert await without.send(call(at)) == Done({"status": 200})
        assert "webhook-signature" not in at.visits[0].headers
        assert await without.send(call(at, signing_secret="mine")) == Refused("secret-missing")
        assert await sender(at, clock, secrets(mine="no key")).send(call(at, signing_secret="mine")) == Refused(
            "signing-secret-form"
        )
        assert at.connections == 1


@pytest.mark.requirement("trap-33")
async def test_a_secret_is_put_into_its_header_and_nowhere_else(clock: Clock) -> None:
    async with receiver(reply(401)) as at:
        header = render(parse("Bearer {{secret:crm_token}}"), {}, "header")
        asked = call(at, headers={"Authorization": header, "X-Name": "Hà Nội"})
        assert CANARY not in json.dumps(dict(asked.request))
        known = secrets(crm_token=CANARY, webhook_signing=NEW)
        answer = await sender(at, clock, known).send(asked)
        (visit,) = at.visits
        assert visit.headers["authorization"] == f"Bearer {CANARY}"
        assert visit.headers["x-name"].encode("latin-1").decode() == "Hà Nội"
        assert CANARY not in repr(answer)
        assert CANARY not in repr(await known("acme", ["crm_token"]))
        assert await sender(at, clock, secrets()).send(asked) == Refused("secret-missing")


@pytest.mark.requirement("trap-34")
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-A": "b\r\nX-Evil: 1"}, "header-control-character"),
        ({"X-A": "b\nX-Evil: 1"}, "header-control-character"),
        ({"X-A": "b\x00"}, "header-control-character"),
        ({"Host": "metadata.google.internal"}, "header-reserved"),
        ({"content-length": "0"}, "header-reserved"),
        ({"Transfer-Encoding": "chunked"}, "header-reserved"),
        ({"Webhook-Id": "1"}, "header-reserved"),
        ({"webhook-signature": "v1,x"}, "header-reserved"),
        ({"Proxy-Authorization": "x"}, "header-reserved"),
    ],
)
async def test_a_header_adds_no_header_and_takes_none_of_ours(headers: dict[str, str], reason: str, clock: Clock) -> None:
    async with receiver(reply(200)) as at:
        assert await sender(at, clock).send(call(at, headers=headers)) == Refused(reason)
        assert at.connections == 0


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *[(status, Done) for status in (200, 201, 202, 204, 299)],
        *[(status, Retry) for status in (408, 425, 429, 500, 502, 503, 504, 599)],
        *[(status, Refused) for status in (301, 302, 307, 400, 401, 403, 404, 409, 410, 413, 422, 451)],
    ],
)
async def test_a_status_decides(status: int, expected: type[Answer], clock: Clock) -> None:
    async with receiver(reply(status, "location: http://127.0.0.1:1/")) as at:
        answer = await sender(at, clock).send(call(at))
        assert isinstance(answer, expected)
        assert answer.detail == {"status": status}
        assert at.connections == 1


@pytest.mark.parametrize(
    ("wanted", "seconds"),
    [("7", 7), ("0", 0), ("99999999999999", 3600), ("soon", None), ("-5", None), ("1.5", None), ("", None)],
)
async def test_a_wanted_wait_counts_up_to_an_hour(wanted: str, seconds: float | None, clock: Clock) -> None:
    async with receiver(reply(429, f"retry-after: {wanted}")) as at:
        assert await sender(at, clock).send(call(at)) == Retry("http-429", seconds, {"status": 429})


@pytest.mark.parametrize(("ahead", "seconds"), [(30, 30), (-30, 0), (86_400, 3600)])
async def test_a_wanted_wait_may_be_a_date(ahead: int, seconds: float, clock: Clock) -> None:
    clock.moment = datetime.now(UTC).replace(microsecond=0)
    date = format_datetime(clock.moment + timedelta(seconds=ahead), usegmt=True)
    async with receiver(reply(503, f"retry-after: {date}")) as at:
        assert await sender(at, clock).send(call(at)) == Retry("http-503", seconds, {"status": 503})


async def test_what_never_answers_is_tried_again_and_where_nobody_may_go_it_is_refused(clock: Clock) -> None:
    async def hang(_: Visit, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def reset(_: Visit, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with receiver(hang) as slow, receiver(reset) as gone:
        assert await sender(slow, clock, limits=Limits(0.1, 0.2)).send(call(slow)) == Retry("network-timeout")
        answer = await sender(gone, clock).send(call(gone))
        assert isinstance(answer, Retry)
        assert answer.reason in ("network-network", "network-protocol")
        elsewhere = call(slow, url="https://169.254.169.254/latest/meta-data/")
        assert await sender(slow, clock).send(elsewhere) == Refused("denied-address-link-local")


async def test_a_payload_of_twenty_kilobytes_goes_and_one_more_byte_does_not(clock: Clock) -> None:
    async with receiver(reply(200)) as at:
        assert await sender(at, clock).send(call(at, body="x" * PAYLOAD_BYTES)) == Done({"status": 200})
        too_long = await sender(at, clock).send(call(at, body="ă" * (PAYLOAD_BYTES // 2) + "x"))
        assert too_long == Refused("payload-too-large", {"bytes": PAYLOAD_BYTES + 1})
        assert len(at.visits[0].body) == PAYLOAD_BYTES


async def test_the_method_is_the_rules_and_an_empty_body_has_no_type(clock: Clock) -> None:
    async with receiver(reply(200)) as at:
        await sender(at, clock).send(call(at, method="DELETE", body=""))
        await sender(at, clock).send(call(at, headers={"content-type": "text/plain"}, body="x"))
        first, second = at.visits
        assert first.head.startswith("DELETE /hook HTTP/1.1")
        assert "content-type" not in first.headers
        assert second.head.lower().count("content-type") == 1
        assert second.headers["content-type"] == "text/plain"


async def test_keys_that_are_away_make_it_wait_and_a_broken_secret_does_not(clock: Clock) -> None:
    async def away(*_: object) -> Mapping[str, LiveSecret]:
        raise TransientError("away")

    async def broken(*_: object) -> Mapping[str, LiveSecret]:
        raise DecryptionFailed("broken")

    async with receiver(reply(200)) as at:
        assert await sender(at, clock, away).send(call(at)) == Retry("secrets-away")
        assert await sender(at, clock, broken).send(call(at)) == Refused("secret-unreadable")
        garbled = Call(uuid4(), "acme", 1, {"address": "x"}, "")
        assert await sender(at, clock).send(garbled) == Refused("request-unreadable")
        assert at.connections == 0
