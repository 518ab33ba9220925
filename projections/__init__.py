"""Snapshots and events to plain tables that analysts query. No external effects, ever: a projector has no sender."""
