"""The reference pages say what the code does: every problem with its status, every operation with its roles."""

import re
from pathlib import Path

from api.mapping_routes import MAPPING_EDITORS, MAPPING_READERS
from api.problems import CATALOGUE
from api.rebuild_routes import REBUILD_READERS, REBUILDERS
from api.routes import ADMINS, EDITORS, OPERATORS, READERS, ROUTES
from domain.cases.decisions import MAY_LIST, MAY_READ
from domain.entities.accepting import MAY_PUBLISH
from domain.onboarding.actors import MAY_BEGIN, MAY_COMPLETE, MAY_INTERACT, MAY_LOOK, MAY_NOTICE, MAY_REVIEW, MAY_WATCH
from domain.rules.commands import MAY_EDIT as MAY_EDIT_RULES
from domain.rules.commands import MAY_READ as MAY_READ_RULES

PAGES = Path(__file__).resolve().parents[3] / "docs" / "reference"
WORDS = {
    READERS: "readers",
    EDITORS: "editors",
    ADMINS: "admin",
    OPERATORS: "operator, admin",
    MAPPING_EDITORS: "mapping-editor",
    MAPPING_READERS: "mapping readers",
    REBUILDERS: "projection-operator",
    REBUILD_READERS: "projection readers",
    MAY_BEGIN: "customers, agents",
    MAY_LOOK: "customers, agents, viewer",
    MAY_WATCH: "watchers",
    MAY_REVIEW: "reviewers",
    MAY_LIST: "readers, case readers",
    MAY_READ: "case readers",
    MAY_PUBLISH: "publishers",
    MAY_COMPLETE: "step handlers",
    MAY_INTERACT: "customer",
    MAY_NOTICE: "engine",
    MAY_EDIT_RULES: "rule-editor, admin",
    MAY_READ_RULES: "rule readers",
    None: "everybody",
}


def test_every_problem_has_a_row_with_cause_and_cure() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \| (.+?) \|$", (PAGES / "problems.md").read_text(), re.MULTILINE)
    documented = {(code, int(status)) for code, status, _, _ in rows}
    answered = {(code, status) for code, kind in CATALOGUE.items() for status in (kind.status, *kind.also)}
    assert documented == answered
    assert all(len(cause) > 5 and len(cure) > 5 for _, _, cause, cure in rows)


def test_every_operation_has_a_row_with_its_roles() -> None:
    rows = re.findall(r"^\| ([A-Z]+) `([^`]+)` \| ([^|]+) \|", (PAGES / "http-api.md").read_text(), re.MULTILINE)
    assert {(method, path): roles.strip() for method, path, roles in rows} == {
        (route.method, route.path): WORDS[route.roles] for route in ROUTES
    }
