"""`casestream rule list | show | lint | import | export | enable | disable | graph | versions | runs`: a tenant's rules.

Runs as cs_api, the only role that may write rules, and within one tenant. What a rule would do is in
`runtime.cli.rule_trials`, why it did or not in `runtime.cli.rule_explanations`, on the same `app`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.rules import commands, files, graph, reads, store
from domain.rules.commands import Wish, as_document
from domain.rules.files import Imported, Written
from domain.rules.problems import Language
from domain.rules.store import StoredRule
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.cli.rule_access import InLanguage, OfTenant, WhichRule, editor, language_of, rule_of, within
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.rules import ExecutionStatus

app = typer.Typer(no_args_is_help=True, help="Rules of a tenant: in files, in the database, and what they would do.")

Reason = Annotated[str | None, typer.Option(help="Why; kept with the version.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="YAML: a list of rules.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
_LISTED = ("id", "name", "entity_type", "trigger", "priority", "active", "version", "executions", "failures", "updated_at")
_RUNS = (
    "id", "rule_version", "entity_type", "entity_id", "trigger_type", "status", "error_message", "started_at",
    "actions_total", "actions_completed", "actions_failed",
)  # fmt: skip


@app.command("list")
def list_rules(
    tenant: OfTenant, entity_type: Annotated[str | None, typer.Option(help="Only of this type.")] = None, limit: Limit = 1_000
) -> None:
    """The tenant's rules in the order in which they run."""

    async def work(conn: Connection, _: Settings) -> list[StoredRule]:
        found, _total = await store.list_rules(conn, tenant, entity_type=entity_type, is_active=None, page=1, size=limit)
        return found

    output.show_rows([_listed(rule) for rule in within(tenant, work)], columns=_LISTED)


@app.command("show")
def show(which: WhichRule, tenant: OfTenant) -> None:
    """One rule in its own words, with what it has done."""
    rule = within(tenant, lambda conn, _: rule_of(conn, tenant, which))
    output.show_record({**_listed(rule), "rule": as_document(rule.definition)})


@app.command("lint")
def lint(paths: Files, lang: InLanguage = "en") -> None:
    """Judge files without a database; names that would have to be looked up are not checked."""
    language = language_of(lang)
    rules, wrong = _read(paths, language)
    found = [*wrong, *files.lint(rules, language)]
    if found or output.chosen() is not output.Format.TABLE:
        output.show_rows(found, columns=("file", "pointer", "severity", "code", "message"))
    else:
        output.remark(f"no problem in {len(rules)} rule(s)")
    if any(row["severity"] == "error" for row in found):
        raise typer.Exit(ExitCode.FAILED)


@app.command("import")
def import_files(paths: Files, tenant: OfTenant, reason: Reason = None, lang: InLanguage = "en") -> None:
    """Save the rules of files: all, or none and every problem. A rule is known by its name; an equal one stays as it is."""
    language = language_of(lang)
    rules, wrong = _read(paths, language)
    if wrong:
        raise _refuse(wrong)

    async def work(conn: Connection, settings: Settings) -> Sequence[Imported]:
        most = settings.rules.most_per_tenant
        done = await files.import_rules(conn, editor(tenant), rules, Wish(reason, language), most=most)
        saved = [one for one in done if isinstance(one, Imported)]
        if len(saved) < len(done):
            # Raised inside the transaction, so that nothing of it stays.
            raise _refuse([one for one in done if not isinstance(one, Imported)])
        return saved

    done = within(tenant, work, reading=False)
    output.show_rows([{"id": one.id, "name": one.name, "version": one.version, "outcome": one.outcome} for one in done])


@app.command("export")
def export(tenant: OfTenant) -> None:
    """Print the tenant's rules as a file that can be imported again."""
    found = within(tenant, lambda conn, _: reads.all_definitions(conn, tenant))
    print(files.as_yaml(found), end="")


