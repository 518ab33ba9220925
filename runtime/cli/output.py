"""How commands print: tables for people, JSON for programs. Answers go to stdout, remarks to stderr.

`--output` chooses the form once for the whole command; commands hand over plain values and never format them.
"""

import datetime
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import orjson


class Format(Enum):
    """The values of `--output`."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


_chosen = Format.TABLE

Row = Mapping[str, Any]


def choose(name: str) -> None:
    """Set the form for this command. Raises ValueError for an unknown one."""
    global _chosen
    try:
        _chosen = Format(name)
    except ValueError:
        raise ValueError(f"{name!r} is none of {', '.join(form.value for form in Format)}") from None


def chosen() -> Format:
    return _chosen


def show_rows(rows: Iterable[Row], columns: Sequence[str] | None = None, title: str | None = None) -> None:
    """Print rows, asyncpg's records too: a table, a JSON list, or an object per line. `columns` picks and orders."""
    plain = [_picked(row, columns) for row in rows]
    if _chosen is Format.JSON:
        print(_json(plain, indent=True))
    elif _chosen is Format.JSONL:
        for row in plain:
            print(_json(row))
    else:
        _print_table(plain, columns, title)


def show_record(record: Row, title: str | None = None) -> None:
    """Print one object: a column of names and a column of values, or one JSON object."""
    if _chosen is Format.TABLE:
        _print_table([{"": name, " ": value} for name, value in record.items()], None, title)
    else:
        print(_json(dict(record), indent=_chosen is Format.JSON))


def remark(text: str) -> None:
    """Say something to the person at the terminal; never part of the answer."""
    print(text, file=sys.stderr)


def cell(value: Any) -> str:
    """One value as text for people."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime.datetime():
            return value.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ") if value.tzinfo else str(value)
        case float():
            return f"{value:,.3f}".rstrip("0").rstrip(".")
        case Mapping() | list():
            return _json(value)
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _picked(row: Row, columns: Sequence[str] | None) -> dict[str, Any]:
    return dict(row) if columns is None else {name: row[name] for name in columns}


def _json(value: Any, indent: bool = False) -> str:
    options = orjson.OPT_INDENT_2 if indent else 0
    return orjson.dumps(value, default=_as_text, option=options | orjson.OPT_NON_STR_KEYS).decode()


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)


def _print_table(rows: Sequence[Row], columns: Sequence[str] | None, title: str | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        remark("(none)")
        return
    names = list(columns or rows[0])
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", show_header=any(name.strip() for name in names))
    for name in names:
        numeric = all(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Text, not str: a value in square brackets is no markup.
        table.add_row(*[Text(cell(row[name])) for name in names])
    # Piped into another program a line must not be broken at 80 columns.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    console.print(table)
