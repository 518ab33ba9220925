"""What code of a step is: the values that it gets and gives. An author of handlers needs nothing else of this house.

    async def create_account(call: StepCall) -> StepResult:
        number = await bank.open_account(call.case["profile"], idempotency_key=call.idempotency_id)
        return StepResult({"account": number})

    HANDLERS = {"create-account": create_account}

A handler may be called again with the same `idempotency_id`, also after it was done: its process may die before anybody heard.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StepCall:
    """One attempt. `case`: what is known of the person by now; `result`: of an undo, what its forward step gave."""

    tenant_id: str
    instance_id: str
    flow: str
    flow_version: int
    state: str
    action: str
    handler: str
    step: int
    attempt: int
    idempotency_id: UUID
    case: Mapping[str, Any] = field(default_factory=dict, repr=False)
    result: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StepResult:
    """Done. `data` becomes part of the case; `outcome` chooses among the transition's outcomes."""

    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    outcome: str | None = None


class NotDone(Exception):
    """The handler is sure that nothing was done. `code`: a short word without anything of a person.

    Any other exception means that nobody knows, so that a saga undoes the step too.
    """

    def __init__(self, code: str, *, retryable: bool = True) -> None:
        super().__init__(code)
        self.code, self.retryable = code, retryable


Handler = Callable[[StepCall], Awaitable[StepResult | Mapping[str, Any] | None]]
