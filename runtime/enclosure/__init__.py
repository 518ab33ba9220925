"""Work on hostile input in child processes with limits: what runs away there is killed, and the server goes on."""

from runtime.enclosure.pool import Enclosure, Stopped

__all__ = ["Enclosure", "Stopped"]
