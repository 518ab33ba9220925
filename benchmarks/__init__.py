"""Measured comparisons: each folder has its runner, its peers or limits, and the committed result of its last full run."""
