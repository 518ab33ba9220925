"""`casestream mapping import | export | versions | publish | disable | ddl | check-path | blind-index | reveal`, on a database.

Changes run as cs_scan, which belongs to no tenant, as mappings do. The commands about files alone are in
`runtime.cli.mapping`, on the same `app`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer

from domain.cases.mapping import files
from domain.cases.mapping.forms import form_of
from domain.cases.mapping.model import ClassDefinition
from domain.cases.mapping.tables import table_specs
from domain.cases.mapping_store import commands, load_graph, reads, released_files
from domain.cases.mapping_store.commands import Changed, Draft, Editor, Order
from domain.cases.mapping_store.exporting import yaml_of
from domain.cases.mapping_store.reading import read_body
from projections.ddl_plan import DdlPlan, plan_ddl
from runtime.cli import operating, output
from runtime.cli.blind_index import look_up
from runtime.cli.exits import ExitCode
from runtime.cli.mapping import app
from runtime.cli.path_check import check_path
from runtime.cli.reveal import reveal_column
from runtime.postgres import TRANSIENT, open_pool
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected, TransientError

ClassName = Annotated[str, typer.Argument(metavar="CLASS", help="The class, such as com.app.OrderCase.")]
ClassNames = Annotated[list[str], typer.Argument(metavar="CLASS...", help="Classes, all of them or none.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]
_VERSION = ("version", "state", "author", "reason", "created_at", "published_at", "published_by", "disabled_at", "disabled_by")


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML files as under definitions/cases.")],
    reason: Reason,
    publish: Annotated[bool, typer.Option("--publish", help="Let them count at once.")] = False,
) -> None:
    """Save the classes of files as drafts, judged together: all of them, or none and every problem."""
    definitions = _read_files(paths)
    drafts = [Draft(found.class_name, form_of(found), reason) for found in definitions]

    async def act(conn: Connection, most: int) -> list[Changed] | Rejected:
        editor = Editor("", operating.actor())
        saved = await commands.save_drafts(conn, released_files(), editor, drafts, max_columns=most)
        if isinstance(saved, Rejected) or not publish:
            return saved
        orders = [Order(draft.class_name) for draft in drafts]
        return await commands.publish(conn, released_files(), editor, orders, reason, max_columns=most)

    _show_changed(_change(act))


@app.command("export")
def export_classes(
    classes: Annotated[list[str] | None, typer.Argument(metavar="[CLASS...]", help="Classes; all when absent.")] = None,
    which: Annotated[str, typer.Option(help="effective, file, draft, or a version's number.")] = reads.EFFECTIVE,
) -> None:
    """Print classes as a file of definitions/cases, with where each word came from."""

    async def work(_: Settings, pool: asyncpg.Pool) -> list[ClassDefinition]:
        async with pool.acquire() as conn:
            graph = await load_graph(conn, released_files())
            wanted = classes or sorted(graph)
            if which == reads.EFFECTIVE:
                return [_found(graph, name) for name in wanted]
            return [_defined(await reads.words_of(conn, released_files(), name, which), which) for name in wanted]

    print(yaml_of(operating.run(work)), end="")


@app.command("versions")
def list_versions(
    class_name: ClassName, limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, newest first.")] = 50
) -> None:
    """A class's versions in the database, newest first."""

    async def work(_: Settings, pool: asyncpg.Pool) -> list[dict[str, Any]]:
        async with pool.acquire() as conn:
            return await reads.list_versions(conn, released_files(), class_name, before=2**31 - 1, page_size=limit)

    output.show_rows(operating.run(work), columns=_VERSION)


@app.command("publish")
def publish_drafts(classes: ClassNames, reason: Reason) -> None:
    """Let the drafts of these classes count, all or none. The answer names the tables that need a new version."""
    orders = [Order(name) for name in dict.fromkeys(classes)]

    async def act(conn: Connection, most: int) -> list[Changed] | Rejected:
        editor = Editor("", operating.actor())
        return await commands.publish(conn, released_files(), editor, orders, reason, max_columns=most)

    _show_changed(_change(act))


@app.command("disable")
def disable_version(
    class_name: ClassName,
    reason: Reason,
    version: Annotated[int | None, typer.Option(min=1, help="This version; without, the one that counts.")] = None,
) -> None:
    """Let a version count no longer: the enabled one before it does, or the file."""

    async def act(conn: Connection, most: int) -> list[Changed] | Rejected:
        editor = Editor("", operating.actor())
        outcome = await commands.disable(conn, released_files(), editor, Order(class_name), reason, version, max_columns=most)
        return outcome if isinstance(outcome, Rejected) else [outcome]

    _show_changed(_change(act))


