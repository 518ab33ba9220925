"""The operations about rebuilds of tables: their part of the table in `api.routes`."""

from typing import Any

from api import answers, reindex
from api.door import Route

# Tables of cases are the installation's, for all tenants: who rebuilds or switches one does it for all of them.
REBUILDERS = frozenset({"projection-operator"})
REBUILD_READERS = REBUILDERS | {"projection-reader"}
_REINDEX = "/api/v1/reindex"
_REBUILD = _REINDEX + "/{rebuild_id}"


def _rebuild_order(verb: str, endpoint: Any, answer: Any, status: int, *problems: str) -> Route:
    """What may be asked of one rebuild: all of them take a body and an optional key, and are audited."""
    return Route(
        "POST",
        f"{_REBUILD}/{verb}",
        endpoint,
        REBUILDERS,
        answer,
        status=status,
        problems=problems,
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed", *(("Location",) if status == 202 else ())),
        missing="RebuildNotFound",
    )


REBUILD_ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        _REINDEX,
        reindex.order_rebuild,
        REBUILDERS,
        answers.RebuildView,
        status=202,
        problems=("RebuildRunning",),
        takes=("Idempotency-Key",),
        gives=("Location", "Idempotency-Replayed"),
    ),
    Route(
        "GET",
        _REINDEX,
        reindex.list_rebuilds,
        REBUILD_READERS,
        answers.RebuildPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route("GET", _REBUILD, reindex.show_rebuild, REBUILD_READERS, answers.RebuildDetail, missing="RebuildNotFound"),
    Route(
        "GET",
        _REBUILD + "/events",
        reindex.watch_rebuild,
        REBUILD_READERS,
        None,
        missing="RebuildNotFound",
        responses={
            200: {
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
                "description": "Progress, once a second",
            }
        },
    ),
    _rebuild_order("cancel", reindex.cancel_rebuild, answers.RebuildView, 200, "RebuildNotThere"),
    _rebuild_order("resume", reindex.resume_rebuild, answers.RebuildView, 200, "RebuildNotThere"),
    _rebuild_order("verify", reindex.verify_rebuild, answers.OrderView, 202, "VersionNotReady", "NothingToCompareWith"),
    _rebuild_order(
        "switch",
        reindex.switch_rebuild,
        answers.OrderView,
        202,
        "VersionNotReady",
        "ParityMissing",
        "TrialVersion",
        "AlreadyServing",
    ),
    _rebuild_order(
        "switch-back", reindex.switch_back_rebuild, answers.OrderView, 202, "VersionNotReady", "NothingToSwitchBackTo"
    ),
    _rebuild_order(
        "retire",
        reindex.retire_rebuild,
        answers.OrderView,
        202,
        "VersionNotReady",
        "VersionServes",
        "AlreadyRetired",
        "RebuildRunning",
    ),
)
