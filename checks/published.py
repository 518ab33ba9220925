"""The published schemas equal the code, and no change of them breaks a reader of the first event ever written."""

import importlib.util

from checks import ROOT, Report

FOLDER = ROOT / "schemas" / "published"


def check(report: Report, write: bool) -> None:
    if importlib.util.find_spec("schemas.publishing") is None:
        report.note("schemas are not published yet")
        return
