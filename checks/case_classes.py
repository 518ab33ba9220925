"""`casestream mapping lint --strict` over definitions/cases/: no class of the release has an error."""

from checks import Report
from domain.cases.mapping.files import read_directory
from domain.cases.mapping.graph import graph_of
from domain.cases.mapping.lint import lint


def check(report: Report, write: bool) -> None:
    definitions, unreadable = read_directory()
    graph, twice = graph_of(definitions)
    for problem in (*unreadable, *twice, *lint(graph)):
        tell = report.fail if problem.severity == "error" else report.note
        tell(str(problem))
