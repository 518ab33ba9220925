"""`casestream run ROLE...`: one process with these roles, or `all`: a supervised process for each.

SIGTERM or Ctrl-C: the running batch is finished, offsets are mirrored, exit code 0 within 20 s.
"""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from runtime.cli.roles import ROLES, check_roles, parts_of
from runtime.running.supervisor import Child
from runtime.settings import Settings
from schemas.errors import ConfigurationError


def run(
    roles: Annotated[
        list[str],
        typer.Argument(
            help="api, relay, a group such as work-items, projections, effects, timers, workers, ddl, a table's group, or all"
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait", help="wait for the schema instead of refusing to start")] = False,
    number: Annotated[int, typer.Option(min=0, help="tells processes of one role on one machine apart")] = 0,
    count: Annotated[list[str] | None, typer.Option(help="with all: ROLE=N processes of a role, repeatable")] = None,
    only: Annotated[list[str] | None, typer.Option(help="with projections: NAME.vN, a table version alone, repeatable")] = None,
    tied: Annotated[bool, typer.Option("--tied", hidden=True, help="leave when stdin ends")] = False,
) -> None:
    """Run roles in this process; `all` supervises a process for each."""
    settings = Settings.load(os.environ)
    if only:
        if roles != ["projections"]:
            raise typer.BadParameter("only with `projections`", param_hint="--only")
        roles = [f"projections.{name}" for name in only]
    if "all" in roles:
        if roles != ["all"]:
            raise typer.BadParameter("`all` stands alone", param_hint="ROLES")
        _supervise(settings, children(settings, _counts(count or []), wait=wait))
    else:
        if count:
            raise typer.BadParameter("only with `all`", param_hint="--count")
        from domain.keys.starting import settle_before_start
        from runtime.running.process import run_process

        check_roles(roles)
        run_process(
            settings,
            ",".join(roles),
            lambda stop: parts_of(roles, settings, number, stop),
            prepare=lambda needed, stop: settle_before_start(settings, needed, stop),
            wait=wait,
            tied=tied,
        )


def children(settings: Settings, counts: dict[str, int], *, wait: bool) -> list[Child]:
    """The processes of `run all`. A fixed health port is the first child's; the others take the ports after it."""
    found: list[Child] = []
    for role in ROLES:
        for number in range(counts.get(role, 1)):
            arguments = ["run", role, "--number", str(number), "--tied", *(["--wait"] if wait else [])]
            port = settings.health.port and settings.health.port + len(found)
            found.append(Child(f"{role}-{number}", arguments, {"CASESTREAM_HEALTH__PORT": str(port)}))
    return found


def _counts(given: Sequence[str]) -> dict[str, int]:
    counts = {}
    for text in given:
        role, _, number = text.partition("=")
        check_roles([role])
        if role not in ROLES or not number.isdigit() or int(number) > 99:
            raise ConfigurationError([f"--count {text}: expected ROLE=N with a role of `run all` and N from 0 to 99"])
        if role == "api" and int(number) > 1:
            raise ConfigurationError([f"--count {text}: one machine has one api process, which owns the port"])
        counts[role] = int(number)
    return counts


def _supervise(settings: Settings, wanted: list[Child]) -> None:
    import asyncio

    from runtime import logging
    from runtime.running.process import run_in_loop
    from runtime.running.supervisor import supervise

    logging.configure(settings.log)
    verdict: list[bool] = []

    async def work(stop: asyncio.Event) -> None:
        verdict.append(await supervise(wanted, stop))

    run_in_loop(work)
    if verdict != [True]:
        raise typer.Exit(1)
