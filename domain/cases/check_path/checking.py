"""Check Path from question to answer: records are opened here, and looked at in a child process that cannot hang anybody."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domain.cases.check_path.evaluation import Tally
from domain.cases.check_path.questions import Question
from runtime.enclosure import Enclosure, Stopped

CHILD = "domain.cases.check_path.child"
# One question to the child holds at most so much; the enclosure's time counts for each.
_CHUNK_RECORDS, _CHUNK_BYTES = 100, 1_000_000
_COUNT_SECONDS = 3.0

Why = Literal["time", "memory", "failure"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A path, the type of the column that it is meant for, and the paths whose values are masked."""

    path: str
    column_type: str | None
    sensitive: Sequence[str]


@dataclass(frozen=True, slots=True)
class PathProblem:
    """The path or the type is none: why, where in the text (from 0), and what to write instead."""

    reason: str
    position: int | None
    advice: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What the newest records say; `stopped` tells why not all of them were asked."""

    tally: Tally
    stopped: Why | None


async def find(enclosure: Enclosure, asked: Asked, document: bytes) -> dict[str, Any] | PathProblem | Stopped:
    """What the path finds in one document: the fields of `evaluation.Finding`."""
    said = await _ask(enclosure, "find", asked, [document])
    return said if isinstance(said, PathProblem | Stopped) else said["finding"]


async def count(enclosure: Enclosure, asked: Asked, documents: Sequence[bytes]) -> Counted | PathProblem:
    """What the path finds in many, chunk by chunk until the time is over or the child gives up."""
    tally, until = Tally(), time.monotonic() + _COUNT_SECONDS
    for chunk in _chunks(documents):
        if time.monotonic() > until:
            return Counted(tally, "time")
        said = await _ask(enclosure, "count", asked, chunk)
        if isinstance(said, PathProblem):
            return said
        if isinstance(said, Stopped):
            return Counted(tally, said.reason)
        found = said["tally"]
        tally += Tally(found["records"], Counter(found["outcomes"]), found["unfit"])
    return Counted(tally, None)


async def _ask(
    enclosure: Enclosure, mode: Literal["find", "count"], asked: Asked, documents: Sequence[bytes]
) -> dict[str, Any] | PathProblem | Stopped:
    question = Question(mode, asked.path, asked.column_type, asked.sensitive, documents)
    reply = await enclosure.ask(question.pack())
    if isinstance(reply, Stopped):
        return reply
    said: dict[str, Any] = json.loads(reply)
    return PathProblem(**said["refused"]) if "refused" in said else said


def _chunks(documents: Sequence[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for document in documents:
        if chunk and (len(chunk) == _CHUNK_RECORDS or size + len(document) > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(document)
        size += len(document)
    # An empty one too: without any document the path is still looked at.
    yield chunk
