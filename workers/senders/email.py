"""Mails: one conversation with the relay for each, and what its answers mean.

| the relay says | means |
|---|---|
| 250 to the contents | done; recipients that it refused are counted in the answer, by their place |
| 4xx to the sender, to somebody of `to`, or to the contents | again; nobody has it |
| 4xx to somebody of `cc` alone | the others get it now: a copy is not worth a second mail to all |
| 5xx to the sender, to everybody, or to the contents | refused |
| nothing, or no login, or no TLS | again: it is the relay, not the mail |

A relay that took the contents and whose answer was lost gets the mail again, with the same Message-ID.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import aiosmtplib
from aiosmtplib import SMTP
from pydantic import ValidationError

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from runtime.outbound.client import trusting
from runtime.settings import SmtpSettings
from schemas.outgoing import EmailRequest
from workers.senders.mail import Mail, compose

KIND = "email"
# Of a whole conversation, in steps' longest times.
_STEPS = 3


@dataclass(frozen=True, slots=True)
class _Said:
    """What the relay said to one recipient, by his place in the mail."""

    place: int
    code: int

    @property
    def later(self) -> bool:
        return 400 <= self.code < 500


class EmailSender:
    """One relay, by the settings. `clock` says the Date of a mail."""

    kind = KIND

    def __init__(self, settings: SmtpSettings, clock: Callable[[], datetime]) -> None:
        self._settings, self._clock = settings, clock
        self._tls: ssl.SSLContext | None = None
        if settings.security != "none":
            self._tls = trusting(settings.ca_file, "CASESTREAM_SMTP__CA_FILE")

    async def send(self, call: Call) -> Answer:
        """Hand the mail to the relay once."""
        given = self._settings
        if not given.host:
            return Refused("mail-not-configured")
        try:
            request = EmailRequest.model_validate(call.request)
        except ValidationError:
            return Refused("request-unreadable")
        mail = compose(request, call.effect_id, given.sender, given.domain, self._clock())
        if isinstance(mail, str):
            return Refused(mail)
        try:
            async with asyncio.timeout(given.timeout_seconds * _STEPS):
                return await self._converse(mail)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            return Retry("relay-timeout")
        except (aiosmtplib.SMTPException, OSError):
            return Retry("relay-away")

    async def _converse(self, mail: Mail) -> Answer:
        client = self._client()
        try:
            await client.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            client.close()
            return Retry(f"relay-login-{error.code}")
        try:
            answer = await _hand_over(client, self._settings.sender, mail)
            # It has answered; that it says goodbye is of no matter.
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            return answer
        finally:
            client.close()

    def _client(self) -> SMTP:
        given = self._settings
        return SMTP(
            hostname=given.host,
            port=given.port,
            local_hostname=given.domain,
            timeout=given.timeout_seconds,
            use_tls=given.security == "tls",
            start_tls=given.security == "starttls",
            tls_context=self._tls,
            username=given.username,
            password=given.password.get_secret_value() if given.password else None,
        )


async def _hand_over(client: SMTP, sender: str, mail: Mail) -> Answer:
    try:
        await client.mail(sender)
    except aiosmtplib.SMTPSenderRefused as error:
        return _by_code("sender", error.code)
    refused = await _name_recipients(client, mail.recipients)
    waiting = [said for said in refused if said.later and said.place < mail.direct]
    if waiting or len(refused) == len(mail.recipients):
        later = waiting or [said for said in refused if said.later]
        detail = _counted(mail, refused)
        return Retry(f"recipient-{later[0].code}", None, detail) if later else Refused("recipients-refused", detail)
    try:
        await client.data(mail.content)
    except aiosmtplib.SMTPDataError as error:
        return _by_code("contents", error.code)
    return Done(_counted(mail, refused))


async def _name_recipients(client: SMTP, recipients: Sequence[str]) -> list[_Said]:
    refused: list[_Said] = []
    for place, recipient in enumerate(recipients):
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused.append(_Said(place, error.code))
    return refused


def _by_code(what: str, code: int) -> Answer:
    return Refused(f"{what}-{code}") if code >= 500 else Retry(f"{what}-{code}")


def _counted(mail: Mail, refused: Sequence[_Said]) -> dict[str, object]:
    """Places, never addresses: an outcome is kept longer than a mail."""
    counted: dict[str, object] = {"accepted": len(mail.recipients) - len(refused)}
    return counted | {"refused": [{"recipient": said.place, "code": said.code} for said in refused]} if refused else counted
