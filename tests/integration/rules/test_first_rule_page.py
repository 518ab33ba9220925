"""The tutorial's rule, change and answers are what the commands say."""

import re
from pathlib import Path

import pytest

from tests.integration.rules.house import House, event
from tests.integration.rules.test_rule_command import Commands, rule

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "first-rule.md"
NAME = "Follow up large leads"

__all__ = ["rule"]


def shown(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.requirement("RU-14", "RU-15")
async def test_the_tutorials_first_rule_does_what_the_page_says(house: House, rule: Commands, tmp_path: Path) -> None:
    (written,), (change,), (tried, asked) = shown("yaml"), shown("json"), shown("text")
    (tmp_path / "first.yaml").write_text(written)
    (tmp_path / "change.json").write_text(change)

    _, remarks = await rule("lint", str(tmp_path / "first.yaml"))
    assert "circle" not in remarks
    await rule.of_north("import", str(tmp_path / "first.yaml"))
    out, _ = await rule("test", NAME, str(tmp_path / "change.json"), "--tenant", "north", output="table")
    assert out.startswith(tried)
    (tmp_path / "small.json").write_text('{"oldValues": {"estimatedValue": 1000}, "newValues": {"estimatedValue": 40000}}')
    out, _ = await rule("explain", NAME, str(tmp_path / "small.json"), "--tenant", "north", output="table")
    assert out == asked

    old = {"name": "An", "estimatedValue": 1_000}
    await house.meet(event("e-1", old=old, name="An", estimatedValue=75_000))
    await house.meet(event("e-2", "43", old=old, name="Bo", estimatedValue=40_000))
    assert [(run["entity_id"], run["status"]) for run in await house.runs()] == [("42", "SUCCESS")]
    assert len(await house.sent("CreateWorkItem")) == 1
