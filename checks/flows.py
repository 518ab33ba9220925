"""`casestream flow lint` over definitions/flows/: no flow of the release has an error."""

from checks import Report
from domain.onboarding.flows.files import read_directory


def check(report: Report, write: bool) -> None:
    for file in read_directory():
        for finding in file.findings:
            tell = report.fail if finding.problem.severity == "error" else report.note
            tell(f"{finding.file}:{finding.line}: {finding.problem.code}: {finding.problem.sentence()}")
