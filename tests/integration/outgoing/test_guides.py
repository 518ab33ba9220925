"""The guides' commands work as they stand there, and the receiver's code verifies what the sender sends."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import key_environment
from tests.integration.outgoing.conftest import Clock
from tests.integration.outgoing.receivers import receiver, reply
from tests.integration.outgoing.test_webhook_sender import NEW, call, sender

HOW_TO = Path(__file__).resolve().parents[3] / "docs" / "how-to"


def blocks(page: str, language: str) -> str:
    """The page's blocks of one language, one after the other."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", (HOW_TO / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found)


@pytest.mark.parametrize("page", ["send-a-webhook", "rotate-a-secret", "configure-mail", "write-a-step-handler"])
async def test_a_guides_commands_work_in_one_shell(
    page: str, pools: dict[str, asyncpg.Pool], database: ClonedDatabase, keys_database: ClonedDatabase, tmp_path: Path
) -> None:
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CASESTREAM_HOME": str(tmp_path),
        "CRM_TOKEN": "canary-7f3a",
        **key_environment(database),
    }
    shell, script = ["bash", "-euo", "pipefail"], blocks(page, "sh")
    if page == "write-a-step-handler":
        (tmp_path / "payouts.v1.yaml").write_text(blocks(page, "yaml"))
    done = subprocess.run(shell, input=script, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "canary-7f3a" not in done.stdout + done.stderr
    if page == "configure-mail":
        assert "Welcome, Nguyễn Văn An" in done.stdout
    else:
        assert "whsec_" in done.stdout


async def test_the_receivers_code_verifies_and_drops_a_repetition(clock: Clock) -> None:
    names: dict[str, Any] = {}
    exec(blocks("send-a-webhook", "python"), names)  # noqa: S102 - the guide's own code
    async with receiver(reply(200)) as at:
        once = call(at)
        for _ in range(2):
            await sender(at, clock).send(once)
        seen: set[str] = set()
        taken = [names["received"](NEW, visit.body, visit.headers, seen) for visit in at.visits]
    assert taken == [{"name": "Nguyễn Văn An"}, None]
