"""`casestream schema`: publish the message schemas, check them, show the AsyncAPI document. Needs no server."""

import typer

from runtime import schema_files
from runtime.cli import output
from runtime.cli.exits import ExitCode
from schemas import published

app = typer.Typer(no_args_is_help=True, help="The published language: publish, check, asyncapi.")


@app.command()
def check() -> None:
    """Exit code 1 when a file differs from the code or a reader would fail on an old event; one line for each."""
    _refuse(schema_files.problems())
    output.remark(f"{len(published.payload_schemas())} message schemas: published, and readers of everything before")


@app.command()
def publish() -> None:
    """Write the schemas, the AsyncAPI document and the history. An incompatible change is refused, nothing written."""
    _refuse(schema_files.incompatibilities())
    output.show_rows({"file": name} for name in schema_files.publish())


@app.command()
def asyncapi() -> None:
    """Print the AsyncAPI 3 document."""
    print(published.render()[published.ASYNCAPI], end="")


def _refuse(problems: list[str]) -> None:
    if problems:
        output.show_rows({"problem": problem} for problem in problems)
        raise typer.Exit(ExitCode.FAILED)
