"""What a front end may send to interactions, and the engine's callback."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from api.inputs import Input
from api.onboarding_inputs import Said, StepAnswer
from domain.interactions.interaction import Status
from schemas.flows import FlowName
from schemas.models import Code

InteractionId = Annotated[UUID, Path(description="Id of the interaction")]
StepName = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$", description="Its step")]
Wait = Annotated[
    float, Query(ge=0, le=30, description="Seconds to wait until something else is to be seen than If-None-Match names")
]


class InteractionBody(Input):
    """Begin a journey of one's own. What `data` may hold says part `start` of the flow's case definition."""

    flow: FlowName = "customer-onboarding"
    data: Said | None = None


class SubmitBody(Input):
    """What the customer says in a step. `action` where a step has several ways on."""

    action: Code = "NEXT"
    data: Said | None = None


class NoticeBody(StepAnswer):
    """A backend step ended: `effectId` names its call, the rest how it ended. `status` is what the engine believes; the
    instance's own counts."""

    effect_id: UUID | None = None
    status: Status | None = None
