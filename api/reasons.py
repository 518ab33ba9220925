"""Why somebody reads data about persons: it goes to the audit log with the reader's name."""

from api.door import DoorRequest
from api.problems import Problem

REASON = "Access-Reason"
LONGEST_REASON = 500


def reason_of(request: DoorRequest, asked: str | None = None) -> str:
    """The reason, from the query or the header. Raises Problem ReasonRequired."""
    given = (asked or request.headers.get(REASON, "")).strip()
    if not given or len(given) > LONGEST_REASON or "\x00" in given:
        raise Problem("ReasonRequired", f"Say why you read it, as ?reason= or {REASON}, in 1 to {LONGEST_REASON} characters.")
    return given
