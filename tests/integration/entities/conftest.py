"""The world of each test."""

from tests.integration.domain.conftest import world

__all__ = ["world"]
