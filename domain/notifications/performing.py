"""The effect of kind `notification`: rows for its users, in the transaction in which it is due. No network, no clock.

A user whom the directory does not know, or who is switched off, gets no row and is named in the outcome. An effect that
reaches nobody has failed.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from domain.directory.lookups import People, look_up
from domain.effects.effect import ClaimedEffect, Outcome
from runtime.sql import Connection, load_queries
from schemas.outgoing import NotificationRequest

queries = load_queries(Path(__file__).with_name("notifications.sql"))

KIND = "notification"

Due = tuple[ClaimedEffect, NotificationRequest | None]


async def notify(conn: Connection, effects: Sequence[ClaimedEffect], now: datetime) -> Sequence[Outcome]:
    """Write the rows of all these effects, and say how each ended."""
    due = [(effect, _read(effect)) for effect in effects]
    named = [(effect.tenant_id, user) for effect, request in due if request for user in request.to_users]
    people, _ = await look_up(conn, named)
    await _insert(conn, due, people)
    return [_outcome(effect, request, people) for effect, request in due]


def _read(effect: ClaimedEffect) -> NotificationRequest | None:
    try:
        return None if effect.request is None else NotificationRequest.model_validate(effect.request)
    except ValidationError:
        return None


async def _insert(conn: Connection, due: Sequence[Due], people: People) -> None:
    rows = [
        (effect, request, user)
        for effect, request in due
        if request is not None
        for user in dict.fromkeys(request.to_users)
        if people.is_active(effect.tenant_id, user)
    ]
    if not rows:
        return
    await queries.insert_notifications(
        conn,
        tenant_ids=[effect.tenant_id for effect, _, _ in rows],
        user_ids=[user for _, _, user in rows],
        ids=[effect.id for effect, _, _ in rows],
        titles=[request.title for _, request, _ in rows],
        messages=[request.message for _, request, _ in rows],
        priorities=[request.priority for _, request, _ in rows],
        action_urls=[request.action_url for _, request, _ in rows],
        subject_ids=[effect.subject_id for effect, _, _ in rows],
    )


def _outcome(effect: ClaimedEffect, request: NotificationRequest | None, people: People) -> Outcome:
    if request is None:
        return effect.outcome("failed", "request-erased" if effect.request is None else "request-unreadable")
    standing = {user: people.is_active(effect.tenant_id, user) for user in request.to_users}
    detail = {
        "notified": [user for user, active in standing.items() if active],
        "unknown": [user for user, active in standing.items() if active is None],
        "inactive": [user for user, active in standing.items() if active is False],
    }
    reached = bool(detail["notified"])
    return effect.outcome("succeeded" if reached else "failed", "" if reached else "no-active-user", detail)
