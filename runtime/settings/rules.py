"""Rules between settings, and what production refuses. A table: each rule names its keys, its test and its cure."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from runtime.settings.model import DEVELOPMENT_ISSUER, Settings


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken` says whether the settings break it; `keys` are the variables to look at, the first one leads."""

    keys: tuple[str, ...]
    broken: Callable[[Settings], bool]
    cure: str


def broken_rules(settings: Settings) -> list[Rule]:
    """Every rule that these settings break, production's rules only in production."""
    rules = RULES + PRODUCTION_RULES if settings.environment == "production" else RULES
    return [rule for rule in rules if rule.broken(settings)]


def _place(url: SecretStr | None) -> tuple[str | None, int, str]:
    """Server and database of an address, whoever logs in."""
    parts = urlsplit(url.get_secret_value() if url else "")
    return parts.hostname, parts.port or 5432, parts.path.strip("/")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


RULES: tuple[Rule, ...] = (
    Rule(
        ("CASESTREAM_HTTP__HOST", "CASESTREAM_HTTP__ALLOW_REMOTE"),
        lambda s: not is_loopback(s.http.host) and not s.http.allow_remote,
        "listens beyond loopback; set CASESTREAM_HTTP__ALLOW_REMOTE=true if that is meant",
    ),
    Rule(
        ("CASESTREAM_HEALTH__HOST", "CASESTREAM_HTTP__ALLOW_REMOTE"),
        lambda s: not is_loopback(s.health.host) and not s.http.allow_remote,
        "listens beyond loopback; set CASESTREAM_HTTP__ALLOW_REMOTE=true if that is meant",
    ),
    Rule(
        ("CASESTREAM_RELAY__RENEW_SECONDS", "CASESTREAM_RELAY__LEASE_SECONDS"),
        lambda s: s.relay.renew_seconds * 2 > s.relay.lease_seconds,
        "must be at most half of CASESTREAM_RELAY__LEASE_SECONDS, so that one lost renewal loses no lease",
    ),
    Rule(
        ("CASESTREAM_RELAY__POLL_MIN_MS", "CASESTREAM_RELAY__POLL_MAX_MS"),
        lambda s: s.relay.poll_min_ms > s.relay.poll_max_ms,
        "must not be above CASESTREAM_RELAY__POLL_MAX_MS",
    ),
    Rule(
        ("CASESTREAM_EFFECTS__RENEW_SECONDS", "CASESTREAM_EFFECTS__LEASE_SECONDS"),
        lambda s: s.effects.renew_seconds * 2 > s.effects.lease_seconds,
        "must be at most half of CASESTREAM_EFFECTS__LEASE_SECONDS, so that one lost renewal loses no lease",
    ),
    Rule(
        ("CASESTREAM_EFFECTS__POLL_MIN_MS", "CASESTREAM_EFFECTS__POLL_MAX_MS"),
        lambda s: s.effects.poll_min_ms > s.effects.poll_max_ms,
        "must not be above CASESTREAM_EFFECTS__POLL_MAX_MS",
    ),
    Rule(
        ("CASESTREAM_KAFKA__HEARTBEAT_MS", "CASESTREAM_KAFKA__SESSION_TIMEOUT_MS"),
        lambda s: s.kafka.heartbeat_ms * 3 > s.kafka.session_timeout_ms,
        "must be at most a third of CASESTREAM_KAFKA__SESSION_TIMEOUT_MS",
    ),
    Rule(
        ("CASESTREAM_KAFKA__MAX_POLL_INTERVAL_MS", "CASESTREAM_KAFKA__SESSION_TIMEOUT_MS"),
        lambda s: s.kafka.max_poll_interval_ms < s.kafka.session_timeout_ms,
        "must not be below CASESTREAM_KAFKA__SESSION_TIMEOUT_MS",
    ),
    Rule(
        ("CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS", "CASESTREAM_KAFKA__REPLICATION_FACTOR"),
        lambda s: s.kafka.min_insync_replicas > s.kafka.replication_factor,
        "must not be above CASESTREAM_KAFKA__REPLICATION_FACTOR, or no write is ever acknowledged",
    ),
    Rule(
        ("CASESTREAM_KAFKA__SASL_USERNAME", "CASESTREAM_KAFKA__SASL_PASSWORD"),
        lambda s: s.kafka.security_protocol.startswith("SASL") and not (s.kafka.sasl_username and s.kafka.sasl_password),
        "and CASESTREAM_KAFKA__SASL_PASSWORD are both needed with CASESTREAM_KAFKA__SECURITY_PROTOCOL=SASL_...",
    ),
    Rule(
        ("CASESTREAM_KAFKA__CERTIFICATE_FILE", "CASESTREAM_KAFKA__CERTIFICATE_KEY_FILE"),
        lambda s: (s.kafka.certificate_file is None) != (s.kafka.certificate_key_file is None),
        "and CASESTREAM_KAFKA__CERTIFICATE_KEY_FILE belong together: set both or neither",
    ),
    Rule(
        ("CASESTREAM_KAFKA__SECURITY_PROTOCOL",),
        lambda s: not s.kafka.security_protocol.endswith("SSL") and bool(s.kafka.ca_file or s.kafka.certificate_file),
        "encrypts nothing, but certificates are set: use SSL or SASL_SSL, or remove them",
    ),
    Rule(
        ("CASESTREAM_POOL__MIN_SIZE", "CASESTREAM_POOL__MAX_SIZE"),
        lambda s: s.pool.min_size > s.pool.max_size,
        "must not be above CASESTREAM_POOL__MAX_SIZE",
    ),
    Rule(
        ("CASESTREAM_JWT_ISSUERS",),
        lambda s: len({entry.issuer for entry in s.jwt_issuers}) < len(s.jwt_issuers),
        "names an issuer twice; give each issuer one entry",
    ),
    Rule(
        ("CASESTREAM_OUTBOUND__CONNECT_SECONDS", "CASESTREAM_OUTBOUND__TOTAL_SECONDS"),
        lambda s: s.outbound.connect_seconds > s.outbound.total_seconds,
        "must not be above CASESTREAM_OUTBOUND__TOTAL_SECONDS, which connecting is part of",
    ),
    Rule(
        ("CASESTREAM_SMTP__SENDER", "CASESTREAM_SMTP__HOST"),
        lambda s: bool(s.smtp.host) and not s.smtp.sender,
        "is needed with CASESTREAM_SMTP__HOST: mail must be from somebody",
    ),
    Rule(
        ("CASESTREAM_SMTP__USERNAME", "CASESTREAM_SMTP__PASSWORD"),
        lambda s: (s.smtp.username is None) != (s.smtp.password is None),
        "and CASESTREAM_SMTP__PASSWORD belong together: set both or neither",
    ),
    Rule(
        ("CASESTREAM_SMTP__SECURITY", "CASESTREAM_SMTP__HOST", "CASESTREAM_SMTP__USERNAME"),
        lambda s: s.smtp.security == "none" and s.smtp.username is not None and not is_loopback(s.smtp.host),
        "sends a login over the net unencrypted; use starttls or tls",
    ),
)

