"""The settings model: every key, its type, its legal range, its default and what it is for.

docs/reference/settings.md is generated from it. Rules between keys are in `rules`, reading is in `reading`.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from runtime.settings.effects import EffectSettings
from runtime.settings.key_providers import AwsKmsSettings, GoogleKmsSettings, VaultSettings
from runtime.settings.outgoing import OutboundSettings, SmtpSettings

# `casestream up` creates this issuer with its key; production refuses it.
DEVELOPMENT_ISSUER = "casestream-development"

MIB = 1024 * 1024

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
BootstrapServers = Annotated[str, Field(pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$")]


def _is_database_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("expected postgresql://user:password@host:port/database")
    return value


def _is_pinned_key_set(value: str) -> str:
    if not value.startswith(("/", "https://")):
        raise ValueError("expected an absolute file path or an https address")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_is_database_url)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(_Section):
    """The HTTP door."""

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only with `allow_remote`.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allow_remote: bool = Field(False, description="Says that listening beyond loopback is meant.")
    body_limit_bytes: int = Field(MIB, ge=1024, le=16 * MIB, description="Largest request body; above it 413.")
    json_depth_limit: int = Field(32, ge=1, le=128, description="Deepest nesting of a request body; above it 400.")
    page_limit: int = Field(200, ge=1, le=1000, description="Largest page of a list.")


class IssuerSettings(_Section):
    """One issuer of tokens. Its algorithms and its keys are pinned here; a token cannot choose them."""

    issuer: str = Field(min_length=1, description="The token's `iss`.")
    audience: str = Field(min_length=1, description="The token's `aud`.")
    algorithms: list[Algorithm] = Field(min_length=1, description="Accepted signatures, never a shared secret.")
    jwks: Annotated[str, AfterValidator(_is_pinned_key_set)] = Field(
        description="The key set: an absolute file path or an https address."
    )
    roles_claim: str = Field("roles", min_length=1, description="Claim that lists the roles.")
    tenant_claim: str = Field("tenant", min_length=1, description="Claim that names the tenant.")


class RelaySettings(_Section):
    """Outbox to Kafka."""

    page_size: int = Field(4000, ge=1, le=20_000, description="Rows per page, over all shards that share it.")
    lease_seconds: float = Field(6.0, ge=1, le=60, description="Life of a shard's lease.")
    renew_seconds: float = Field(2.0, ge=0.1, le=30, description="Time between renewals; at most half of the lease.")
    poll_min_ms: int = Field(1, ge=1, le=1000, description="Shortest wait between polls, while rows arrive.")
    poll_max_ms: int = Field(100, ge=1, le=10_000, description="Longest wait between polls, when idle.")


class KafkaSettings(_Section):
    """What the clients ask of Kafka, and what new topics get."""

    session_timeout_ms: int = Field(6000, ge=6000, le=1_800_000, description="A silent member is dead after this.")
    heartbeat_ms: int = Field(2000, ge=100, le=600_000, description="At most a third of the session timeout.")
    max_poll_interval_ms: int = Field(300_000, ge=10_000, le=3_600_000, description="Longest time for one batch.")
    replication_factor: int = Field(1, ge=1, le=9, description="Copies of a new topic; 3 in production.")
    min_insync_replicas: int = Field(1, ge=1, le=9, description="Copies that acknowledge a write; 2 in production.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are reached: encrypted with SSL, with a login with SASL, or both."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the login is proved; used with SASL only."
    )
    sasl_username: str | None = Field(None, description="The login's name; needed with SASL.")
    sasl_password: SecretStr | None = Field(None, title="any text", description="The login's password; needed with SASL.")
    ca_file: Path | None = Field(None, description="Who may sign the brokers' certificates (PEM). Default: the system's.")
    certificate_file: Path | None = Field(None, description="Our own certificate (PEM), where brokers ask for one.")
    certificate_key_file: Path | None = Field(None, description="The key of `certificate_file` (PEM).")


class ConsumerSettings(_Section):
    """The batch shell of every processor."""

    batch_max_records: int = Field(1000, ge=1, le=10_000, description="Most records in one transaction.")


class PoolSettings(_Section):
    """Connections to PostgreSQL, per process and role."""

    min_size: int = Field(1, ge=0, le=100, description="Connections kept open.")
    max_size: int = Field(16, ge=1, le=100, description="Most connections.")


class ParkingSettings(_Section):
    """When poison is no longer poison but a bug: both bounds passed within a minute stop the group."""

    stop_count: int = Field(100, ge=1, le=1_000_000, description="Newly poisoned messages in one minute.")
    stop_share: float = Field(0.01, gt=0, le=1, description="Their share of the minute's messages.")


class OnboardingSettings(BaseModel):
    """Journeys of onboarding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handlers: list[str] = Field(
        ["workers.senders.sample_steps"],
        description="Python modules whose HANDLERS run steps; the default one belongs to the flows of the release.",
    )
    wait_seconds: float = Field(2, ge=0, le=10, description="How long a request waits for the outcome of a sync step.")
    addresses: list[Annotated[str, Field(pattern=r"^[^/=]+/[^/=]+=https?://[!-~]+$")]] = Field(
        [], description="As `flow/handler=url`: where steps of kind http are called here, instead of where the flow says."
    )