@app.command("ddl")
def write_ddl(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE...]", help="Tables; all that changed when absent.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for one SQL file per table version; without, no file.")] = None,
    draft: Annotated[list[str] | None, typer.Option(help="As it would be with this class's draft; repeatable.")] = None,
) -> None:
    """The migration of each table whose mapping is in no version yet: SQL with its hash, rows, time and locks. Runs nothing."""

    async def work(_: Settings, pool: asyncpg.Pool) -> list[DdlPlan]:
        async with pool.acquire() as conn:
            graph = await load_graph(conn, released_files())
            for name in draft or ():
                graph |= {name: (await reads.load_graph_with_draft(conn, released_files(), name))[name]}
            specs = {spec.name: spec for spec in table_specs(graph)[0]}
            if unknown := set(tables or ()) - specs.keys():
                raise NotFound(f"no mapping makes the table {min(unknown)}; there are {', '.join(specs)}")
            plans = [await plan_ddl(conn, specs[name]) for name in tables or specs]
            return [plan for plan in plans if tables or plan.changes]

    plans = operating.run(work)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for plan in plans:
        path = None if out is None else out / f"{plan.name}__v{plan.version}.sql"
        if path is not None:
            path.write_text(plan.sql)
        output.show_record({**_plan_view(plan), **({"sql": plan.sql} if path is None else {"file": path})})
    if not plans:
        output.remark("every table's newest version has its mapping: nothing to do")


def _plan_view(plan: DdlPlan) -> dict[str, Any]:
    return {
        "table": plan.name,
        "version": plan.version,
        "changes": plan.changes,
        "sha256": plan.sha256,
        "snapshots": plan.snapshots,
        "seconds": plan.seconds,
        "locks": list(plan.locks),
        "backfill": plan.backfill,
    }


def _read_files(paths: list[Path]) -> list[ClassDefinition]:
    definitions: list[ClassDefinition] = []
    wrong = False
    for path in paths:
        found, problems = files.read_file(path, str(path))
        definitions += found
        for problem in problems:
            output.remark(str(problem))
            wrong = True
    if wrong or not definitions:
        output.remark("casestream: nothing was imported")
        raise typer.Exit(ExitCode.FAILED)
    return definitions


def _found(graph: Any, name: str) -> ClassDefinition:
    if name not in graph:
        raise NotFound(f"there is no class {name}; there are {', '.join(sorted(graph))}")
    definition: ClassDefinition = graph[name]
    return definition


def _defined(words: dict[str, Any], which: str) -> ClassDefinition:
    definition, problems = read_body(words, int(which) if which.isdigit() else 0)
    if definition is None:
        raise NotFound(f"this release cannot read it: {problems[0].message}")
    return definition


def _change(act: Callable[[Connection, int], Awaitable[list[Changed] | Rejected]]) -> list[Changed]:
    async def run() -> list[Changed] | Rejected:
        settings = Settings.load()
        try:
            pool = await open_pool(settings, "scan", size=1, wait=False)
        except TRANSIENT as error:
            raise TransientError(f"PostgreSQL does not answer ({type(error).__name__}); see `casestream status`") from error
        try:
            async with pool.acquire() as conn, conn.transaction():
                return await act(conn, settings.mappings.max_columns)
        finally:
            pool.terminate()

    outcome = asyncio.run(run())
    if isinstance(outcome, Rejected):
        found: Any = outcome.details.get("errors", [])
        for each in found:
            output.remark(f"{each['className']}{each['pointer'] and ' ' + each['pointer']}: {each['code']}: {each['message']}")
        output.remark(f"casestream: {outcome.code}: {outcome.message}")
        raise typer.Exit(ExitCode.FAILED)
    return outcome


def _show_changed(changed: list[Changed]) -> None:
    for problem in {warning for each in changed for warning in each.warnings}:
        output.remark(f"{problem.class_name}{problem.pointer and ' ' + problem.pointer}: {problem.code}: {problem.message}")
    output.show_rows(
        {
            "class": each.class_name,
            "version": each.version,
            "state": each.state,
            "tables": ", ".join(f"{table.name} {table.change}" for table in each.tables) or None,
        }
        for each in changed
    )


app.command("check-path")(check_path)
app.command("blind-index")(look_up)
app.command("reveal")(reveal_column)
