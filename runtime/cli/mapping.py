"""`casestream mapping lint | resolve | explain | diff`: case classes in files. Needs no server.

The commands that also know the rows of the database are in `runtime.cli.mapping_store`, on the same `app`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from domain.cases.mapping import files
from domain.cases.mapping.changes import changes
from domain.cases.mapping.explain import explain
from domain.cases.mapping.graph import graph_of
from domain.cases.mapping.lint import by_place, errors, lint
from domain.cases.mapping.model import ClassDefinition, Diagnostic, MappingEntry, Provenance
from domain.cases.mapping.resolve import resolve
from domain.cases.mapping.tables import MAX_COLUMNS, TableSpec, table_specs
from runtime.cli import output
from runtime.cli.exits import ExitCode

app = typer.Typer(no_args_is_help=True, help="Case classes and their mapping to columns.")

Directory = Annotated[Path, typer.Option("--definitions", help="Directory of case classes; those of the release.")]
ClassName = Annotated[str, typer.Argument(metavar="CLASS", help="The class, such as com.app.OrderCase.")]
ColumnName = Annotated[str, typer.Argument(metavar="COLUMN", help="The column; case makes no difference.")]


@app.command("lint")
def lint_files(
    definitions: Directory = files.DEFAULT,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 when there is an error; for CI.")] = False,
    max_columns: Annotated[
        int,
        typer.Option(min=1, max=1500, envvar="CASESTREAM_MAPPINGS__MAX_COLUMNS", help="Most mapped columns of one table."),
    ] = MAX_COLUMNS,
) -> None:
    """Everything that is wrong with the files, each finding with its line. Warnings never fail."""
    graph, unreadable = _read(definitions)
    findings = sorted([*unreadable, *lint(graph, max_columns=max_columns)], key=by_place)
    output.show_rows([_finding(problem) for problem in findings])
    wrong = len(errors(findings))
    output.remark(f"{len(graph)} classes, {wrong} error(s), {len(findings) - wrong} warning(s)")
    if strict and wrong:
        raise typer.Exit(ExitCode.FAILED)


@app.command("resolve")
def resolve_class(class_name: ClassName, definitions: Directory = files.DEFAULT) -> None:
    """The columns of a class with all that it inherits, and who said each."""
    graph, unreadable = _read(definitions)
    _must_exist(graph, class_name)
    resolved, problems = resolve(graph, class_name)
    _tell([*unreadable, *problems])
    output.show_rows(
        [{"column": column.name, **_words(column.entry), **_source(column.provenance)} for column in resolved.columns]
    )
    if errors(problems):
        raise typer.Exit(ExitCode.FAILED)


@app.command("explain")
def explain_column(class_name: ClassName, column: ColumnName, definitions: Directory = files.DEFAULT) -> None:
    """Everything that is said about a column, in the order of precedence: what wins, and what it replaces."""
    graph, unreadable = _read(definitions)
    _must_exist(graph, class_name)
    _tell([*unreadable, *resolve(graph, class_name)[1]])
    sayings = explain(graph, class_name, column)
    if not sayings:
        _refuse(f"nothing is said about {column} in {class_name} or what it inherits from")
    output.show_rows([{"verdict": saying.verdict, **_words(saying.entry), **_source(saying.provenance)} for saying in sayings])


@app.command("diff")
def diff_files(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Directory of case classes as they were.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="As they shall be; those of the release.")] = files.DEFAULT,
) -> None:
    """What changes in tables and columns. Every table that is named needs a new version, which is a rebuild."""
    found = changes(_specs(old), _specs(new))
    output.show_rows(
        {
            "table": change.table,
            "column": change.column,
            "change": change.kind,
            "before": dict(change.before),
            "after": dict(change.after),
        }
        for change in found
    )


def _read(directory: Path) -> tuple[dict[str, ClassDefinition], list[Diagnostic]]:
    definitions, unreadable = files.read_directory(directory)
    graph, twice = graph_of(definitions)
    return graph, [*unreadable, *twice]


def _specs(directory: Path) -> list[TableSpec]:
    graph, unreadable = _read(directory)
    specs, problems = table_specs(graph)
    if wrong := errors([*unreadable, *problems]):
        _tell(wrong)
        _refuse(f"{directory}: tables cannot be made of classes with errors; see `casestream mapping lint`")
    return specs


def _finding(problem: Diagnostic) -> dict[str, Any]:
    return {
        "severity": problem.severity,
        "code": problem.code,
        "class": problem.class_name or None,
        "column": problem.column,
        "location": problem.location,
        "message": problem.message,
    }


def _words(entry: MappingEntry) -> dict[str, Any]:
    return {
        "path": entry.json_path,
        "type": entry.type,
        "exposed": entry.exposed,
        "indexed": entry.indexed,
        "sensitivity": entry.sensitivity,
    }


def _source(provenance: Provenance) -> dict[str, str]:
    """S4's four words (CD-10)."""
    return {
        "sourceClass": provenance.source_class,
        "sourceKind": provenance.source_kind,
        "sourceModule": provenance.source_module,
        "sourceLocation": provenance.source_location,
    }


def _must_exist(graph: dict[str, ClassDefinition], class_name: str) -> None:
    if class_name not in graph:
        _refuse(f"there is no class {class_name}; there are {', '.join(sorted(graph)) or 'none'}")


def _tell(problems: Sequence[Diagnostic]) -> None:
    for problem in problems:
        output.remark(str(problem))


def _refuse(line: str) -> NoReturn:
    output.remark(f"casestream: {line}")
    raise typer.Exit(ExitCode.FAILED)
