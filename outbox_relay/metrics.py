"""What the relay tells Prometheus. Each relay reports the shards that it holds; a sum over relays is the whole."""

from prometheus_client import Counter, Gauge, Histogram

UNSENT_ROWS = Gauge("outbox_unsent_rows", "Rows of held shards that wait for Kafka (counted up to 100,000 per shard).")
OLDEST_UNSENT = Gauge("outbox_oldest_unsent_seconds", "Age of the oldest unsent row of the held shards.")
OLDEST_XACT = Gauge(
    "pg_oldest_xact_seconds",
    "How long the oldest writing transaction has kept the floors from rising; 0 when none does.",
)
LEADER = Gauge("relay_leader", "1 while this relay holds the shard.", ["shard"])
PUBLISH_SECONDS = Histogram(
    "relay_publish_seconds",
    "From a page's first send to its last acknowledgement.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
PUBLISHED = Counter("relay_published", "Rows acknowledged by Kafka and deleted.")
PAGE_ABORTS = Counter("relay_page_aborts", "Pages given up after a failed or unclear batch; their producer was replaced.")
