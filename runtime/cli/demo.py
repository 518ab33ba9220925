"""`casestream demo`: start everything, run the main job on incidents, show the books. Exit code 0 only when they balance."""

import asyncio
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo.cases.report import Login, show_cases
from demo.cases.snapshots import incident_snapshots
from demo.cases.story import CaseChapter
from demo.generator import incidents
from demo.onboarding.applicants import applicants
from demo.onboarding.payments import Payments
from demo.onboarding.report import show_journeys
from demo.onboarding.story import JourneyChapter, bank_environment
from demo.people import write_directory
from demo.processes import Processes
from demo.report import show
from demo.rules.outside import Outside, lacking
from demo.rules.report import show_rules
from demo.rules.story import RuleChapter
from demo.run import Demo, log_file
from domain.work_items.import_mapping import ImportMapping, load_mapping
from domain.work_items.importing import Row
from runtime.cli.exits import ExitCode
from runtime.cli.publish import read_rows
from runtime.cli.tokens import tokens_of
from runtime.postgres import role_url, with_user
from runtime.settings import Settings
from runtime.stack.home import Home, default_home, write_private
from runtime.stack.issuer import open_issuer, sign
from runtime.stack.local import postgres_of
from runtime.stack.state import ensure_secrets, read_state
from schemas.errors import TransientError

