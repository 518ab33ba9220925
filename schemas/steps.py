"""What a handler outside is asked, over HTTP or Kafka, and what it answers over Kafka.

Only ids and codes, the members of the case that the flow's definition names for this handler, and of an undo what its forward
step gave.
"""

from typing import Any, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.models import Code, Identifier, Payload, Text, Version


class StepRequested(Payload):
    """A handler is asked to make an attempt of a step. `idempotencyId` is the same in all of them, `effectId` its own.

    A reply repeats `instanceId`, `step`, `attempt` and `effectId`. `callback`: the path where a later answer is taken.
    """

    TYPE: ClassVar[str] = "StepRequested"
    instance_id: Identifier
    step: Code
    attempt: Version
    effect_id: Identifier
    idempotency_id: Identifier
    flow: Code
    flow_version: Version
    user_id: Identifier
    state: Code
    action: Code
    handler: Code
    undoes: Version | None = None
    callback: Text | None = None
    input: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] | None = None


class StepReplied(Payload):
    """A handler's answer. With `code` it failed by that code: again if `retryable`, and perhaps done if `unknown`.

    Without it was done: `outcome` chooses among the transition's outcomes, `data` becomes part of the case.
    """

    TYPE: ClassVar[str] = "StepReplied"
    instance_id: Identifier
    step: Code
    attempt: Version
    effect_id: Identifier
    outcome: Code | None = None
    data: dict[str, Any] | None = None
    code: Code | None = None
    retryable: bool = False
    unknown: bool = False

    @model_validator(mode="after")
    def _says_one_thing(self) -> "StepReplied":
        if self.code is not None and (self.outcome is not None or self.data is not None):
            raise PydanticCustomError("step_answer", "a call that failed has a code, one that was done an outcome and data")
        return self
