"""Rules: when something happens to an entity and conditions hold, actions follow. The language here is pure."""
