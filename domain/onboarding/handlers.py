"""What code of a step is: the values that it gets and gives. An author of handlers needs nothing else of this house.

    async def create_account(call: StepCall) -> StepResult:
        number = await bank.open_account(call.case["profile"], idempotency_key=call.idempotency_id)
        return StepResult({"account": number})

    HANDLERS = {"create-account": create_account}

A module may also have VERSIONS, the newest version of each change that its code knows: journeys that begin then follow it.

A handler may be called again with the same `idempotency_id`, also after it was done: its process may die before anybody heard.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

# Side effects of one name in one step.
MOST_OF_A_NAME = 100


class Journal(Protocol):
    """Where an instance keeps what its code asked."""

    async def version(self, call: "StepCall", change_id: str, lowest: int, highest: int) -> int: ...

    async def value(self, call: "StepCall", name: str, occurrence: int, compute: Callable[[], Any]) -> Any: ...


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
    journal: Journal | None = field(default=None, repr=False, compare=False)
    _asked: Counter[str] = field(default_factory=Counter, repr=False, compare=False)

    async def get_version(self, change_id: str, lowest: int, highest: int) -> int:
        """The version of a change that this journey follows, the same for ever (WF-7): that of the code that began it.

        Raises VersionUnsupported, which a handler lets through: the journey waits for code that knows its version.
        """
        return await self._kept().version(self, change_id, lowest, highest)

    async def side_effect(self, name: str, compute: Callable[[], Any]) -> Any:
        """A value that is computed once (WF-10): recorded before it is returned, and the same in every attempt of the step.

        `compute` gives JSON of at most 64 kB, or an awaitable of it. The second of one name in a step is another value, and so
        is that of another step: a code that is sent again is a new one. Raises TypeError, ValueError.
        """
        number = self._asked[name]
        if number >= MOST_OF_A_NAME:
            raise ValueError(f"side_effect {name}: a step has at most {MOST_OF_A_NAME} of one name")
        self._asked[name] += 1
        return await self._kept().value(self, name, self.step * MOST_OF_A_NAME + number, compute)

    def _kept(self) -> Journal:
        if self.journal is None:
            raise RuntimeError("this call has no journal: only steps of a running instance have one")
        return self.journal


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


class VersionUnsupported(Exception):
    """The journey follows a version of a change that this code does not know: raised by `get_version`, and let through."""


Handler = Callable[[StepCall], Awaitable[StepResult | Mapping[str, Any] | None]]
