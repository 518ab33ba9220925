"""B3: rules judged in memory, beside zen-engine."""
