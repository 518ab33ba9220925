"""docs/reference/cli.md, generated from the command table: every command, argument and option that exists."""

from collections.abc import Iterator
from typing import Any

from checks import ROOT, Report
from runtime.cli import FAMILIES

PAGE = ROOT / "docs" / "reference" / "cli.md"

_HEAD = """# Command line

<!-- Generated from runtime/cli by `make docs`. -->

`casestream --output table|json|jsonl COMMAND`: the option may stand anywhere in the line. Answers go to stdout, remarks to
stderr. Exit codes: 0 done, 1 failed, 2 wrong command line, 3 the machine, the schema or the request's precondition is not
as it must be, 4 partly done. Commands that move offsets are dry runs until `--execute`.
"""


def check(report: Report, write: bool) -> None:
    report.generated(PAGE, page(), write)


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(name, command) for name, command in commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, families resolved."""
    for family, entry in FAMILIES.items():
        command = entry.load()
        if hasattr(command, "commands"):
            for name, one in command.commands.items():
                yield f"{family} {name}", one
        else:
            yield family, command


def _section(name: str, command: Any) -> str:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    usage = " ".join(["casestream", name, *(_usage(one) for one in shown if one.param_type_name == "argument")])
    parts = [f"## {name}\n", f"    {usage}\n", (command.help or "").strip() + "\n"]
    options = [one for one in shown if one.param_type_name == "option" and one.name != "help"]
    if options:
        parts.append("| option | |\n|---|---|")
        parts += [f"| {_option(one)} | {_escaped(one.help or '')} |" for one in options]
        parts.append("")
    return "\n".join(parts)


def _usage(argument: Any) -> str:
    name = str(argument.name).rstrip("_").upper() + ("..." if argument.nargs == -1 or argument.multiple else "")
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    value = "" if option.is_flag else " VALUE"
    names = " ".join(f"`{name}{value}`" for name in option.opts)
    return f"{names}{' (required)' if option.required else ''}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
