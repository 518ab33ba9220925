"""Configuration of every process: one frozen model, read once at start and handed on as an argument.

`Settings.load(environ)` is the only reader of the environment. It lists every problem at once and never shows a
secret. Nothing here connects, and nothing is read when a module is imported.
"""

from runtime.settings.effects import EffectSettings
from runtime.settings.model import (
    DEVELOPMENT_ISSUER,
    AuditSettings,
    ConsumerSettings,
    HealthSettings,
    HousekeepingSettings,
    HttpSettings,
    IssuerSettings,
    KafkaSettings,
    KeySettings,
    LogSettings,
    MonitorSettings,
    ParkingSettings,
    PoolSettings,
    RelaySettings,
    Settings,
)
from runtime.settings.outgoing import OutboundSettings, SmtpSettings

__all__ = [
    "DEVELOPMENT_ISSUER",
    "AuditSettings",
    "ConsumerSettings",
    "EffectSettings",
    "HealthSettings",
    "HousekeepingSettings",
    "HttpSettings",
    "IssuerSettings",
    "KafkaSettings",
    "KeySettings",
    "LogSettings",
    "MonitorSettings",
    "OutboundSettings",
    "ParkingSettings",
    "PoolSettings",
    "RelaySettings",
    "Settings",
    "SmtpSettings",
]