class MonitorSettings(_Section):
    """When the monitor tells `ops.alerts.v1`: counts of one tenant above which somebody should look."""

    recoveries_per_hour: int = Field(10, ge=1, le=1_000_000, description="Recoveries of instances of one flow (S2).")
    sla_breaches_per_hour: int = Field(100, ge=1, le=1_000_000, description="Expired waits of one flow.")
    failed_runs_per_hour: int = Field(20, ge=1, le=1_000_000, description="Failed runs of one rule.")
    events_per_minute: int = Field(60_000, ge=1, le=10_000_000, description="Events of one topic that is watched.")


class RuleSettings(_Section):
    """Workflow rules."""

    most_per_tenant: int = Field(10_000, ge=1, le=1_000_000, description="Most rules of a tenant; the next one is refused.")
    skips_shown_per_minute: int = Field(
        10, ge=0, le=600, description="Events that met no rule: as many of a tenant are logged with their trace each minute."
    )
    search_records: int = Field(500_000, ge=1, le=100_000_000, description="Most records read to find an event by its id.")
    search_seconds: float = Field(20, gt=0, le=600, description="Most seconds spent to find an event by its id.")


class HousekeepingSettings(_Section):
    """The leased job that removes what has expired."""

    interval_seconds: float = Field(3600, ge=1, le=86_400, description="Time between two runs.")
    batch_rows: int = Field(5000, ge=1, le=100_000, description="Rows per deleting statement.")
    inbox_margin_days: int = Field(7, ge=1, le=365, description="Days an inbox row outlives its topic's retention.")


class HealthSettings(_Section):
    """`/livez`, `/readyz` and `/metrics` of a process without the HTTP door."""

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only with `allow_remote`.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")


class KeySettings(_Section):
    """Data keys of subjects, and the key-encryption keys that wrap them."""

    provider: Literal["file", "environment", "aws-kms", "google-kms", "vault"] = Field(
        "file", description="Who holds the key-encryption keys; `file` and `environment` only in development."
    )
    kek_file: Path | None = Field(
        None, description="Provider `file`: its JSON file, the current key first. Default: keys/keks.json below the home."
    )
    keks: SecretStr | None = Field(
        None,
        min_length=1,
        title="id:base64 of 32 bytes, comma separated",
        description="Provider `environment`: the keys, the current one first.",
    )
    ledger_file: Path | None = Field(
        None, description="The shred ledger's copy outside both databases. Default: keys/shredded-NAME.jsonl below the home."
    )
    blind_index_key: SecretStr | None = Field(
        None,
        min_length=32,
        title="at least 32 characters",
        description="Key of columns with `sensitivity: hash`; never change it, or they must be rebuilt. A development default.",
    )
    cache_seconds: float = Field(300, ge=1, le=3600, description="How long a process keeps a data key.")
    cache_uses: int = Field(10_000, ge=1, le=2**31, description="How often a kept data key is used before it is read again.")
    cache_keys: int = Field(32_768, ge=1, le=1_000_000, description="Most data keys that a process keeps (32 bytes each).")
    watch_seconds: float = Field(
        20, ge=0.1, le=50, description="Time between two looks at the ledger for keys to forget; a process knows within 60 s."
    )


class MappingSettings(_Section):
    """Mappings of case classes to columns."""

    max_columns: int = Field(
        500,
        ge=1,
        le=1500,
        description="Most mapped columns of one table; the same for every process. PostgreSQL refuses a row above 8 kB.",
    )


class AuditSettings(_Section):
    """The keys of the audit chain's signed heads."""

    signing_key_file: Path | None = Field(
        None, description="PEM of the Ed25519 key that signs, for the workers alone. Default: audit/signing.pem below the home."
    )
    trusted_keys_file: Path | None = Field(
        None, description="PEM of every public key whose signatures count, replaced ones too. Default: the signing key's own."
    )


