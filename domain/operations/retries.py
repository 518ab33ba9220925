"""Which kinds of incidents can be tried again, and how: one table for both doors."""

from domain.incidents.resolve import RetryHandler
from domain.operations.parked import retry_parked

RETRIES: dict[str, RetryHandler] = {"parked-messages": retry_parked}
