"""The senders of a process: every kind that leaves it, with a pool and a key ring of their own for tenants' secrets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from domain.effects.effect import Sender
from domain.onboarding.engine import Engine
from domain.onboarding.sealing import Keys
from runtime.keys.ring import open_key_ring
from runtime.outbound import open_outbound
from runtime.postgres import KEY_LOOKUPS, open_pool
from runtime.settings import Settings
from workers.senders.email import EmailSender
from workers.senders.secrets_access import stored_secrets
from workers.senders.signed_calls import SignedCalls
from workers.senders.step_http import HttpSteps
from workers.senders.step_journal import StepJournal
from workers.senders.step_kafka import KafkaSteps
from workers.senders.step_python import PythonSteps, load_handlers
from workers.senders.webhook import WebhookSender

_CONNECTIONS = 4


@asynccontextmanager
async def open_senders(settings: Settings, steps: Keys | None = None) -> AsyncIterator[Sequence[Sender]]:
    """Open until the block ends. Raises ConfigurationError. `steps`: the ring for steps, where they are called.

    What a handler gave is sealed with a key that the transaction which folds it finds near, if they share a ring.
    """
    pool = await open_pool(settings, "worker", size=_CONNECTIONS, reset=False, planner=KEY_LOOKUPS)
    try:
        async with open_key_ring(settings) as keys:
            with open_outbound(settings.outbound) as outbound:
                calls = SignedCalls(outbound, stored_secrets(pool, keys), _now)
                outgoing: list[Sender] = [EmailSender(settings.smtp, _now), WebhookSender(calls)]
                if steps is not None:
                    outgoing += [HttpSteps(calls, steps, _addresses(settings)), KafkaSteps(steps)]
                yield outgoing
    finally:
        await pool.close()


@asynccontextmanager
async def open_python_steps(settings: Settings, engine: Engine) -> AsyncIterator[Sender]:
    """The sender of steps whose code is installed here, with the journal that its code asks. Raises ConfigurationError."""
    handlers = load_handlers(settings.onboarding.handlers)
    pool = await open_pool(settings, "worker", size=_CONNECTIONS, min_size=0)
    try:
        yield PythonSteps(handlers, engine.keys, StepJournal(pool, engine))
    finally:
        await pool.close()


def _addresses(settings: Settings) -> dict[str, str]:
    said = [text.partition("=") for text in settings.onboarding.addresses]
    return {handler: url for handler, _, url in said}


def _now() -> datetime:
    return datetime.now(UTC)
