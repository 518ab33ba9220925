"""Restate: a service of ten `ctx.run`, called through the ingress; its server with a log of its own on disk."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from datetime import timedelta

import aiohttp
import hypercorn.asyncio
import hypercorn.config
import restate

from benchmarks.onboarding.sides import STEPS, measured

_WARM_SECONDS = 3.0
service = restate.Service("steps")


async def _nothing() -> None:
    """The work."""


@service.handler()
async def ten_steps(ctx: restate.Context) -> None:
    for number in range(STEPS):
        await ctx.run_typed(f"step-{number}", _nothing)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def _registered(session: aiohttp.ClientSession, admin: int, endpoint: int) -> None:
    for _ in range(300):
        try:
            body = {"uri": f"http://127.0.0.1:{endpoint}", "force": True}
            async with session.post(f"http://127.0.0.1:{admin}/deployments", json=body) as answer:
                if answer.status < 300:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the server did not take the service")


async def main(concurrency: int, seconds: float) -> None:
    ingress, admin, node, endpoint = _free_ports(4)
    config = hypercorn.config.Config()
    config.bind, config.h2_max_concurrent_streams, config.loglevel = [f"127.0.0.1:{endpoint}"], 2147483647, "ERROR"
    stop = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(restate.app([service]), config, shutdown_trigger=stop.wait))
    with tempfile.TemporaryDirectory(prefix="casestream-peer-") as folder:
        environ = os.environ | {
            "RESTATE_BASE_DIR": folder,
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_LOG_FILTER": "error",
            "RESTATE_DISABLE_TELEMETRY": "true",
        }
        server = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
            [os.environ["RESTATE_SERVER"]], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timedelta(minutes=1).seconds)) as session:
                await _registered(session, admin, endpoint)

                async def journey() -> None:
                    address = f"http://127.0.0.1:{ingress}/steps/ten_steps"
                    async with session.post(address, skip_auto_headers=["Content-Type"]) as answer:
                        answer.raise_for_status()
                        await answer.read()

                await measured(journey, concurrency, _WARM_SECONDS)
                print(json.dumps(await measured(journey, concurrency, seconds)), flush=True)
        finally:
            server.terminate()
            server.wait()
            stop.set()
            await serving


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
