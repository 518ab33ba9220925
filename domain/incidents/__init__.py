"""Incidents: troubles that a person must see, each with its cure. Later subjects only add kinds."""

from domain.incidents.record import Incident, close_incidents, open_incident, open_incidents

__all__ = ["Incident", "close_incidents", "open_incident", "open_incidents"]
