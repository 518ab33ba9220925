"""The commands of docs/how-to/call-the-api.md work as they stand there, one after the other, in one shell."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.auth import Verifier
from runtime.stack.home import default_home
from runtime.stack.issuer import create_issuer
from runtime.stack.state import development_issuer
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import fill, settings_for
from tests.integration.api.contract import door_in_a_thread

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "call-the-api.md"


@pytest.mark.usefixtures("keys_database")
def test_the_shown_commands_work(database: ClonedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    create_issuer(default_home())
    issuers = json.dumps([development_issuer(default_home())])
    asyncio.run(fill(database))
    settings = settings_for(database, CASESTREAM_JWT_ISSUERS=issuers)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with door_in_a_thread(settings, Verifier(settings.jwt_issuers)) as address:
        script = "\necho '#'\n".join(blocks).replace("http://127.0.0.1:8000", address)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    created, acted, refused, edited, history = (json.loads(said) for said in done.stdout.split("#\n")[1:])
    assert (created["newStatus"], acted["newStatus"], refused["error"]) == ("open", "in_progress", "InvalidTransition")
    assert edited["changedFields"] == ["priority"]
    assert [row["toStatus"] for row in history["items"]] == ["draft", "open", "in_progress"]
