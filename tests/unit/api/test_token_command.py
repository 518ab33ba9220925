"""`casestream token` makes what the door accepts, and only of the local stack's issuer."""

import json
from pathlib import Path

import pytest
import typer

from api.auth import Principal, Verifier
from runtime.cli import main
from runtime.cli.token import lifetime_seconds
from runtime.settings import IssuerSettings
from runtime.stack.home import default_home
from runtime.stack.issuer import create_issuer
from runtime.stack.state import development_issuer


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IssuerSettings:
    """A stack's home with an issuer in it."""
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path))
    create_issuer(default_home())
    return IssuerSettings.model_validate(development_issuer(default_home()))


async def test_its_token_is_accepted(issuer: IssuerSettings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["token", "--tenant", "north", "--user", "an", "--role", "agent", "--role", "import", "--ttl", "5m"])
    assert ended.value.code in (0, None)
    proved = await Verifier([issuer]).verify(capsys.readouterr().out.strip())
    assert proved == Principal("north", "an", frozenset({"agent", "import"}))


def test_programs_get_it_as_json(issuer: IssuerSettings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["token", "--tenant", "north", "--output", "json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["tenant"], said["roles"], said["token"].count(".")) == ("north", ["agent"], 2)


def test_without_a_stack_it_names_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["token", "--tenant", "north"])
    assert ended.value.code not in (0, None)
    assert "casestream up" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)])
def test_a_lifetime_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert lifetime_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "1w", "31d", "1.5h", "99999999"])
def test_another_lifetime_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        lifetime_seconds(text)
