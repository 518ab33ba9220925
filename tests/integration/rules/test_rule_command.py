"""`casestream rule` as an operator types it, in processes of their own."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infrastructure.databases import ClonedDatabase
from tests.integration.rules.house import House

ROOT = Path(__file__).parents[3]
TAG = {"actionType": "ADD_TAG", "configuration": {"tag": "large"}}
LARGE = {"fieldName": "value", "operator": "GREATER_THAN", "value": 100, "valueType": "NUMBER"}
RULE = {"name": "Large", "triggerType": "ON_UPDATE", "entityType": "LEAD", "conditions": [LARGE], "actions": [TAG]}


class Commands:
    """Runs `casestream rule` on this test's database."""

    def __init__(self, database: ClonedDatabase, folder: Path) -> None:
        self._folder = folder
        self._environ = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        }

    async def __call__(self, *words: str, expect: int = 0, output: str = "json") -> tuple[str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", "--output", output, "rule", *words, env=self._environ, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 300)
        assert process.returncode == expect, (out + err).decode()
        return out.decode(), err.decode()

    async def of_north(self, *words: str) -> Any:
        """The answer of a command about tenant north."""
        return json.loads((await self(*words, "--tenant", "north"))[0])

    def file(self, name: str, text: object) -> str:
        path = self._folder / name
        path.write_text(yaml.safe_dump(text) if name.endswith("yaml") else json.dumps(text))
        return str(path)


@pytest.fixture
def rule(database: ClonedDatabase, tmp_path: Path) -> Commands:
    return Commands(database, tmp_path)


@pytest.mark.requirement("RU-14", "trap-43")
async def test_a_file_is_imported_once_and_again_only_where_it_differs(house: House, rule: Commands) -> None:
    told = [RULE, {**RULE, "name": "Other"}]
    first = await rule.of_north("import", rule.file("a.yaml", told), "--reason", "first")
    again = await rule.of_north("import", rule.file("a.yaml", [RULE, {**told[1], "priority": 5}]))

    assert [one["outcome"] for one in first] == ["created", "created"]
    assert [(one["outcome"], one["version"]) for one in again] == [("unchanged", 1), ("changed", 2)]
    assert [one["reason"] for one in await rule.of_north("versions", "Large")] == ["first"]
    exported, _ = await rule("export", "--tenant", "north")
    assert {one["outcome"] for one in await rule.of_north("import", rule.file("b.yaml", yaml.safe_load(exported)))} == {
        "unchanged"
    }


@pytest.mark.requirement("RU-14")
async def test_a_problem_in_one_rule_keeps_all_of_them_out(house: House, rule: Commands) -> None:
    unknown = {"actionType": "ASSIGN_TO", "configuration": {"userId": "nobody"}}
    file = rule.file("a.yaml", [RULE, {**RULE, "name": "Wrong", "actions": [unknown]}])

    await rule("lint", file)
    _, told = await rule("import", file, "--tenant", "north", expect=1)
    assert f"{file}/1/actions/0/configuration/userId" in told
    assert await rule.of_north("list") == []
    await rule("lint", rule.file("b.yaml", [{**RULE, "triggerType": "SOON"}]), expect=1)


@pytest.mark.requirement("RU-8", "RU-14")
async def test_rules_of_a_file_start_each_other_by_name_and_travel_to_another_tenant(house: House, rule: Commands) -> None:
    def starting(target: str) -> dict[str, Any]:
        return {"actionType": "TRIGGER_WORKFLOW", "configuration": {"ruleName": target}}

    told = [{**RULE, "name": "A", "actions": [starting("B")]}, {**RULE, "name": "B", "actions": [starting("A")]}]
    made = await rule.of_north("import", rule.file("a.yaml", told))
    again = await rule.of_north("import", rule.file("a.yaml", told))
    exported, _ = await rule("export", "--tenant", "north")
    await rule("import", rule.file("b.yaml", yaml.safe_load(exported)), "--tenant", "south")
    _, refused = await rule("import", rule.file("c.yaml", [{**told[0], "name": "C", "actions": [starting("D")]}]),
                            "--tenant", "south", expect=1)  # fmt: skip

    assert [one["outcome"] for one in made + again] == ["created", "created", "unchanged", "unchanged"]
    assert (await rule.of_north("show", "A"))["rule"]["actions"][0]["configuration"] == {"ruleId": made[1]["id"]}
    south = json.loads((await rule("list", "--tenant", "south"))[0])
    assert {one["name"] for one in south} == {"A", "B"}
    assert not {one["id"] for one in south} & {one["id"] for one in made}
    assert "/0/actions/0/configuration/ruleName: rule-name" in refused


@pytest.mark.requirement("RU-14", "trap-42")
async def test_a_rule_is_tried_and_explained_and_nothing_is_written(house: House, rule: Commands) -> None:
    await rule.of_north("import", rule.file("a.yaml", [RULE]))
    large, small = (rule.file(f"{value}.json", {"newValues": {"value": value}}) for value in (101, 100))

    assert (await rule.of_north("test", "Large", large))["fires"] is True
    answer = await rule.of_north("explain", "Large", small, "--lang", "vi")
    assert (answer["fires"], answer["version"]) == (False, 1)
    assert answer["verdict"].startswith("Không kích hoạt")
    foreign = rule.file("foreign.json", {"entityType": "OPPORTUNITY", "newValues": {"value": 101}})
    await rule("explain", "Large", foreign, "--tenant", "north", expect=3)
    assert (await rule.of_north("simulate", "Large"))["fires"] == 0
    assert await rule.of_north("runs", "Large") == await house.runs() == []
    _, told = await rule("explain", "Large", "--event", "e1", "--tenant", "north", expect=3)
    assert "--reason" in told
    await rule("explain", "Large", small, "--run", "x", "--tenant", "north", expect=3)
    await rule("explain", "Large", "--run", "x", "--tenant", "north", expect=1)


@pytest.mark.requirement("RU-14")
async def test_a_rule_is_switched_and_shown_by_name_and_told_apart_from_none(house: House, rule: Commands) -> None:
    await rule.of_north("import", rule.file("a.yaml", [RULE]))

    assert (await rule.of_north("disable", "Large", "--reason", "noise"))["active"] is False
    assert (await rule.of_north("enable", "Large"))["version"] == 3
    assert (await rule.of_north("show", "Large"))["rule"]["name"] == "Large"
    assert [one["way"] for one in await rule.of_north("graph")] == ["writes"]
    _, told = await rule("show", "None", "--tenant", "north", expect=1)
    assert "no rule None" in told


async def test_a_clean_file_is_told_so_and_a_broken_stored_rule_is_told_where(house: House, rule: Commands) -> None:
    clean = rule.file("clean.yaml", [{**RULE, "triggerType": "ON_CREATE"}])
    assert "no problem in 1 rule(s)" in (await rule("lint", clean, output="table"))[1]
    await rule.of_north("import", rule.file("a.yaml", [RULE]))
    await house.world.look("alter table workflow_rule_versions disable trigger user")
    await house.world.look(
        "update workflow_rule_versions set definition = replace(definition, 'ON_UPDATE', 'ON_FIELD_CHANGE') returning 1"
    )
    _, told = await rule("test", "Large", rule.file("e.json", {"newValues": {}}), "--tenant", "north", expect=1)
    assert "/triggerField trigger-field" in told
    assert "lint the file" in told
