"""Whom the rules reach: a webhook receiver and a mail relay on the loopback. Now and then they say "not now".

They remember in the order of arrival. What a receiver is told to refuse it refuses for good, whenever it is asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.integration.outgoing.receivers import Receiver, Visit, receiver, reply
from tests.integration.outgoing.relays import Relay, relay
from tests.torture.rules.books import book
from tests.torture.rules.books.oracle import Said, refuses

# One call in so many is answered "not now" the first time; of mails, these answers come first.
_UNWILLING = 10
_RELAY_SAYS = ["250 OK", "451 busy", *["250 OK"] * 7] * 3


@dataclass
class Sinks:
    """`hooks` and `mails` are on their ports until the run ends."""

    hooks: Receiver
    mails: Relay

    @property
    def calls(self) -> list[tuple[str, Said]]:
        """Webhook id and what it says, call by call."""
        return [(visit.headers["webhook-id"], _said(visit)) for visit in self.hooks.visits]

    @property
    def letters(self) -> list[tuple[str, Said]]:
        """Message-ID and what the subject says, mail by mail that was taken."""
        return [(message["Message-ID"], read_title(message["Subject"])) for _, message in self.mails.taken]

    def count(self) -> tuple[int, int]:
        """Calls and mails so far."""
        return len(self.hooks.visits), self.mails.contents_seen


def read_title(title: str) -> Said:
    """What a text of ours says: rule, lead, number of the change."""
    rule, lead, n = title.split(" ")
    return rule, lead, int(n)


def _said(visit: Visit) -> Said:
    told = json.loads(visit.body)
    return told["rule"], told["lead"], int(told["n"])


@asynccontextmanager
async def sinks() -> AsyncIterator[Sinks]:
    """Both, open until the block ends."""
    asked: set[str] = set()

    async def answer(visit: Visit, writer: asyncio.StreamWriter) -> None:
        rule, lead, _ = _said(visit)
        await reply(_status(visit.headers["webhook-id"], refused=rule == book.GONE and refuses(lead)))(visit, writer)

    def _status(webhook_id: str, *, refused: bool) -> int:
        unwilling = webhook_id not in asked and int(webhook_id[:4], 16) % _UNWILLING == 0
        asked.add(webhook_id)
        return 503 if unwilling else 410 if refused else 200

    async with receiver(answer) as hooks, relay() as mails:
        mails.contents_say = list(_RELAY_SAYS)
        yield Sinks(hooks, mails)
