"""Board, alerts, runbook and reference pages name only what exists."""

import json
import re
from pathlib import Path

import pytest
import yaml

from checks import cli_page
from checks.metrics_page import sample_names
from runtime.cli import FAMILIES

ROOT = Path(__file__).parents[3]
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
BOARD = json.loads((ROOT / "deploy/grafana/casestream.json").read_text())
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [t["expr"] for panel in BOARD["panels"] for t in panel["targets"]]
GUIDES = (
    "operate-groups", "redrive-parked-messages", "retry-failed-effects", "move-offsets", "rebuild-a-table", "restart-and-scale",
    "runbook", "write-a-rule", "why-did-a-rule-not-fire", "operate-onboarding",
)  # fmt: skip

# What PromQL brings itself, and the client library's own series.
_WORDS = frozenset("max min sum rate increase absent by le or histogram_quantile".split())
_LIBRARY = frozenset({"process_resident_memory_bytes"})


def series(expression: str) -> set[str]:
    """The series that an expression asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", expression)
    return set(re.findall(r"[a-z][a-z0-9_]+", bare)) - _WORDS


@pytest.mark.requirement("SP-9")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_only_for_series_that_the_code_makes(expression: str) -> None:
    asked = series(expression)

    assert asked
    assert asked <= sample_names() | _LIBRARY


def test_a_series_of_nobody_would_be_found() -> None:
    assert not series('sum by (job) (rate(invented_total{job="x"}[5m]))') <= sample_names()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_heading_in_the_runbook(rule: dict[str, dict[str, str]]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)

    assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def known_commands() -> dict[str, set[str]]:
    """Every command with its options."""
    return {
        name: {option for one in command.params for option in one.opts if option.startswith("--")}
        for name, command in cli_page.commands()
    }


def shown_commands() -> list[str]:
    """Every command line in the operators' guides."""
    text = "\n".join((ROOT / f"docs/how-to/{name}.md").read_text() for name in GUIDES)
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`(casestream [^`]+)`", text)
    lines = [line for block in blocks for line in block.splitlines()]
    return sorted({" ".join(line.partition("#")[0].split()) for line in lines if line.startswith("casestream ")})


@pytest.mark.parametrize("line", shown_commands())
def test_a_command_of_the_guides_exists_with_its_options(line: str) -> None:
    words = line.split()[1:]
    known = known_commands()
    name = words[0] if words[0] in known else " ".join(words[:2])

    assert name in known
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options <= known[name] | {"--output"}


def test_the_reference_names_every_command() -> None:
    page = cli_page.page()

    for family in FAMILIES:
        assert f"casestream {family}" in page
