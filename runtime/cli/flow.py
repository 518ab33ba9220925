"""`casestream flow lint | show | graph | diff | migrate-plan`: flow definitions in files. Needs no server.

`list`, `import` and `import-case` are about what a tenant has, `lint --tenant` about what flows name of his: as cs_api.
"""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from domain.message_templates.reads import find_templates
from domain.onboarding.case_definitions import import_case_definition, read_file
from domain.onboarding.definitions import Listed, import_flow, list_flows
from domain.onboarding.flows import files
from domain.onboarding.flows.changes import changes
from domain.onboarding.flows.checking import named_secrets, named_templates, unknown_secrets, unknown_templates
from domain.onboarding.flows.drawing import as_svg
from domain.onboarding.flows.files import FlowFile
from domain.onboarding.flows.graph import as_mermaid
from domain.onboarding.flows.migrating import plan
from domain.secrets.reads import known_secrets
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
from runtime.cli.rule_access import InLanguage, OfTenant, language_of, within
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.flows import FlowDefinition

app = typer.Typer(no_args_is_help=True, help="Flow definitions.")

File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="YAML: one version of a flow.")]
Old = Annotated[Path, typer.Argument(metavar="OLD", exists=True, dir_okay=False, help="The version that is.")]
New = Annotated[Path, typer.Argument(metavar="NEW", exists=True, dir_okay=False, help="The version that shall be.")]


@app.command("lint")
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", exists=True, help="Files or directories; those of the release.")
    ] = None,
    lang: InLanguage = "en",
    tenant: Annotated[str | None, typer.Option("--tenant", help="Look up what flows name of his, too.")] = None,
) -> None:
    """Everything that is wrong with definitions, each finding with its line. Exit code 1 when there is an error."""
    language = language_of(lang)
    found = files.read_files(_yaml_files(paths or [files.DEFAULT]))
    if tenant is not None:
        found = _with_names_of(found, tenant)
    findings = [finding for file in found for finding in file.findings]
    output.show_rows([finding.told(language) for finding in findings], columns=("location", "severity", "code", "message"))
    wrong = sum(finding.problem.severity == "error" for finding in findings)
    output.remark(f"{len(found)} file(s), {wrong} error(s), {len(findings) - wrong} warning(s)")
    if wrong:
        raise typer.Exit(ExitCode.FAILED)


@app.command("show")
def show(path: File) -> None:
    """A definition as a table of transitions, as the engine sees it."""
    definition = _usable(path)
    output.show_rows(
        {
            "from": move.from_state,
            "action": move.action,
            "to": move.to,
            "actors": ", ".join(move.actors),
            "mode": move.mode,
            "handler": move.handler,
            "retries": move.retry.retries if move.handler else None,
            "compensation": move.compensation,
        }
        for move in definition.transitions
    )


@app.command("graph")
def graph(
    path: File,
    svg: Annotated[bool, typer.Option("--svg", help="A picture instead of Mermaid text.")] = False,
) -> None:
    """A definition as a Mermaid diagram, or as an SVG picture."""
    definition = _usable(path)
    print(as_svg(definition) if svg else as_mermaid(definition), end="")


@app.command("diff")
def diff(old: Old, new: New) -> None:
    """What differs between two versions: states, transitions and handlers."""
    found = changes(_usable(old), _usable(new))
    output.show_rows(
        {
            "part": change.part,
            "name": change.name,
            "change": change.kind,
            "before": dict(change.before),
            "after": dict(change.after),
        }
        for change in found
    )


