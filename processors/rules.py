"""The Kafka door to rules, group `workflow-engine` (SP-11): entity changes, and orders to start one rule.

A thin door: what a message means to rules is `Occasion`, everything else is `domain.rules.batch`. Every rule runs at most
once per occasion, by a durable unique key, and a record that was handled before starts nothing, by the partition's books: so
an offset moved back, an emptied inbox and rules that were edited meanwhile repeat nothing.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from domain.rules import batch
from domain.rules.change import change_of
from domain.rules.followed_rules import FollowedRules
from domain.rules.matching import Direct, Occasion, token_of
from domain.rules.ordered import change_ordered
from domain.rules.sampling import Sample, SkipSamples
from domain.rules.starting import event_occurrence
from processors import rule_metrics
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.entities import EntityChangeEvent, contradiction, subject_of
from schemas.envelope import caused_by
from schemas.errors import UndecodableMessage
from schemas.models import Payload
from schemas.registry import RULES
from schemas.rule_events import StartRule


class Rules:
    """The processor of group `workflow-engine`."""

    group = RULES
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {model.TYPE: model for model in (EntityChangeEvent, StartRule)}

    def __init__(self, outbox: Outbox, wiring: Wiring, rules: FollowedRules, skips_shown_per_minute: int = 0) -> None:
        self._outbox, self._wiring, self._rules = outbox, wiring, rules
        self._samples = SkipSamples(skips_shown_per_minute)
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        payload = message.payload
        assert isinstance(payload, EntityChangeEvent | StartRule)
        return (message.tenant_id, payload.entity_type, payload.entity_id)

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, batch.State]:
        sound = [message for message in messages if _contradiction(message) is None]
        return await batch.load(conn, self._rules, [occasion_of(message) for message in sound])

    def decide(self, state: batch.State | None, message: Message, now: datetime) -> Decided[batch.State | None, batch.Ruling]:
        if problem := _contradiction(message):
            raise UndecodableMessage(problem)
        after, ruling = batch.decide(state, _looked_at(state, message) or occasion_of(message), now)
        return Decided(after, ruling)

    async def save(
        self, conn: Connection, states: Mapping[Any, batch.State | None], outputs: Sequence[batch.Ruling], now: datetime
    ) -> None:
        samples = self._samples.choose(self._rules.book, [(one.occasion, one.skipped) for one in outputs], now)
        await batch.save(conn, self._outbox, self._wiring, outputs, samples)
        _count(outputs, samples)


def _count(rulings: Sequence[batch.Ruling], samples: Sequence[Sample]) -> None:
    """Skips by reason. Of a batch that is repeated they are counted again."""
    skips: Counter[str] = Counter()
    for ruling in rulings:
        skips.update(ruling.skipped)
        skips.update(held.refused.reason for held in ruling.held)
    for reason, count in skips.items():
        rule_metrics.skips.labels(reason).inc(count)
    for sample in samples:
        rule_metrics.samples.labels(sample.cause).inc()


def _looked_at(state: batch.State | None, message: Message) -> Occasion | None:
    """What the message means to rules, where `load` found that out already; it did not look at what was handled before."""
    if state is None or message.record.replayed:
        return None
    looked = state.looked.get(_token(message))
    return looked.occasion if looked else None


def _token(message: Message) -> tuple[str, str]:
    payload = message.payload
    if isinstance(payload, StartRule):
        return token_of(payload.occurrence, payload.rule_id)
    return token_of(event_occurrence(message.event.source, message.event.id))


def occasion_of(message: Message) -> Occasion:
    """What a message means to rules."""
    event, payload = message.event, message.payload
    sent_at = datetime.fromtimestamp(message.record.timestamp / 1000, UTC)
    if isinstance(payload, StartRule):
        return Occasion(
            change=change_ordered(payload, event.tenant, event.causation),
            name=payload.occurrence,
            subject_id=payload.subject_id or subject_of(payload.entity_type, payload.entity_id),
            sent_at=sent_at,
            replayed=message.record.replayed,
            direct=Direct(payload.rule_id, payload.trigger_type, payload.conditions_hold),
        )
    assert isinstance(payload, EntityChangeEvent)
    return Occasion(
        change=change_of(payload, caused_by(event)),
        name=event_occurrence(event.source, event.id),
        subject_id=payload.subject_id or subject_of(payload.entity_type, payload.entity_id),
        sent_at=sent_at,
        replayed=message.record.replayed,
    )


def _contradiction(message: Message) -> str | None:
    event, payload = message.event, message.payload
    return contradiction(event.tenant, event.id, payload) if isinstance(payload, EntityChangeEvent) else None
