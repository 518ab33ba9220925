"""Mails through a real relay: what it takes, what it refuses, and what no value can add."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.effects.effect import Call, Done, Refused, Retry
from runtime.settings import SmtpSettings
from schemas.outgoing import EmailRequest
from tests.integration.outgoing.authority import make_authority
from tests.integration.outgoing.conftest import Clock
from tests.integration.outgoing.relays import LOGIN, PASSWORD, Relay, relay
from workers.senders.email import EmailSender

AN, BINH, CHI = "an@example.com", "binh@example.com", "chi@example.com"


def sender(at: Relay, clock: Clock, **settings: Any) -> EmailSender:
    given = {"host": "127.0.0.1", "port": at.port, "security": "none", "sender": "crm@example.com", "domain": "mail.example"}
    return EmailSender(SmtpSettings.model_validate({**given, "timeout_seconds": 2, **settings}), clock)


def call(effect_id: UUID | None = None, **request: Any) -> Call:
    words = {"to": (AN,), "subject": "Chào mừng", "text": "Xin chào An.\r\n.\r\n", "html": "<p>Xin chào <b>An</b></p>"}
    return Call(effect_id or uuid4(), "acme", 1, EmailRequest(**{**words, **request}).to_request(), "relay")


@pytest.mark.requirement("trap-31")
async def test_a_mail_arrives_whole_with_its_effects_id(clock: Clock) -> None:
    async with relay() as at:
        effect_id = uuid4()
        answer = await sender(at, clock).send(call(effect_id, cc=(BINH,), reply_to=CHI))
        assert answer == Done({"accepted": 2})
        ((recipients, message),) = at.taken
        assert recipients == [AN, BINH]
        assert message["Message-ID"] == f"<{effect_id}@mail.example>"
        assert (message["From"], message["To"], message["Cc"], message["Reply-To"]) == ("crm@example.com", AN, BINH, CHI)
        assert message["Subject"] == "Chào mừng"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message.get_content_type() == "multipart/alternative"
        text, html = message.iter_parts()
        # A line with a full stop alone ends a mail's contents, but not this one's.
        assert text.get_content().replace("\r\n", "\n") == "Xin chào An.\n.\n"
        assert html.get_content().strip() == "<p>Xin chào <b>An</b></p>"


async def test_a_repeated_mail_has_the_same_id(clock: Clock) -> None:
    async with relay() as at:
        effect_id = uuid4()
        for _ in range(2):
            assert await sender(at, clock).send(call(effect_id)) == Done({"accepted": 1})
        assert {message["Message-ID"] for _, message in at.taken} == {f"<{effect_id}@mail.example>"}


@pytest.mark.requirement("trap-34")
@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"subject": "Hi\r\nBcc: evil@example.com"}, "header-injection"),
        ({"subject": "Hi\nX: y"}, "header-injection"),
        ({"subject": "Hi\u2028X: y"}, "header-injection"),
        ({"subject": "x" * 2001}, "subject-too-long"),
        ({"to": ("an@example.com\r\nBcc: evil@example.com",)}, "address-form"),
        ({"to": ("an@example.com, evil@example.com",)}, "address-form"),
        ({"to": ("An <an@example.com>",)}, "address-form"),
        ({"to": ("an@example.com>\r\nRCPT TO:<evil@example.com",)}, "address-form"),
        ({"to": ('"an"@example.com',)}, "address-form"),
        ({"to": ("an",)}, "address-form"),
        ({"to": ("",)}, "address-form"),
        ({"to": ("ăn@example.com",)}, "address-form"),
        ({"cc": ("x y@example.com",)}, "address-form"),
        ({"reply_to": "a@b@c"}, "address-form"),
    ],
)
async def test_no_value_adds_a_header_or_a_recipient(request_: dict[str, Any], reason: str, clock: Clock) -> None:
    async with relay() as at:
        assert await sender(at, clock).send(call(**request_)) == Refused(reason)
        assert at.contents_seen == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [("450 later", Retry("contents-450")), ("554 spam", Refused("contents-554")), ("552 too much", Refused("contents-552"))],
)
async def test_what_the_relay_says_to_the_contents_decides(code: str, expected: object, clock: Clock) -> None:
    async with relay() as at:
        at.contents_say = [code]
        assert await sender(at, clock).send(call()) == expected
        assert at.taken == []


@pytest.mark.parametrize(("code", "expected"), [("451 later", Retry("sender-451")), ("550 no relaying", Refused("sender-550"))])
async def test_what_the_relay_says_to_the_sender_decides(code: str, expected: object, clock: Clock) -> None:
    async with relay() as at:
        at.sender_says = code
        assert await sender(at, clock).send(call()) == expected


async def test_a_refused_recipient_is_counted_by_his_place_and_the_others_get_it(clock: Clock) -> None:
    async with relay() as at:
        at.recipients_say = {BINH: "550 no such user"}
        answer = await sender(at, clock).send(call(to=(AN, BINH), cc=(CHI,)))
        assert answer == Done({"accepted": 2, "refused": [{"recipient": 1, "code": 550}]})
        assert [recipients for recipients, _ in at.taken] == [[AN, CHI]]


async def test_when_everybody_is_refused_it_is_refused(clock: Clock) -> None:
    async with relay() as at:
        at.recipients_say = {AN: "550 no such user", BINH: "553 no such user"}
        answer = await sender(at, clock).send(call(to=(AN,), cc=(BINH,)))
        refused = [{"recipient": 0, "code": 550}, {"recipient": 1, "code": 553}]
        assert answer == Refused("recipients-refused", {"accepted": 0, "refused": refused})
        assert at.contents_seen == 0


async def test_a_recipient_who_must_wait_keeps_the_mail_from_nobody_twice(clock: Clock) -> None:
    async with relay() as at:
        at.recipients_say = {AN: "451 greylisted"}
        answer = await sender(at, clock).send(call(to=(AN, BINH)))
        assert answer == Retry("recipient-451", None, {"accepted": 1, "refused": [{"recipient": 0, "code": 451}]})
        assert at.contents_seen == 0
        at.recipients_say = {}
        assert await sender(at, clock).send(call(to=(AN, BINH))) == Done({"accepted": 2})
        assert len(at.taken) == 1


async def test_a_copy_that_must_wait_holds_up_nobody(clock: Clock) -> None:
    async with relay() as at:
        at.recipients_say = {CHI: "452 mailbox full"}
        answer = await sender(at, clock).send(call(cc=(CHI,)))
        assert answer == Done({"accepted": 1, "refused": [{"recipient": 1, "code": 452}]})


async def test_a_relay_that_is_slow_or_silent_or_gone_is_tried_again(clock: Clock) -> None:
    async with relay() as at:
        never = asyncio.Event()

        async def wait() -> None:
            await never.wait()

        at.before_contents = wait
        assert await sender(at, clock, timeout_seconds=0.2).send(call()) == Retry("relay-timeout")
        never.set()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(never_speaks.wait(), 10)
        writer.close()

    never_speaks = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    quiet = Relay(port=server.sockets[0].getsockname()[1])
    assert await sender(quiet, clock, timeout_seconds=0.2).send(call()) == Retry("relay-timeout")
    never_speaks.set()
    server.close()
    await server.wait_closed()
    assert await sender(quiet, clock).send(call()) == Retry("relay-away")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_the_relay_is_verified_and_the_login_travels_encrypted(security: str, clock: Clock, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    tls = authority.server_side("localhost")
    async with relay(**{security: tls}, login=True) as at:
        login = {"security": security, "host": "localhost", "username": LOGIN, "ca_file": authority.ca_file}
        good = sender(at, clock, **login, password=PASSWORD)
        assert await good.send(call()) == Done({"accepted": 1})
        assert (at.encrypted, at.logins) == ([True], [LOGIN.encode()])
        assert await sender(at, clock, **login, password="wrong").send(call()) == Retry("relay-login-535")
        stranger = {**login, "ca_file": None}
        assert await sender(at, clock, **stranger, password=PASSWORD).send(call()) == Retry("relay-away")
        assert len(at.taken) == 1


async def test_a_relay_without_starttls_gets_no_mail(clock: Clock) -> None:
    async with relay() as at:
        assert await sender(at, clock, security="starttls").send(call()) == Retry("relay-away")
        assert at.contents_seen == 0


async def test_without_a_relay_mails_are_refused_and_a_garbled_request_too(clock: Clock) -> None:
    assert await EmailSender(SmtpSettings(), clock).send(call()) == Refused("mail-not-configured")
    async with relay() as at:
        garbled = Call(uuid4(), "acme", 1, {"to": []}, "relay")
        assert await sender(at, clock).send(garbled) == Refused("request-unreadable")
