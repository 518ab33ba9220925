"""What callers get back: the models that the OpenAPI document shows and that generated requests hold every answer against.

Answers are built by the routes; nothing is validated on the way out.
"""

from api.answers.building_blocks import Answer, Checks, FieldError, Health, LabelView, ProblemBody
from api.answers.directory import (
    IncidentPage,
    IncidentView,
    RetryAnswer,
    TeamPage,
    TeamView,
    TeamWritten,
    TenantView,
    UserPage,
    UserView,
    UserWritten,
)
from api.answers.work_items import (
    ActionAnswer,
    CommentPage,
    CommentView,
    ControlRule,
    ControlView,
    EditAnswer,
    StateChange,
    StateHistoryPage,
    StatusView,
    TaxonomyAnswer,
    TaxonomyEntry,
    WorkItemPage,
    WorkItemSummary,
    WorkItemView,
)

__all__ = [
    "ActionAnswer",
    "Answer",
    "Checks",
    "CommentPage",
    "CommentView",
    "ControlRule",
    "ControlView",
    "EditAnswer",
    "FieldError",
    "Health",
    "IncidentPage",
    "IncidentView",
    "LabelView",
    "ProblemBody",
    "RetryAnswer",
    "StateChange",
    "StateHistoryPage",
    "StatusView",
    "TaxonomyAnswer",
    "TaxonomyEntry",
    "TeamPage",
    "TeamView",
    "TeamWritten",
    "TenantView",
    "UserPage",
    "UserView",
    "UserWritten",
    "WorkItemPage",
    "WorkItemSummary",
    "WorkItemView",
]
