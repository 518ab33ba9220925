"""`casestream config`: what this process would run with, and whether it may start."""

import os

import typer

from runtime.cli import output
from runtime.settings.reading import read
from runtime.settings.variables import variables

app = typer.Typer(no_args_is_help=True, help="The settings: show them redacted, check them.")


@app.command()
def show() -> None:
    """Every key with its value and where that came from; secrets are redacted."""
    reading = read(os.environ)
    output.show_rows(
        {"key": variable.key, "value": reading.shown(variable), "from": reading.origin.get(variable.key, "default")}
        for variable in variables().values()
    )


@app.command()
def check() -> None:
    """Refuse like a process would: exit code 3 with every problem at once, 0 when it may start."""
    from runtime.settings import Settings

    settings = Settings.load(os.environ)
    output.remark(f"the settings are sound ({settings.environment})")
