"""The subjects on a real PostgreSQL."""
