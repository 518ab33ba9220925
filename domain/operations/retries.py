"""Which kinds of incidents can be tried again, and how: one table for both doors."""

from domain.effects.operating import retry_failed
from domain.effects.telling import INCIDENT_KIND
from domain.incidents.resolve import RetryHandler
from domain.operations.parked import retry_parked

RETRIES: dict[str, RetryHandler] = {"parked-messages": retry_parked, INCIDENT_KIND: retry_failed}
