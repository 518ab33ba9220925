"""Entities: the newest values of what business systems tell us about, and the types whose changes we make ourselves."""
