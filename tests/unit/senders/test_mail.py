"""A mail says what it was given and nothing else, whatever the words are."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outgoing import EmailRequest
from workers.senders.mail import Mail, compose

EFFECT, NOW = UUID(int=7), datetime(2026, 4, 30, 9, tzinfo=UTC)
HEADERS = {"from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"}
WORDS = st.text(max_size=300)


def composed(**words: object) -> Mail | str:
    request = EmailRequest.model_validate({"to": ["an@example.com"], "subject": "Hi", "text": "Hi", **words})
    return compose(request, EFFECT, "crm@example.com", "mail.example", NOW)


@pytest.mark.requirement("trap-34")
@given(subject=WORDS, text=WORDS, html=WORDS)
def test_no_words_add_a_header_or_a_part(subject: str, text: str, html: str) -> None:
    mail = composed(subject=subject, text=text, html=html)
    if isinstance(mail, str):
        assert mail == "header-injection"
        return
    message = message_from_bytes(mail.content, policy=policy.default)
    assert {name.lower() for name in message} == HEADERS
    assert len(message.items()) == len(HEADERS)
    assert message["Message-ID"] == f"<{EFFECT}@mail.example>"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    # Beyond ASCII only inside encoded parts, and no line that a relay could refuse.
    assert mail.content.isascii()
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_whatever_is_no_bare_address_makes_no_mail(addresses: list[str]) -> None:
    mail = composed(to=addresses)
    bare = all(
        address.isascii() and address.count("@") == 1 and not set(address) & set(' ,;:<>()[]\\"\r\n') for address in addresses
    )
    assert isinstance(mail, str) or bare


def test_nobody_gets_a_mail_twice() -> None:
    mail = composed(to=["an@example.com", "an@example.com"], cc=["binh@example.com", "an@example.com"])
    assert isinstance(mail, Mail)
    assert (mail.recipients, mail.direct) == (("an@example.com", "binh@example.com"), 1)
