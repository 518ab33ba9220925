"""Flow definitions from YAML files, one version in each, with everything that is wrong and its line."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from domain.lined_yaml import LinedYaml, read_lined
from domain.onboarding.flows.checking import check_document
from domain.onboarding.flows.problems import Language, Problem
from schemas.flows import FlowDefinition

DEFAULT = Path(__file__).resolve().parents[3] / "definitions" / "flows"
_NOTHING_READ = frozenset({"too-long", "no-yaml", "forbidden-character"})


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a line of a file."""

    file: str
    line: int
    problem: Problem

    def told(self, language: Language = "en") -> dict[str, object]:
        """A row for people and programs."""
        return {
            "location": f"{self.file}:{self.line}",
            "severity": self.problem.severity,
            "code": self.problem.code,
            "message": self.problem.sentence(language),
        }


@dataclass(frozen=True, slots=True)
class FlowFile:
    """One file. `definition` is None where its shape is wrong."""

    name: str
    definition: FlowDefinition | None
    findings: tuple[Finding, ...]
    page: LinedYaml = field(compare=False, repr=False)

    @property
    def usable(self) -> FlowDefinition | None:
        """The definition, if it has no error."""
        return None if any(found.problem.severity == "error" for found in self.findings) else self.definition


def read_directory(directory: Path = DEFAULT, installed: frozenset[str] | None = None) -> list[FlowFile]:
    """Every `*.yaml` file below a directory, in the order of names. Raises FileNotFoundError for no directory."""
    if not directory.is_dir():
        raise FileNotFoundError(2, "there is no such directory of flows", str(directory))
    return read_files(sorted(directory.rglob("*.yaml")), installed)


def read_files(paths: Iterable[Path], installed: frozenset[str] | None = None) -> list[FlowFile]:
    """Files, each for itself, and whether two say the same version. Raises OSError for a file that cannot be read."""
    found = [_read(path, installed) for path in paths]
    first: dict[tuple[str, int], str] = {}
    return [_unlike_others(file, first) for file in found]


def read_text(text: str, name: str, installed: frozenset[str] | None = None) -> FlowFile:
    """A definition's text; `name` is how findings call it."""
    page = read_lined(text)
    findings = [Finding(name, fault.line, Problem((), fault.kind, fault.params)) for fault in page.faults]
    if any(fault.kind in _NOTHING_READ for fault in page.faults):
        return FlowFile(name, None, tuple(findings), page)
    definition, problems = check_document(page.content, installed)
    findings += [Finding(name, page.line_of(problem.place), problem) for problem in problems]
    return FlowFile(name, definition, tuple(sorted(findings, key=_by_line)), page)


def _read(path: Path, installed: frozenset[str] | None) -> FlowFile:
    raw, name = path.read_bytes(), _shown(path)
    try:
        return read_text(raw.decode("utf-8"), name, installed)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return FlowFile(name, None, (Finding(name, line, Problem((), "not-utf8")),), LinedYaml())


def with_problems(file: FlowFile, problems: Iterable[Problem]) -> FlowFile:
    """The file with what was found besides, each at its line."""
    found = [Finding(file.name, file.page.line_of(problem.place), problem) for problem in problems]
    return replace(file, findings=tuple(sorted((*file.findings, *found), key=_by_line)))


def _unlike_others(file: FlowFile, first: dict[tuple[str, int], str]) -> FlowFile:
    if file.definition is None:
        return file
    flow, version = file.definition.flow, file.definition.version
    other = first.setdefault((flow, version), file.name)
    if other == file.name:
        return file
    return with_problems(
        file, [Problem(("version",), "version-twice", {"flow": flow, "version": str(version), "other": other})]
    )


def _by_line(finding: Finding) -> tuple[int, str]:
    return finding.line, finding.problem.code


def _shown(path: Path) -> str:
    # A flow of the release is called the same wherever the release is installed.
    full = path.resolve()
    return str(Path("definitions", "flows", full.relative_to(DEFAULT))) if full.is_relative_to(DEFAULT) else str(path)