@app.command("enable")
def enable(which: WhichRule, tenant: OfTenant, reason: Reason = None, lang: InLanguage = "en") -> None:
    """Switch a rule on. It is checked anew before: what it names may be gone."""
    _switch(which, tenant, Wish(reason, language_of(lang)), active=True)


@app.command("disable")
def disable(which: WhichRule, tenant: OfTenant, reason: Reason = None) -> None:
    """Switch a rule off. Runs that have begun go on."""
    _switch(which, tenant, Wish(reason), active=False)


@app.command("graph")
def show_graph(tenant: OfTenant) -> None:
    """Which rules can start which, as a Mermaid diagram; with --output json as edges."""
    rules = within(tenant, lambda conn, _: reads.all_definitions(conn, tenant))
    edges = graph.edges_of(rules)
    if output.chosen() is output.Format.TABLE:
        print(graph.as_mermaid(rules, edges), end="")
    else:
        output.show_rows([{"source": one.source, "target": one.target, "way": one.way, "field": one.field} for one in edges])
    for rule_id in (one for one in rules if graph.circles_through(one, edges)):
        output.remark(f"{rules[rule_id].name} can come back to itself; the loop guard would end it")


@app.command("versions")
def list_versions(which: WhichRule, tenant: OfTenant) -> None:
    """Every version of a rule, the newest first."""

    async def work(conn: Connection, _: Settings) -> list[store.RuleVersion]:
        return await store.list_versions(conn, tenant, (await rule_of(conn, tenant, which)).id)

    names = ("version", "is_active", "author", "reason", "created_at")
    output.show_rows([{name: getattr(one, name) for name in names} for one in within(tenant, work)])


@app.command("runs")
def list_runs(
    which: WhichRule,
    tenant: OfTenant,
    status: Annotated[ExecutionStatus | None, typer.Option(help="Only runs that stand there.")] = None,
    limit: Limit = 50,
) -> None:
    """A rule's runs, the newest first."""

    async def work(conn: Connection, _: Settings) -> Sequence[Mapping[str, Any]]:
        rule = await rule_of(conn, tenant, which)
        return (await reads.list_runs(conn, tenant, rule.id, status=status, page=1, size=limit))[0]

    output.show_rows(within(tenant, work), columns=_RUNS)


def _switch(which: str, tenant: str, wish: Wish, *, active: bool) -> None:
    async def work(conn: Connection, _: Settings) -> StoredRule:
        rule = await rule_of(conn, tenant, which)
        outcome = await commands.set_active(conn, editor(tenant), rule.id, wish, active=active)
        if isinstance(outcome, Rejected):
            found: Any = outcome.details.get("errors", [])
            output.remark(f"casestream: {outcome.code}: {outcome.message}")
            raise _refuse([{"file": which, **row} for row in found])
        return outcome.rule

    output.show_record(_listed(within(tenant, work, reading=False)))


def _read(paths: Sequence[Path], language: Language) -> tuple[list[Written], list[files.Row]]:
    rules, wrong = list[Written](), list[files.Row]()
    for path in paths:
        found, problems = files.read_rules(path, language)
        rules += found
        wrong += problems
    return rules, wrong


def _refuse(rows: Sequence[files.Row]) -> typer.Exit:
    for row in rows:
        output.remark(f"{row['file']}{row['pointer']}: {row['code']}: {row['message']}")
    output.remark("casestream: nothing was changed")
    return typer.Exit(ExitCode.FAILED)


def _listed(rule: StoredRule) -> dict[str, Any]:
    told, done = rule.definition, rule.statistics
    return {
        "id": rule.id,
        "name": told.name,
        "entity_type": told.entity_type,
        "trigger": told.trigger_type,
        "priority": told.priority,
        "active": rule.is_active,
        "version": rule.version,
        "executions": done.executions,
        "failures": done.failures,
        "updated_at": rule.updated_at,
    }
