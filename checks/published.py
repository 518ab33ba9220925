"""The published language equals the code, and no change of it breaks a reader of the first event ever written.

Covers the files of schemas/published/ and the reference pages of topics and events.
"""

from checks import ROOT, Report
from runtime import schema_files
from schemas import reference

PAGES = ROOT / "docs" / "reference"


def check(report: Report, write: bool) -> None:
    report.generated(PAGES / "topics.md", reference.topics_page(), write)
    report.generated(PAGES / "events.md", reference.events_page(), write)
    refused = schema_files.incompatibilities()
    if write and not refused:
        schema_files.publish()
    for problem in refused if write else schema_files.problems():
        report.fail(problem)
