"""How effects ended: ids and codes only, for whoever follows along. They have no number; a retried effect may end again."""

from typing import ClassVar

from schemas.models import Code, Count, Identifier, Payload


class _EffectEnded(Payload):
    effect_id: Identifier
    owner_kind: Code
    owner_id: Identifier
    action_index: Count
    kind: Code


class EffectSucceeded(_EffectEnded):
    """The other side has it, or it was performed here."""

    TYPE: ClassVar[str] = "EffectSucceeded"


class EffectFailed(_EffectEnded):
    """It was given up: refused, or its retries are used up. A person may order it once more."""

    TYPE: ClassVar[str] = "EffectFailed"
    code: Code
