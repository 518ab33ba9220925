"""Planned effects leave through the real senders: each once, under its id, whatever the first answer was."""

import asyncio
import json
from typing import Any

import asyncpg

from domain.effects.effect import RetryPolicy
from domain.effects.wiring import DELAY
from domain.secrets.commands import put_secret
from runtime.cli.effect_kinds import wiring
from runtime.keys.ring import KeyRing
from runtime.postgres import tenants_transaction
from schemas.outgoing import EmailRequest, NotificationRequest, WebhookRequest
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import settings_for
from tests.integration.effects.world import Books, Ground, new
from tests.integration.outgoing.receivers import in_turn, receiver, reply
from tests.integration.outgoing.relays import relay
from tests.integration.outgoing.test_webhook_sender import NEW, verify
from tests.waiting import until
from workers.effects.running import run
from workers.senders.opening import open_senders


async def test_effects_of_all_three_kinds_are_made_and_told(
    pools: dict[str, asyncpg.Pool], ring: KeyRing, database: ClonedDatabase, keys_database: ClonedDatabase
) -> None:
    await pools["superuser"].execute("insert into users (tenant_id, user_id, display_name) values ('acme', 'an', 'An')")
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        await put_secret(conn, ring, "acme", "webhook_signing", NEW, actor="an")
    async with receiver(in_turn(reply(503), reply(200))) as at, relay() as mail:
        given = {
            "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS": json.dumps([f"127.0.0.1:{at.port}"]),
            "CASESTREAM_SMTP__HOST": "127.0.0.1",
            "CASESTREAM_SMTP__PORT": str(mail.port),
            "CASESTREAM_SMTP__SECURITY": "none",
            "CASESTREAM_SMTP__SENDER": "crm@example.com",
        }
        settings, books = settings_for(database, **given), Books()
        kinds: dict[str, Any] = {name: made for name, made in wiring(settings).internals.items() if name != DELAY}
        assert "notification" in kinds
        all_of_it = books.wiring(**kinds)
        webhook = WebhookRequest(url=f"http://127.0.0.1:{at.port}/", body='{"n": 1}')
        email = EmailRequest(to=("an@example.com",), subject="Hi", text="Hi")
        note = NotificationRequest(title="Hi", message="Hi", to_users=("an", "nobody"))
        effects = [
            new("run-1", 1, request=webhook.to_request(), retry=RetryPolicy(2, 0.05, "fixed")),
            new("run-1", 2, kind="email", endpoint="relay", request=email.to_request()),
            new("run-1", 3, kind="notification", endpoint="", request=note.to_request()),
        ]
        await Ground(database, pools["scan"], pools["worker"], pools["superuser"]).plan(*effects, wiring=all_of_it)
        stop = asyncio.Event()
        async with open_senders(settings) as senders, asyncio.TaskGroup() as group:
            group.create_task(run(settings, stop, senders, all_of_it))
            try:
                await until(lambda: len(books.heard) >= 3, what="every outcome")
            finally:
                stop.set()
        assert {(one.index, one.result) for one in books.heard} == {(1, "succeeded"), (2, "succeeded"), (3, "succeeded")}
        assert [verify(visit, NEW) for visit in at.visits] == [{"n": 1}] * 2
        assert {visit.headers["webhook-id"] for visit in at.visits} == {str(effects[0].id)}
        ((_, message),) = mail.taken
        assert message["Message-ID"] == f"<{effects[1].id}@casestream.invalid>"
        rows = await pools["superuser"].fetch("select user_id, notification_id from notifications")
        assert [tuple(row) for row in rows] == [("an", effects[2].id)]
