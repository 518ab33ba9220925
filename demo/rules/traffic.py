"""Generated CRM traffic for the documents' six use cases (RU-15): leads, opportunities and activities of one company.

Beside what a rule is for stands what it must leave alone: leads from elsewhere, a deal that was large before, an activity
in time.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from demo.rules.events import Event, Upstream

LEADS, OLD_LEADS, DEALS, ACTIVITIES = 120, 20, 60, 30
SALES = ("sales-an", "sales-binh", "sales-chi", "sales-dung")
MANAGERS = ("manager-1", "manager-2")
SOURCES = ("WEBSITE", "REFERRAL", "FAIR", "WEBSITE", "PHONE")
STAGES = ("QUALIFICATION", "PROPOSAL", "NEGOTIATION")
# What three updates make a deal worth: most never become large, some do at once, some in steps; one was large from the start.
LIMIT = 50_000
WORTH = ((10_000, 20_000, 30_000), (40_000, 60_000, 90_000), (20_000, LIMIT, LIMIT + 1), (70_000, 80_000, 90_000))
NO_ADDRESS_EVERY = 40


def traffic(upstream: Upstream, now: datetime) -> Iterator[Event]:
    """All of it, in the order in which it is published."""
    yield from _old_leads(upstream, now)
    yield from _activities(upstream, now)
    for number in range(LEADS):
        address = None if number % NO_ADDRESS_EVERY == NO_ADDRESS_EVERY - 1 else f"lead-{number:03d}@example.org"
        lead = {
            "fullName": f"Lead {number}",
            "email": address,
            "leadSource": SOURCES[number % len(SOURCES)],
            "leadStatus": "NEW",
        }
        yield upstream.tell("LEAD", f"L{number:04d}", lead, now)
    for step in range(3):
        yield from _deals(upstream, now, step)


def _old_leads(upstream: Upstream, now: datetime) -> Iterator[Event]:
    """Made nine days ago and spoken to once. Of every fourth somebody has written an activity since."""
    made = now - timedelta(days=9)
    for number in range(OLD_LEADS):
        lead = {
            "fullName": f"Old lead {number}",
            "email": f"old-{number:03d}@example.org",
            "leadSource": "FAIR",
            "leadStatus": "LOST" if number % 5 == 0 else "CONTACTED",
            "assignedTo": SALES[number % len(SALES)],
        }
        yield upstream.tell("LEAD", f"O{number:04d}", lead, made)
        if number % 4 == 1:
            related = {"entityType": "LEAD", "entityId": upstream.id_of(f"O{number:04d}")}
            call = {"subject": "Called back", "status": "COMPLETED", "relatedTo": related}
            yield upstream.tell("ACTIVITY", f"C{number:04d}", call, now - timedelta(days=2))


def _activities(upstream: Upstream, now: datetime) -> Iterator[Event]:
    """A third overdue for two days, a third in time, a third overdue and done."""
    for number in range(ACTIVITIES):
        due = now + timedelta(days=2 if number % 3 == 1 else -2)
        activity = {
            "subject": f"Visit {number}",
            "status": "COMPLETED" if number % 3 == 2 else "OPEN",
            "dueDate": due.isoformat(),
            "supervisorId": MANAGERS[number % len(MANAGERS)],
        }
        yield upstream.tell("ACTIVITY", f"A{number:04d}", activity, now)


def _deals(upstream: Upstream, now: datetime, step: int) -> Iterator[Event]:
    for number in range(DEALS):
        deal = {
            "name": f"Deal {number}",
            "estimatedValue": WORTH[number % len(WORTH)][step],
            # Every other deal goes from stage to stage, the others stay where they began.
            "stage": STAGES[step if number % 2 else 0],
            "contactEmail": f"buyer-{number:03d}@example.org",
            "managerId": MANAGERS[number % len(MANAGERS)],
        }
        yield upstream.tell("OPPORTUNITY", f"D{number:04d}", deal, now)