MAPPING = Path(__file__).resolve().parents[2] / "definitions" / "demo" / "incidents.yaml"
INCIDENTS = 890
ANALYST = "demo_analyst"
console = Console()
_COLUMNS = (TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def demo(
    input: Annotated[Path | None, typer.Option("--input", help="an incident log (CSV); default: generated")] = None,  # noqa: A002
    keep: Annotated[bool, typer.Option("--keep", help="leave everything running")] = False,
) -> None:
    """The main job from start to end."""
    from runtime.stack.local import down, status, up

    home, mapping = default_home(), load_mapping(MAPPING)
    rows = list(read_rows(input, mapping)) if input else list(incidents(INCIDENTS))
    was_up = all(server.running for server in status(home))
    console.rule("Casestream demo")
    up(home, console.print)
    processes: Processes | None = None
    try:
        for command in ("db migrate", "topics apply"):
            _casestream(command.split())
        _import_people(home, mapping, rows)
        outside, payments = Outside.on_free_ports(), Payments.on_free_port(_bank_book(home))
        payments.book.unlink(missing_ok=True)
        environment = {**outside.environment(payments.address), **bank_environment(payments.book)}
        processes = Processes.start(log_file(home.root), environment)
        balanced = asyncio.run(_run(processes, outside, payments, mapping, rows, home))
    finally:
        if processes is not None and not keep:
            processes.stop()
        if not (keep or was_up):
            down(home, console.print)
    if keep:
        _how_to_stop(processes)
    if not balanced:
        raise typer.Exit(ExitCode.FAILED)


async def _run(
    processes: Processes, outside: Outside, payments: Payments, mapping: ImportMapping, rows: Sequence[Row], home: Home
) -> bool:
    settings = Settings.load()
    await processes.ready()
    console.print(f"all processes run: {processes.url}, log {processes.log}", highlight=False)
    run = time.strftime("%Y%m%d%H%M%S")
    story = Demo(settings, processes, mapping, rows, run)
    with Progress(*_COLUMNS, console=console) as progress:
        books = await story.go(tokens_of([], mapping.tenants), progress)
    url = with_user(role_url(settings, "migrate"), ANALYST)
    password = _password_file(home).read_text(encoding="utf-8").strip()
    owner = await asyncpg.connect(role_url(settings, "migrate"))
    analyst = await asyncpg.connect(url, password=password, user=ANALYST)
    try:
        balanced = await show(console, books, analyst, processes.url)
        console.rule("Cases")
        chapter = CaseChapter(settings, processes.url, _readers(mapping.tenants), incident_snapshots(rows, mapping, run), run)
        with Progress(*_COLUMNS, console=console) as progress:
            told = await chapter.go(owner, analyst, _typed, home.root / "demo", progress)
        balanced = show_cases(console, told, Login(url, _password_file(home))) and balanced
        console.rule("Rules")
        if missing := lacking():
            console.print(f"not played: {' and '.join(missing)} are not installed; `make install` brings them")
        else:
            rules = RuleChapter(settings, processes, outside, rows, mapping, run)
            token = tokens_of([], [rules.tenant])[rules.tenant]
            with Progress(*_COLUMNS, console=console) as progress:
                ran = await rules.go(owner, token, _typed, home.root / "demo", progress)
            balanced = show_rules(console, ran) and balanced
        console.rule("Journeys")
        if missing := lacking():
            console.print(f"not played: {' and '.join(missing)} are not installed; `make install` brings them")
        else:
            balanced = await _journeys(settings, processes, payments, mapping.tenants[0], home, run) and balanced
    finally:
        await analyst.close()
        await owner.close()
    console.print(_psql(url, _password_file(home)), highlight=False, soft_wrap=True)
    return balanced


async def _journeys(settings: Settings, processes: Processes, payments: Payments, tenant: str, home: Home, run: str) -> bool:
    issuer, state = open_issuer(home), read_state(home)
    assert state is not None, "the stack runs"

    def token_of(user: str, role: str) -> str:
        return sign({"sub": user, "tenant": tenant, "roles": [role]}, issuer)

    url, postgres = role_url(settings, "migrate"), postgres_of(home, state, ensure_secrets(home))
    chapter = JourneyChapter(processes, postgres, payments, applicants(run), tenant, url)
    with Progress(*_COLUMNS, console=console) as progress:
        books = await chapter.go(token_of, _typed, home.root / "demo", progress)
    return show_journeys(console, books)


def _bank_book(home: Home) -> Path:
    return home.root / "demo" / "bank-book"


async def _typed(arguments: Sequence[str]) -> str:
    return await asyncio.to_thread(_casestream, arguments)


def _readers(tenants: Sequence[str]) -> dict[str, str]:
    """A token per tenant of somebody who may read cases."""
    issuer = open_issuer(default_home())
    return {tenant: sign({"sub": "demo", "tenant": tenant, "roles": ["case-reader"]}, issuer) for tenant in tenants}


def _psql(url: str, password_file: Path) -> str:
    parts = urlsplit(url)
    login = f"PGPASSWORD=$(cat {password_file}) psql -h {parts.hostname} -p {parts.port} -U {ANALYST} {parts.path[1:]}"
    return f'As an analyst: {login} -c "table analytics.work_item_board limit 5"'


def _import_people(home: Home, mapping: ImportMapping, rows: Sequence[Row]) -> None:
    files = write_directory(home.root / "demo", mapping.tenants, rows, mapping.columns)
    for kind, file in files.items():
        _casestream([kind, "import", str(file)])
    if not _password_file(home).exists():
        write_private(_password_file(home), secrets.token_urlsafe(24) + "\n")
    for tenant in mapping.tenants:
        _casestream(["analyst", "add", ANALYST, "--tenant", tenant, "--password-file", str(_password_file(home))])


def _password_file(home: Home) -> Path:
    return home.root / "demo" / "analyst-password"


def _casestream(arguments: Sequence[str]) -> str:
    """Run a command of ours as a user would, and show it; what it printed."""
    console.print(f"$ casestream {shlex.join(arguments)}", style="dim", highlight=False, markup=False, soft_wrap=True)
    done = subprocess.run(
        [sys.executable, "-m", "runtime.cli", *arguments], capture_output=True, text=True, env=os.environ, check=False
    )
    if done.returncode != 0:
        raise TransientError(f"casestream {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _how_to_stop(processes: Processes | None) -> None:
    if processes is not None:
        console.print(f"Everything still runs. Stop it with: kill {processes.supervisor.pid}; casestream down", highlight=False)
