"""Steps whose handler reads a topic: the request is made and sealed here, and leaves in the transaction that records it.

So a request is on the topic exactly if its call counts as made, and no transaction waits for a key service. The handler's
answer is a StepReplied on the topic of replies, or a callback.
"""

from domain.effects.effect import Answer, Call, Done
from domain.onboarding.asking import Words, asked, fault_of, target_of
from domain.onboarding.calls import KIND
from domain.onboarding.sealing import Keys
from domain.onboarding.waiting import detail_of
from schemas.errors import DecryptionFailed
from schemas.registry import STEP_REQUESTS
from workers.senders.step_answers import given_up
from workers.senders.step_words import ERASED, opened, sealed_for


class KafkaSteps:
    """The sender of kind `step-kafka`."""

    kind = KIND["kafka"]

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def send(self, call: Call) -> Answer:
        """Make the request."""
        target = target_of(call.request)
        if target.topic != STEP_REQUESTS:
            return given_up("topic-unknown", unknown=False)
        try:
            words = await opened(self._keys, call.tenant_id, call.request)
        except DecryptionFailed:
            return ERASED
        full = asked(call.effect_id, call.request, words)
        detail = detail_of(target.answer_within, asked(call.effect_id, call.request, Words({})))
        said = {name: value for name, value in (("input", full.input), ("result", full.result)) if value}
        if not said:
            return Done(detail)
        if fault_of(said) is not None:
            return given_up("payload-too-large", unknown=False)
        sealed = await sealed_for(self._keys, call, said)
        return ERASED if sealed is None else Done({**detail, **sealed})
