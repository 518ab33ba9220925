"""What group `workflow-engine` measures. No tenant, rule, key or id is ever a label."""

from prometheus_client import Counter

skips = Counter(
    "rules_skips_total",
    "Rules that looked at an event and did not run, by reason; `replayed` counts events, for which no rule was asked.",
    ["reason"],
)
samples = Counter(
    "rules_skip_samples_total",
    "Skips that were logged with their trace, by the operator of the first condition that was not met, or another cause.",
    ["cause"],
)
