"""The commands of the guides about the API work as they stand there, one after the other, in one shell."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.auth import Verifier
from runtime.stack.home import default_home
from runtime.stack.issuer import create_issuer
from runtime.stack.state import development_issuer
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import fill, settings_for
from tests.integration.api.contract import door_in_a_thread

PAGES = Path(__file__).resolve().parents[3] / "docs" / "how-to"


@pytest.mark.usefixtures("keys_database")
def test_the_shown_commands_work(database: ClonedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path))
    created, acted, refused, edited, history = typed("call-the-api.md", database)[1:]
    assert (created["newStatus"], acted["newStatus"], refused["error"]) == ("open", "in_progress", "InvalidTransition")
    assert edited["changedFields"] == ["priority"]
    assert [row["toStatus"] for row in history["items"]] == ["draft", "open", "in_progress"]


@pytest.mark.requirement("IN-4")
@pytest.mark.usefixtures("keys_database")
def test_a_front_end_drives_an_interaction_as_shown(
    database: ClonedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path))
    begun, _, refused, submitted, waited = typed("drive-an-interaction.md", database)[1:]
    assert (begun["stepName"], begun["status"], begun["case"]) == ("otp", "AWAITING_INPUT", {"phone": "****"})
    assert [one["pointer"] for one in refused["errors"]] == ["/data/colour", "/data/otp"]
    # Nobody works here, so the step stays under way.
    assert (submitted["interactionId"], submitted["status"], waited["status"]) == (begun["interactionId"], "RUNNING", 304)


def typed(page: str, database: ClonedDatabase) -> list[Any]:
    """What each block of the page prints, as JSON; None for one that prints nothing."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    create_issuer(default_home())
    issuers = json.dumps([development_issuer(default_home())])
    asyncio.run(fill(database))
    settings = settings_for(database, CASESTREAM_JWT_ISSUERS=issuers)
    blocks = re.findall(r"```sh\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    with door_in_a_thread(settings, Verifier(settings.jwt_issuers)) as address:
        script = "\necho '#'\n".join(blocks).replace("http://127.0.0.1:8000", address)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    return [json.loads(said) if said.strip() else None for said in done.stdout.split("#\n")]
