"""What the effects role tells Prometheus. Each process reports its own calls; a sum over processes is the whole."""

from prometheus_client import Counter, Gauge, Histogram

in_flight = Gauge("effects_in_flight", "Calls that this process has leased and not yet recorded.")
claimed = Counter("effects_claimed_total", "Calls that were leased, by kind.", ["kind"])
outcomes = Counter("effects_outcomes_total", "Recorded outcomes, by kind of effect and result.", ["kind", "result"])
postponed = Counter("effects_postponed_total", "Calls that will be made again later, by kind.", ["kind"])
forgotten = Counter("effects_forgotten_total", "Answers that came after their lease was lost and changed nothing.")
call_seconds = Histogram(
    "effects_call_seconds",
    "How long calls took, by kind.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
oldest_due = Gauge("effects_oldest_due_seconds", "Age of the longest due call, those behind an open circuit too.")
circuits_opened = Counter("effects_circuits_opened_total", "How often calls to an endpoint were stopped for a while.")
record_failures = Counter(
    "effects_record_failures_total", "Batches of outcomes that could not be recorded at the first attempt."
)
