"""A process's senders as the settings make them, down to a secret of the database in a header."""

import json
from uuid import uuid4

import asyncpg

from domain.effects.effect import Call, Done, Refused
from domain.secrets.commands import put_secret
from domain.templating import parse, render
from runtime.keys.ring import KeyRing
from runtime.postgres import tenants_transaction
from schemas.outgoing import EmailRequest, WebhookRequest
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import settings_for
from tests.integration.outgoing.receivers import receiver, reply
from tests.integration.outgoing.relays import relay
from workers.senders.opening import open_senders


async def test_a_process_sends_both_kinds(
    pools: dict[str, asyncpg.Pool], ring: KeyRing, database: ClonedDatabase, keys_database: ClonedDatabase
) -> None:
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        assert await put_secret(conn, ring, "acme", "crm_token", "of-acme", actor="an") == 1
    header = render(parse("Bearer {{secret:crm_token}}"), {}, "header")
    async with receiver(reply(200)) as at, relay() as mail:
        given = {
            "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS": json.dumps([f"127.0.0.1:{at.port}"]),
            "CASESTREAM_SMTP__HOST": "127.0.0.1",
            "CASESTREAM_SMTP__PORT": str(mail.port),
            "CASESTREAM_SMTP__SECURITY": "none",
            "CASESTREAM_SMTP__SENDER": "crm@example.com",
        }
        webhook = WebhookRequest(url=f"http://127.0.0.1:{at.port}/", headers={"Authorization": header}, body="{}")
        email = EmailRequest(to=("an@example.com",), subject="Hi", text="Hi")
        async with open_senders(settings_for(database, **given)) as opened:
            by_kind = {sender.kind: sender for sender in opened}
            assert by_kind.keys() == {"email", "webhook"}
            assert await by_kind["webhook"].send(Call(uuid4(), "acme", 1, webhook.to_request(), "")) == Done({"status": 200})
            # Another tenant has no such secret.
            foreign = await by_kind["webhook"].send(Call(uuid4(), "other", 1, webhook.to_request(), ""))
            assert foreign == Refused("secret-missing")
            assert await by_kind["email"].send(Call(uuid4(), "acme", 1, email.to_request(), "")) == Done({"accepted": 1})
        assert [visit.headers["authorization"] for visit in at.visits] == ["Bearer of-acme"]
        assert len(mail.taken) == 1
