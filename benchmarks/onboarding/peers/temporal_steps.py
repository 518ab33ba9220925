"""Temporal: a workflow of ten local activities, its quickest form; development server, database in a file."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.onboarding.sides import STEPS, measured

_WARM_SECONDS = 3.0
_QUEUE = "steps"


@activity.defn
async def nothing() -> None:
    """The work."""


@workflow.defn
class TenSteps:
    """Local activities: their results are kept together when the workflow's task ends, so not each before the next begins."""

    @workflow.run
    async def run(self) -> None:
        for _ in range(STEPS):
            await workflow.execute_local_activity(nothing, start_to_close_timeout=timedelta(seconds=10))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _connected(address: str) -> Client:
    for _ in range(300):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.1)
    raise SystemExit("the development server did not answer")


async def main(concurrency: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="casestream-peer-") as folder:
        port = _free_port()
        words = ["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port), "--log-level", "never"]
        kept = ["--db-filename", str(Path(folder) / "temporal.db")]
        server = subprocess.Popen([os.environ["TEMPORAL_CLI"], *words, *kept], stdout=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            client = await _connected(f"127.0.0.1:{port}")
            runner = UnsandboxedWorkflowRunner()
            worker = Worker(client, task_queue=_QUEUE, workflows=[TenSteps], activities=[nothing], workflow_runner=runner)
            async with worker:

                async def journey() -> None:
                    await client.execute_workflow(TenSteps.run, id=str(uuid.uuid4()), task_queue=_QUEUE)

                await measured(journey, concurrency, _WARM_SECONDS)
                print(json.dumps(await measured(journey, concurrency, seconds)), flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