@app.command("migrate-plan")
def migrate_plan(
    old: Old,
    new: New,
    states: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Where a state has another name; may be repeated.")
    ] = None,
) -> None:
    """Whether instances of one version would fit another one, state by state. Exit code 1 when some would not."""
    before, after = _usable(old), _usable(new)
    if before.flow != after.flow:
        _refuse(f"{old} is a version of {before.flow}, {new} one of {after.flow}")
    found = plan(before, after, mapping_of(states or []))
    output.show_rows(
        {"state": fit.state, "to": fit.to, "verdict": fit.verdict, "reason": fit.reason or None} for fit in found.fits
    )
    for name in found.unknown:
        output.remark(f"--map {name}: version {before.version} has no such state")
    for name in found.undone_by:
        output.remark(f"version {after.version} does not declare {name}, which undoes what version {before.version} did")
    if not found.sound:
        raise typer.Exit(ExitCode.FAILED)


@app.command("list")
def list_versions(tenant: OfTenant) -> None:
    """The versions that a tenant can start: of the release, and his own. A pinned one never changes any more."""

    async def work(conn: Connection, _: Settings) -> list[Listed]:
        return await list_flows(conn, tenant)

    output.show_rows(
        {"flow": one.flow, "version": one.version, "title": one.title, "from": one.origin, "pinned": one.pinned_at}
        for one in within(tenant, work)
    )


@app.command("import")
def import_file(path: File, tenant: OfTenant) -> None:
    """Give a tenant a version of a flow. The same again changes nothing; another text under the same version is refused."""
    definition = _usable(path, tenant)

    async def work(conn: Connection, _: Settings) -> str:
        return await import_flow(conn, tenant, definition, operating.actor())

    outcome = within(tenant, work, reading=False)
    if outcome == "differs":
        _refuse(f"{path}: {definition.flow} version {definition.version} is there with other contents; give it a new version")
    output.show_record({"flow": definition.flow, "version": definition.version, "outcome": outcome})


@app.command("import-case")
def import_case(path: File, tenant: OfTenant) -> None:
    """Give a tenant a version of a case definition: what may be said in a journey. It never changes any more."""
    definition = read_file(path)

    async def work(conn: Connection, _: Settings) -> str:
        return await import_case_definition(conn, tenant, definition, operating.actor())

    outcome, key = within(tenant, work, reading=False), definition.key
    if outcome == "differs":
        _refuse(f"{path}: {key.name} version {key.version} is there with other contents; give it a new version")
    output.show_record({"case_definition": key.name, "version": key.version, "outcome": outcome})


def _yaml_files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.rglob("*.yaml")) if path.is_dir() else [path])]


def _with_names_of(found: list[FlowFile], tenant: str) -> list[FlowFile]:
    """The files with the secrets and message templates that the tenant lacks."""
    definitions = [file.definition for file in found if file.definition]
    names = {name for one in definitions for name in named_secrets(one)}
    templates = {name for one in definitions for name in named_templates(one)}
    if not names | templates:
        return found

    async def work(conn: Connection, _: Settings) -> tuple[set[str], set[str]]:
        there = await find_templates(conn, tenant, [(name, None) for name in sorted(templates)])
        return await known_secrets(conn, tenant, names), {name for name, _ in there}

    secrets, wordings = within(tenant, work)
    return [
        files.with_problems(file, [*unknown_secrets(file.definition, secrets), *unknown_templates(file.definition, wordings)])
        if file.definition
        else file
        for file in found
    ]


def _usable(path: Path, tenant: str | None = None) -> FlowDefinition:
    file: FlowFile = files.read_files([path])[0]
    if tenant is not None:
        file = _with_names_of([file], tenant)[0]
    if file.usable is None:
        for finding in file.findings:
            output.remark(f"{finding.file}:{finding.line}: {finding.problem.code}: {finding.problem.sentence()}")
        _refuse(f"{path}: nothing is made of a definition with errors; see `casestream flow lint`")
    return file.usable


def mapping_of(said: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in said:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise typer.BadParameter(f"{text!r} is not OLD=NEW", param_hint="--map")
        found[old] = new
    return found


def _refuse(line: str) -> NoReturn:
    output.remark(f"casestream: {line}")
    raise typer.Exit(ExitCode.FAILED)
