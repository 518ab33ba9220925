"""Steps whose handler is a service behind HTTP: a signed call with no more of the case than the flow names for it.

`webhook-id` is the step's idempotency id, the same in every attempt; the body's `effectId` is the attempt's, by which a late
answer is known. What answers mean is in `step_answers`.
"""

from collections.abc import Mapping
from uuid import UUID

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from domain.onboarding.asking import asked, target_of
from domain.onboarding.calls import KIND
from domain.onboarding.sealing import Keys
from domain.onboarding.waiting import detail_of
from schemas.errors import DecryptionFailed
from schemas.outgoing import WebhookRequest
from workers.senders.signed_calls import SignedCalls
from workers.senders.step_answers import Later, given_up, meaning_of
from workers.senders.step_words import ERASED, done, opened


class HttpSteps:
    """The sender of kind `step-http`. `addresses`: by `flow/handler`, where a call goes here instead of to the flow's url."""

    kind = KIND["http"]

    def __init__(self, calls: SignedCalls, keys: Keys, addresses: Mapping[str, str]) -> None:
        self._calls, self._keys, self._addresses = calls, keys, addresses

    async def send(self, call: Call) -> Answer:
        """Call the handler once."""
        request, target = call.request, target_of(call.request)
        url = self._addresses.get(f"{request['flow']}/{request['handler']}") or target.url
        if url is None:
            return given_up("address-missing", unknown=False)
        try:
            words = await opened(self._keys, call.tenant_id, request)
        except DecryptionFailed:
            return ERASED
        body = asked(call.effect_id, request, words, callback=True).to_json().decode()
        signed = WebhookRequest(url=url, body=body, signing_secret=target.secret)
        said = await self._calls.ask(call.tenant_id, UUID(request["idempotencyId"]), signed, signed=True)
        meaning = meaning_of(said, first=call.attempt == 1)
        if isinstance(meaning, Retry | Refused):
            return meaning
        if isinstance(meaning, Later):
            return Done(detail_of(target.answer_within))
        return await done(self._keys, call, meaning)
