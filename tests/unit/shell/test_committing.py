"""What the committer says of a batch that fails."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from processors.shell.batch import Batch
from processors.shell.committing import Committer, Stopping
from processors.shell.messages import Message, Position, Record
from processors.shell.plan import Outcome
from schemas.envelope import CloudEvent
from schemas.errors import TransientError

TRACE = "0af7651916cd43dd8448eb211c80319c"
EVENT = CloudEvent(id="1", source="crm", type="T", tenant="acme", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")


def message(event: CloudEvent) -> Message:
    return Message(Record(Position("t", 0, 7), None, None, (), 0), event, None)


@pytest.mark.parametrize(
    ("events", "said"),
    [([EVENT], TRACE), ([EVENT, EVENT], None), ([replace(EVENT, traceparent=None)], None), ([], None)],
    ids=["alone", "among others", "without a trace", "none"],
)
async def test_the_failure_of_a_message_that_stands_alone_leads_to_its_trace(
    events: list[CloudEvent], said: str | None
) -> None:
    stop = asyncio.Event()

    async def apply(_batch: Batch) -> Outcome:
        if not stop.is_set():
            stop.set()
            raise TransientError("away")
        raise AssertionError("not asked again while stopping")

    committer = Committer(apply, lambda _batch, _outcome: None, stop)
    with capture_logs() as lines, pytest.raises(Stopping):
        await committer.commit(Batch([message(event) for event in events], {}))

    assert [line.get("trace_id") for line in lines] == [said]