PRODUCTION_RULES: tuple[Rule, ...] = (
    Rule(
        ("CASESTREAM_KAFKA__REPLICATION_FACTOR",),
        lambda s: s.kafka.replication_factor < 3,
        "must be at least 3 in production; fewer copies can lose committed events",
    ),
    Rule(
        ("CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS",),
        lambda s: s.kafka.min_insync_replicas < 2,
        "must be at least 2 in production; one copy can lose committed events",
    ),
    Rule(
        ("CASESTREAM_KAFKA__SECURITY_PROTOCOL",),
        lambda s: s.kafka.security_protocol == "SASL_PLAINTEXT",
        "sends a login over the net unencrypted; production needs SASL_SSL or SSL (or PLAINTEXT inside an encrypted mesh)",
    ),
    Rule(
        ("CASESTREAM_JWT_ISSUERS",),
        lambda s: any(entry.issuer == DEVELOPMENT_ISSUER for entry in s.jwt_issuers),
        "trusts the development issuer, whose key lies on a developer's disk; remove it in production",
    ),
    Rule(
        ("CASESTREAM_JWT_ISSUERS",),
        lambda s: not s.jwt_issuers,
        "is empty; production needs at least one issuer",
    ),
    Rule(
        ("KEYS_DATABASE_URL",),
        lambda s: s.keys_database_url is None,
        "is required in production: wrapped keys live in a database of their own, with a short backup retention",
    ),
    Rule(
        ("KEYS_DATABASE_URL", "DATABASE_URL"),
        lambda s: s.keys_database_url is not None and _place(s.keys_database_url) == _place(s.database_url),
        "is the main database: a backup of it would hold every key beside what it opens; give the keys their own",
    ),
    Rule(
        ("CASESTREAM_KEYS__PROVIDER",),
        lambda s: s.keys.provider in ("file", "environment"),
        "keeps key-encryption keys on a disk or in an environment; production needs one of aws-kms, google-kms, vault",
    ),
    Rule(
        ("CASESTREAM_KEYS__LEDGER_FILE",),
        lambda s: s.keys.ledger_file is None,
        "must be set in production: the shred ledger's copy belongs on storage that outlives both databases",
    ),
    Rule(
        ("CASESTREAM_AUDIT__SIGNING_KEY_FILE",),
        lambda s: s.audit.signing_key_file is None,
        "must be set in production: an audit chain whose heads nobody signed can be rewritten as a whole",
    ),
    Rule(
        ("CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS",),
        lambda s: bool(s.outbound.development_targets),
        "lets tenants call this machine; remove it in production",
    ),
    Rule(
        ("CASESTREAM_SMTP__SECURITY", "CASESTREAM_SMTP__HOST"),
        lambda s: bool(s.smtp.host) and s.smtp.security == "none",
        "sends mail unencrypted; production needs starttls or tls",
    ),
)