class LogSettings(_Section):
    """What goes to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is written.")
    format: Literal["json", "console"] = Field("json", description="One JSON object per line, or text for people.")


class Settings(BaseSettings):
    """Everything a process may be told. Frozen; build it with `Settings.load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="CASESTREAM_",
        env_nested_delimiter="__",
        populate_by_name=True,
    )

    database_url: DatabaseUrl = Field(
        validation_alias="DATABASE_URL",
        description="Host, database and password; each process puts its own role in place of the user.",
    )
    database_url_api: DatabaseUrl | None = Field(
        None, validation_alias="DATABASE_URL_API", description="Replaces the address for role cs_api."
    )
    database_url_worker: DatabaseUrl | None = Field(
        None, validation_alias="DATABASE_URL_WORKER", description="Replaces the address for role cs_worker."
    )
    database_url_scan: DatabaseUrl | None = Field(
        None, validation_alias="DATABASE_URL_SCAN", description="Replaces the address for role cs_scan."
    )
    database_url_migrate: DatabaseUrl | None = Field(
        None, validation_alias="DATABASE_URL_MIGRATE", description="Replaces the address for role cs_migrate."
    )
    keys_database_url: DatabaseUrl | None = Field(
        None,
        validation_alias="KEYS_DATABASE_URL",
        description="The keys database, as role cs_keys. Default in development: the main database's name with `_keys`.",
    )
    keys_database_url_migrate: DatabaseUrl | None = Field(
        None, validation_alias="KEYS_DATABASE_URL_MIGRATE", description="Replaces the keys database's address for cs_migrate."
    )
    kafka_bootstrap_servers: BootstrapServers = Field(
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        title="host:port, several comma separated",
        description="Brokers to ask first.",
    )
    environment: Literal["development", "production"] = Field(
        "development", description="Production refuses values that are only good for a developer's machine."
    )
    instance: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        title="1 to 100 of A-Z a-z 0-9 . _ -",
        description="Name of this process's place, stable over restarts: static group membership. Default: host name.",
    )
    home: Path = Field(Path(".casestream"), description="Folder of the local stack.")
    topic_prefix: str = Field(
        "",
        pattern=r"^[a-z0-9._-]{0,50}$",
        title="at most 50 of a-z 0-9 . _ -",
        description="A cell's prefix of every topic.",
    )
    ce_source: str = Field(
        "casestream",
        pattern=r"^[A-Za-z0-9._:/-]{1,80}(#[A-Za-z0-9._:/-]{1,19})?$",
        title="1 to 80 of A-Z a-z 0-9 . _ : / -, then perhaps # and an incarnation",
        description="`source` of our events; after a restore to a point in time with a new incarnation: casestream#2.",
    )
    jwt_issuers: list[IssuerSettings] = Field(default=[], description="Trusted issuers, as a JSON list.")
    idempotency_ttl_seconds: int = Field(
        86_400, ge=60, le=30 * 86_400, description="How long an Idempotency-Key is remembered."
    )
    cursor_key: SecretStr | None = Field(
        None,
        min_length=32,
        title="at least 32 characters",
        description="Signs the cursors of lists; API processes that share it continue each other's pages. Default: random.",
    )
    decode_limit_bytes: int = Field(
        MIB, ge=1024, le=4 * MIB, description="Largest value a processor decodes; a larger one is parked."
    )
    http: HttpSettings = HttpSettings()
    relay: RelaySettings = RelaySettings()
    kafka: KafkaSettings = KafkaSettings()
    consumer: ConsumerSettings = ConsumerSettings()
    pool: PoolSettings = PoolSettings()
    parking: ParkingSettings = ParkingSettings()
    effects: EffectSettings = EffectSettings()
    rules: RuleSettings = RuleSettings()
    onboarding: OnboardingSettings = OnboardingSettings()
    monitor: MonitorSettings = MonitorSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    health: HealthSettings = HealthSettings()
    keys: KeySettings = KeySettings()
    aws_kms: AwsKmsSettings = AwsKmsSettings()
    google_kms: GoogleKmsSettings = GoogleKmsSettings()
    vault: VaultSettings = VaultSettings()
    mappings: MappingSettings = MappingSettings()
    audit: AuditSettings = AuditSettings()
    outbound: OutboundSettings = OutboundSettings()
    smtp: SmtpSettings = SmtpSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The library's own reader stops at the first broken value and ignores unknown keys; `reading` does neither.
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment, or the given mapping. Raises ConfigurationError with every problem it found."""
        from runtime.settings.reading import read

        return cls.model_validate(read(os.environ if environ is None else environ).checked_values())
