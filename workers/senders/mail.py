"""A mail as bytes: text and HTML as alternatives, the effect's id as Message-ID. Pure.

Every address is one bare address of ASCII, and every header one line: a value cannot add a header, a recipient or a body.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID

from schemas.outgoing import EmailRequest

# No quoted local parts, no comments, no display names: what is left has one reading.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{1,253}$)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
# Eight bits only inside encoded parts, so that any relay takes it.
_POLICY = SMTP.clone(cte_type="7bit")

LONGEST_SUBJECT = 2_000


@dataclass(frozen=True, slots=True)
class Mail:
    """What the relay gets. `recipients` each once, those of `to` first; `direct`: how many these are."""

    recipients: tuple[str, ...]
    direct: int
    content: bytes


def compose(request: EmailRequest, effect_id: UUID, sender: str, domain: str, now: datetime) -> Mail | str:
    """The mail, or a code for why there is none."""
    named = (*request.to, *request.cc, *([request.reply_to] if request.reply_to else []))
    if not all(_ADDRESS.fullmatch(address) for address in named):
        return "address-form"
    if _CONTROL.search(request.subject):
        return "header-injection"
    if len(request.subject) > LONGEST_SUBJECT:
        return "subject-too-long"
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(request.to)
    if request.cc:
        message["Cc"] = ", ".join(request.cc)
    if request.reply_to:
        message["Reply-To"] = request.reply_to
    message["Subject"] = request.subject
    message["Date"] = now
    message["Message-ID"] = f"<{effect_id}@{domain}>"
    # Absence notices are not to answer a rule.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(request.text)
    if request.html is not None:
        message.add_alternative(request.html, subtype="html")
    direct = tuple(dict.fromkeys(request.to))
    recipients = tuple(dict.fromkeys((*direct, *request.cc)))
    return Mail(recipients, len(direct), message.as_bytes())
