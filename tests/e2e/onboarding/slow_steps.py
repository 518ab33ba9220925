"""Handlers of a process that will be killed: what each call did is written into a file of the test, one line for each.

A case that says `"busy": HANDLER` makes the first attempt of that handler sure that it did nothing.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from domain.onboarding.handlers import Handler, NotDone, StepCall, StepResult
from workers.senders.sample_steps import HANDLERS as SAMPLES

BOOK = "CASESTREAM_TEST_BOOK"


def _booked(handler: Handler) -> Handler:
    async def call(step: StepCall) -> StepResult | Mapping[str, object] | None:
        line = f"{step.instance_id} {step.handler} {step.idempotency_id}\n"
        with Path(os.environ[BOOK]).open("a", encoding="utf-8") as book:
            book.write(line)
        if step.attempt == 1 and step.case.get("busy") == step.handler:
            raise NotDone("busy")
        await asyncio.sleep(float(os.environ.get("CASESTREAM_TEST_STEP_SECONDS", "0")))
        return await handler(step)

    return call


HANDLERS: Mapping[str, Handler] = {name: _booked(handler) for name, handler in SAMPLES.items()}
