"""The command line's frame: a fast help, exit codes, one way to print."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from runtime import cli
from runtime.cli import output
from runtime.cli.exits import ExitCode, exit_code_of, explain
from schemas.errors import ConfigurationError, NotFound, TransientError

CANARY = "canary-90d1"
ADDRESSES = {"DATABASE_URL": f"postgresql://cs:{CANARY}@db/x", "KAFKA_BOOTSTRAP_SERVERS": "a:1"}


@pytest.fixture(autouse=True)
def table_again() -> object:
    yield
    output.choose("table")


@pytest.fixture(autouse=True)
def no_local_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path / "none"))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return int(ended.value.code or 0)


def test_help_lists_every_family_and_imports_none() -> None:
    program = (
        "import sys; from runtime.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncpg', 'aiokafka', 'fastapi', 'pydantic'} & set(sys.modules)\n"
        "families = [name for name in sys.modules if name.startswith('runtime.cli.') and name != 'runtime.cli.output']\n"
        "print(heavy, families, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "set() ['runtime.cli.exits']"
    assert [name for name in cli.FAMILIES if f"│ {name} " not in ended.stdout] == []


def test_config_show_prints_every_key_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in ADDRESSES.items():
        monkeypatch.setenv(key, value)
    assert run("config", "show", "--output", "json") == ExitCode.OK
    printed = capsys.readouterr().out
    rows = {row["key"]: row for row in json.loads(printed)}
    assert rows["DATABASE_URL"] == {"key": "DATABASE_URL", "value": "[redacted]", "from": "environment"}
    assert rows["CASESTREAM_RELAY__PAGE_SIZE"]["from"] == "default"
    assert CANARY not in printed


def test_config_check_lists_the_problems_and_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ADDRESSES:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("CASESTREAM_RELAY__PAGESIZE", "1")
    assert run("config", "check") == ExitCode.PRECONDITION
    printed = capsys.readouterr().err
    assert "3 problem(s)" in printed
    assert "did you mean CASESTREAM_RELAY__PAGE_SIZE?" in printed


@pytest.mark.parametrize(
    "arguments", [["--output", "xml", "config", "show"], ["no-such-command"], ["config", "no-such"], ["config", "show", "-x"]]
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["relay", "status", "--output", "json"], ["--output", "json", "relay", "status"]),
        (["relay", "--output=json", "status"], ["--output=json", "relay", "status"]),
        (["relay", "status", "-o"], ["-o", "relay", "status"]),
        (["run", "--", "--output", "json"], ["run", "--", "--output", "json"]),
    ],
)
def test_output_may_stand_anywhere_before_a_double_dash(given: list[str], expected: list[str]) -> None:
    assert cli.hoist_output(given) == expected


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigurationError(["one", "two"]), ExitCode.PRECONDITION, "2 problem(s)"),
        (TransientError("the database is away"), ExitCode.PRECONDITION, "the database is away"),
        (ConnectionRefusedError(111, CANARY), ExitCode.PRECONDITION, "no connection"),
        (NotFound("incident 7 does not exist"), ExitCode.FAILED, "incident 7 does not exist"),
        (FileNotFoundError(2, "No such file", "input.csv"), ExitCode.FAILED, "No such file: input.csv"),
        (ValueError(CANARY), ExitCode.FAILED, "unexpected ValueError"),
    ],
)
def test_an_error_has_its_exit_code_and_a_line_without_foreign_text(error: Exception, code: ExitCode, said: str) -> None:
    lines = "\n".join(explain(error))
    assert exit_code_of(error) is code
    assert said in lines
    assert CANARY not in lines


ROWS = [
    {"shard": 1, "owner": "[bold]a[/bold]", "since": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "share": Decimal("1.10")},
    {"shard": 2, "owner": None, "since": None, "share": None},
]


def test_rows_print_as_table_list_or_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_rows(ROWS, columns=["shard", "owner", "since"])
    table = capsys.readouterr().out
    assert "[bold]a[/bold]" in table
    assert "2026-01-02 03:04:05Z" in table
    output.choose("json")
    output.show_rows(ROWS)
    assert [row["share"] for row in json.loads(capsys.readouterr().out)] == ["1.10", None]
    output.choose("jsonl")
    output.show_rows(ROWS)
    assert [json.loads(line)["shard"] for line in capsys.readouterr().out.splitlines()] == [1, 2]


def test_a_long_cell_is_not_broken_when_the_output_is_piped(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_rows([{"key": "x" * 300}])
    assert "x" * 300 in capsys.readouterr().out


def test_nothing_to_show_says_so_beside_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_rows([])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "(none)\n")
    output.choose("json")
    output.show_rows([])
    assert json.loads(capsys.readouterr().out) == []


def test_one_record_prints_as_names_and_values_or_as_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_record({"id": "i1", "open": True})
    assert "yes" in capsys.readouterr().out
    output.choose("jsonl")
    output.show_record({"id": "i1", "open": True})
    assert json.loads(capsys.readouterr().out) == {"id": "i1", "open": True}
