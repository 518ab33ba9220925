"""What operators of onboarding and reviewers may send. Pages count from 0 here, as the document has it (WF-15)."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field, StrictBool, StrictInt, WithJsonSchema

from api.inputs import Input
from api.problems import Problem
from domain.onboarding.troubles import Kind
from schemas.flows import FlowName
from schemas.flows import FlowVersion as Numbered
from schemas.models import Code, Identifier, Text

# The rows before a page are read and thrown away: whoever wants to go further narrows the list.
DEEPEST = 10_000

Page = Annotated[int, Query(ge=0, le=DEEPEST, description="Number of the page, from 0")]
Size = Annotated[int, Query(ge=1, le=200, description="Instances per page")]
OfUser = Annotated[Identifier | None, Query(alias="userId", description="Only of this user")]
OfFlow = Annotated[FlowName, Query(description="Which flow")]
FlowVersion = Annotated[str, Path(pattern=r"^v[1-9][0-9]{0,5}$", description="v and the version's number, like v1")]
EventNumber = Annotated[int, Path(ge=1, lt=2**63, description="Number of the event, as in the timeline")]
Form = Annotated[Literal["json", "mermaid", "svg"], Query(alias="format", description="As data, as Mermaid, as a picture")]
Direction = Annotated[Literal["oldest", "newest"], Query(description="What comes first")]
OfKind = Annotated[Kind | None, Query(description="With `fingerprint`: what failed")]
OfCause = Annotated[
    str | None, Query(min_length=1, max_length=300, description="Only of this cause, as in the dashboard; needs `kind`")
]
InQueue = Annotated[
    str | None, Query(min_length=1, max_length=100, description="The group; without it all groups of the caller")
]
Why = Annotated[
    Text, Field(min_length=1, max_length=1_000, description="Why; sealed in the history, under the key of the person concerned")
]
_Version = Annotated[StrictInt, Field(ge=1, lt=2**63)]
# What a reviewer read in place of the machine, by field.
Fields = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=100)], Any],
    WithJsonSchema({"type": "object", "description": "Named fields of the case; sealed, never shown", "maxProperties": 100}),
    Field(max_length=100),
]


class OrderBody(Input):
    """An order to one instance. `expectedVersion` (or If-Match): only if nothing has happened since."""

    reason: Why
    expected_version: _Version | None = None


class InputBody(Input):
    """Other input for a compensation that failed; a second operator must approve it."""

    reason: Why
    data: Fields


class ApprovalBody(Input):
    """The number of the event that holds the proposal."""

    proposal: _Version


class BulkRetryBody(Input):
    """All open incidents of one cause, at most `limit` of them now."""

    kind: Kind
    fingerprint: Annotated[Text, Field(min_length=1, max_length=300)]
    reason: Why
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = 100


class MigrationBody(Input):
    """Instances of one version that shall go on by another one: the next `limit` of them behind `after`. `states` names those
    that have another name there. Nothing is written unless `dryRun` is false."""

    flow: FlowName
    from_version: Numbered
    to_version: Numbered
    states: Annotated[dict[Code, Code], Field(max_length=500)] = Field(default_factory=dict)
    reason: Why
    dry_run: StrictBool = True
    after: Identifier | None = None
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = 100


class ReassignBody(Input):
    """Who gets the task."""

    assignee_id: Identifier


class ApproveBody(Input):
    """A yes, with the fields as the reviewer read them where the definition lets him edit them."""

    fields: Fields | None = None
    reason: Why | None = None


class DecisionBody(Input):
    """A no, or back to the person."""

    reason: Why
    fields: Fields | None = None


def refuse_deep(page: int, size: int) -> None:
    """Raises Problem ValidationFailed."""
    if page * size > DEEPEST:
        found = {
            "parameter": "page",
            "in": "query",
            "code": "too_deep",
            "message": f"Pages reach {DEEPEST} rows far; narrow the list by status or userId.",
        }
        raise Problem("ValidationFailed", "The page is too far behind; see errors.", members={"errors": [found]})
