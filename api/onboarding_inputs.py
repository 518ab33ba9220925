"""What a front end may send to journeys."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field, StrictBool, StrictInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from api.inputs import Input
from schemas.flows import FlowName
from schemas.models import Code, Identifier

InstanceId = Annotated[Identifier, Path(description="Id of the instance")]
Said = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "description": "What the person says; sealed, never shown again", "maxProperties": 200}),
    Field(max_length=200),
]


class StartBody(Input):
    """Begin a journey. `userId` is for those who may begin one for others; a customer's own is in the token."""

    user_id: Identifier | None = None
    flow: FlowName = "customer-onboarding"
    data: Said | None = None


class ActionBody(Input):
    """Do the next thing. `expectedVersion` (or If-Match): only if nothing has happened since."""

    action: Code
    expected_version: Annotated[StrictInt, Field(ge=1, lt=2**63)] | None = None
    data: Said | None = None


class StepAnswer(Input):
    """How a call of a step ended. With `code` it failed by that code: again if `retryable`, and perhaps done if `unknown`.
    Without it was done: `outcome` chooses the way, `data` becomes part of the case."""

    outcome: Code | None = None
    data: Said | None = None
    code: Code | None = None
    retryable: StrictBool = False
    unknown: StrictBool = False

    @model_validator(mode="after")
    def _says_one_thing(self) -> "StepAnswer":
        if self.code is not None and (self.outcome is not None or self.data is not None):
            raise PydanticCustomError("step_answer", "a call that failed has a code, one that was done an outcome and data")
        return self
