"""Schemathesis against the running door: every operation of its OpenAPI document, good and bad requests alike.

Counted per operation, so that a run says how much it tried; the first failing case of each kind is reported whole.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import requests
import schemathesis
from schemathesis.config._checks import NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import create_app
from api.auth import Verifier
from api.server import listen, serve
from runtime.keys.ring import open_key_ring
from runtime.postgres import open_pool
from runtime.settings import Settings
from tests.unit.api.tokens import World, token

CALLER = ["admin", "operator", "import", "case-reader", "mapping-editor", "projection-operator"]
# A request that fits the schema may still be refused by the item's state, the directory or a cursor's signature.
_NOT_FOR_US = [positive_data_acceptance]
# What a bad request may get. 412 besides the library's own: a body is judged after If-Match where only the state can judge it.
_REFUSALS = [*NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES, "412"]
# Health checks of hypothesis are about its own speed; the database's state is part of what is tried.
_SETTINGS = hypothesis.settings(
    deadline=None,
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=list(hypothesis.HealthCheck),
)


@dataclass
class Tally:
    """How many requests were made, what they got, and what was wrong."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def server_errors(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 500)


@contextmanager
def door_in_a_thread(settings: Settings, verifier: Verifier | None = None) -> Iterator[str]:
    """The real server with a loop of its own, for a client that is not asynchronous; its address."""
    listener, started = listen(settings), threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        pool = await open_pool(settings, "api", size=8, min_size=0, reset=False)
        async with open_key_ring(settings) as keys:
            started.set()
            await serve(create_app(settings, pool, verifier or World().verifier(), keys=keys), listener, stop)
        await pool.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="door")
    thread.start()
    started.wait(10)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


def try_everything(address: str, examples: int, known: Mapping[str, str], seed: int = 0) -> Tally:
    """`examples` good and as many bad requests per operation. `known` are objects that exist, by path parameter."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    schema.config.checks.negative_data_rejection.expected_statuses = _REFUSALS
    trying: list[GenerationMode] = []
    _name_existing_objects(schema, known, trying)
    tally, session = Tally(), requests.Session()
    session.headers["Authorization"] = f"Bearer {token(roles=CALLER)}"
    for found in schema.get_all_operations():
        operation: APIOperation[Any, Any, Any, Any] = found.ok()  # type: ignore[union-attr]
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            trying[:] = [mode]
            _try(operation, mode, examples, session, tally, seed)
    return tally


def _name_existing_objects(schema: BaseSchema, known: Mapping[str, str], trying: list[GenerationMode]) -> None:
    """Every other good request asks for an object that is there: random ids alone would only ever meet 404."""
    turns = iter(range(10**9))

    @schema.hook
    def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        if path_parameters and trying == [GenerationMode.POSITIVE] and next(turns) % 2:
            return {name: known.get(name, value) for name, value in path_parameters.items()}
        return path_parameters


def _try(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    examples: int,
    session: requests.Session,
    tally: Tally,
    seed: int,
) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(_SETTINGS, max_examples=examples)
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        response = case.call(session=session)
        tally.cases += 1
        tally.statuses[response.status_code] += 1
        try:
            case.validate_response(response, excluded_checks=_NOT_FOR_US)
        except FailureGroup as group:
            for failure in group.exceptions:
                tally.failures.setdefault(
                    f"{operation.label}: {type(failure).__name__}",
                    f"answered {response.status_code}: {failure}\n{case.as_curl_command()}",
                )

    try:
        check()
    except hypothesis.errors.Unsatisfiable:
        # Nothing about an operation without parameters can be wrong.
        assert mode is GenerationMode.NEGATIVE, operation.label
