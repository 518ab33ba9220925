"""The command `casestream`: one table of command families, each imported only when it is used.

Owns the global option `--output` and the exit codes. It decides nothing: a family's module builds what it needs
(settings, pool, clients), calls one function and prints the answer. This is the only package that may import every
door, because it wires processes.

A new family is one line in FAMILIES: name, `module:attribute`, help. The attribute is a typer.Typer or one function.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Family:
    """Where a command or a family of commands is found, and its line in `casestream --help`."""

    target: str
    help: str

    def load(self) -> Any:
        """The click command behind the target."""
        module, _, attribute = self.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        single = typer.Typer(add_completion=False)
        single.command()(found)
        return typer.main.get_command(single)


class _Unloaded(TyperCommand):
    """Stands for a family in the list of commands; loads it when it is called."""

    def __init__(self, name: str, family: Family) -> None:
        super().__init__(name, help=family.help)
        self._family = family

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        command = self._family.load()
        command.name = self.name
        return command.make_context(info_name, args, parent=parent, **extra)


class _Families(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(FAMILIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _Unloaded(cmd_name, FAMILIES[cmd_name]) if cmd_name in FAMILIES else None


root = typer.Typer(
    cls=_Families, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"casestream {version('casestream')}")
        raise typer.Exit


@root.callback(help="Event backbone of case management on Kafka and PostgreSQL.")
def _global_options(
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or jsonl; anywhere in the line")] = "table",
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    from runtime.cli import output as printing

    try:
        printing.choose(output)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--output") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and leave with its exit code (`runtime.cli.exits`)."""
    from runtime.cli.exits import exit_code_of, explain

    given = hoist_output(list(sys.argv[1:] if arguments is None else arguments))
    try:
        root(given, prog_name="casestream")
    except Exception as error:  # noqa: BLE001 - the one place that turns every failure into an exit code
        for line in explain(error):
            print(line, file=sys.stderr)
        sys.exit(exit_code_of(error))


def hoist_output(arguments: list[str]) -> list[str]:
    """Let `--output json` stand anywhere in the line: move it to the front, where the root reads it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        if word in ("--output", "-o"):
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        elif word.startswith("--output="):
            front.append(word)
        else:
            rest.append(word)
    return front + rest + arguments[end:]


FAMILIES: dict[str, Family] = {
    "up": Family("runtime.cli.stack:up", "Start the local PostgreSQL and Kafka."),
    "down": Family("runtime.cli.stack:down", "Stop the local stack; no process is left."),
    "status": Family("runtime.cli.stack:status", "What runs, where, and how long."),
    "doctor": Family("runtime.cli.stack:doctor", "Name what is missing or broken, and the command that mends it."),
    "run": Family("runtime.cli.run:run", "Run roles in this process; `all` supervises a process for each."),
    "demo": Family("runtime.cli.demo:demo", "The main job from start to end."),
    "publish": Family("runtime.cli.publish:publish", "Feed a file of cases, or of entity changes, to the system."),
    "db": Family("runtime.cli.db:app", "Migrations: migrate, status, plan, wait."),
    "schema": Family("runtime.cli.schemas:app", "The published language: publish, check, asyncapi."),
    "topics": Family("runtime.cli.topics:app", "Topics of the registry: apply, diff, grow."),
    "relay": Family("runtime.cli.relay:app", "The outbox relay's shards."),
    "group": Family("runtime.cli.groups:app", "Consumer groups: list, describe, lag, stop, resume."),
    "offsets": Family("runtime.cli.offsets:app", "Positions of groups: show, move, skip-gap; a dry run unless told otherwise."),
    "dlt": Family("runtime.cli.dead_letters:app", "Parked messages: list, show, redrive, discard."),
    "effect": Family("runtime.cli.effect:app", "Effects: list, show, retry, cancel."),
    "incident": Family("runtime.cli.incident:app", "Incidents: list, show, resolve, retry, retry-all."),
    "mapping": Family(
        "runtime.cli.mapping_store:app",
        "Case classes and their mapping to columns: in files, in the database, on real records.",
    ),
    "projection": Family("runtime.cli.projection:app", "Table versions: rebuild, verify, switch, switch-back, retire."),
    "ddl": Family("runtime.cli.ddl:app", "Orders to the owner role: list, show, approve."),
    "case": Family("runtime.cli.case:app", "Cases: store, show, versions, remove."),
    "instance": Family(
        "runtime.cli.instance_orders:app", "Onboarding: instances, their histories, and what operators do with them."
    ),
    "review": Family("runtime.cli.review:app", "Review tasks of onboarding: list, show, approve, reject, return."),
    "rule": Family(
        "runtime.cli.rule_explanations:app", "Rules of a tenant: in files, in the database, and what they would do."
    ),
    "flow": Family("runtime.cli.flow:app", "Flow definitions in files: lint, show, graph, diff, migrate-plan."),
    "entity-type": Family("runtime.cli.entity_type:app", "Entity types of a tenant: put, list; which ones are managed here."),
    "audit": Family("runtime.cli.audit:app", "The audit log's chain: verify."),
    "secret": Family("runtime.cli.secret:app", "Secrets that a tenant's webhooks use: set, list, remove."),
    "message-template": Family("runtime.cli.message_template:app", "Message templates: save, list, show, preview, remove."),
    "tenant": Family("runtime.cli.directory:tenant", "Tenants of the directory."),
    "user": Family("runtime.cli.directory:user", "Users and their roles."),
    "team": Family("runtime.cli.directory:team", "Teams and their members."),
    "analyst": Family("runtime.cli.analyst:app", "Logins of analysts: add, list, remove."),
    "token": Family("runtime.cli.token:token", "A token of the development issuer."),
    "keys": Family("runtime.cli.keys:app", "Data keys of subjects: list, rotate, rewrap, shred, report, settle."),
    "config": Family("runtime.cli.config:app", "The settings: show them redacted, check them."),
}
