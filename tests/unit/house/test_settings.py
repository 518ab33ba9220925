"""Settings: every problem at once, suggestions, secrets kept back, production's refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import DEVELOPMENT_ISSUER, Settings
from runtime.settings.reading import read
from runtime.settings.variables import variables
from schemas.errors import ConfigurationError

CANARY = "canary-7f3a"
ADDRESSES = {"DATABASE_URL": f"postgresql://cs:{CANARY}@db/casestream", "KAFKA_BOOTSTRAP_SERVERS": "a:9092,b:9092"}
ISSUER = {"issuer": "sso", "audience": "casestream", "algorithms": ["RS256"], "jwks": "/etc/keys.json"}
PRODUCTION = {
    **ADDRESSES,
    "KEYS_DATABASE_URL": f"postgresql://cs:{CANARY}@keys/casestream",
    "CASESTREAM_ENVIRONMENT": "production",
    "CASESTREAM_JWT_ISSUERS": json.dumps([ISSUER]),
    "CASESTREAM_KEYS__PROVIDER": "vault",
    "CASESTREAM_KEYS__LEDGER_FILE": "/mnt/ledger/shredded.jsonl",
    "CASESTREAM_AUDIT__SIGNING_KEY_FILE": "/run/secrets/audit-signing.pem",
}


@pytest.fixture(autouse=True)
def no_local_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path / "none"))


def problems_of(**environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        Settings.load(environ)
    return raised.value.problems


def test_two_addresses_are_enough() -> None:
    settings = Settings.load(ADDRESSES)
    assert settings.database_url.get_secret_value() == ADDRESSES["DATABASE_URL"]
    assert settings.kafka.session_timeout_ms == 6000
    assert settings.kafka.replication_factor == 1
    assert settings.http.host == "127.0.0.1"


def test_values_reach_their_place_in_the_model() -> None:
    settings = Settings.load(
        {**ADDRESSES, "CASESTREAM_RELAY__PAGE_SIZE": "17", "CASESTREAM_TOPIC_PREFIX": "cell1.", "CASESTREAM_HTTP__PORT": ""}
    )
    assert (settings.relay.page_size, settings.topic_prefix, settings.http.port) == (17, "cell1.", 8000)


def test_without_addresses_the_way_out_is_named() -> None:
    problems = problems_of()
    assert len(problems) == 2
    assert all("run `casestream up`" in problem for problem in problems)


def test_every_problem_is_listed_at_once_with_key_value_and_legal_range() -> None:
    problems = problems_of(
        DATABASE_URL=f"mysql://cs:{CANARY}@db/x",
        KAFKA_BOOTSTRAP_SERVERS="broker-without-port",
        CASESTREAM_RELAY__PAGESIZE="1",
        CASESTREAM_RELAY__PAGE_SIZE="many",
        CASESTREAM_LOG__LEVEL="loud",
        CASESTREAM_PARKING__STOP_SHARE="0",
        CASESTREAM_JWT_ISSUERS="[",
        CASESTREAM_HTTP__HOST="0.0.0.0",
        CASESTREAM_KAFKA__HEARTBEAT_MS="5000",
        CASESTREAM_FRUIT="apple",
    )
    expected = [
        "CASESTREAM_RELAY__PAGESIZE: unknown key; did you mean CASESTREAM_RELAY__PAGE_SIZE?",
        "CASESTREAM_FRUIT: unknown key; see docs/reference/settings.md",
        "CASESTREAM_JWT_ISSUERS=[redacted]: expected a JSON list",
        "DATABASE_URL=[redacted]: expected postgresql://user:password@host:port/database",
        "KAFKA_BOOTSTRAP_SERVERS=broker-without-port: expected host:port, several comma separated",
        "CASESTREAM_RELAY__PAGE_SIZE=many: expected a whole number from 1 to 20000",
        "CASESTREAM_PARKING__STOP_SHARE=0: expected a number above 0 to 1",
        "CASESTREAM_LOG__LEVEL=loud: expected one of debug, info, warning, error",
        "CASESTREAM_HTTP__HOST=0.0.0.0: listens beyond loopback; set CASESTREAM_HTTP__ALLOW_REMOTE=true if that is meant",
        "CASESTREAM_KAFKA__HEARTBEAT_MS=5000: must be at most a third of CASESTREAM_KAFKA__SESSION_TIMEOUT_MS",
    ]
    assert problems == expected
    assert CANARY not in "".join(problems)


@pytest.mark.parametrize("key", [key for key in variables() if key.startswith("DATABASE_URL")])
def test_every_database_address_is_a_secret(key: str) -> None:
    environ = {**ADDRESSES, key: f"postgresql://cs:{CANARY}@db/x"}
    assert CANARY not in repr(Settings.load(environ))
    reading = read(environ)
    assert [reading.shown(variable) for variable in variables().values() if CANARY in reading.shown(variable)] == []
    assert CANARY not in "".join(problems_of(**{**environ, key: f"wrong://{CANARY}"}))


def test_an_issuer_with_a_shared_secret_algorithm_is_refused() -> None:
    issuer = {**ISSUER, "algorithms": ["HS256"], "jwks": "http://sso/keys"}
    problems = problems_of(**ADDRESSES, CASESTREAM_JWT_ISSUERS=json.dumps([issuer]))
    assert [problem.split(":")[1].strip() for problem in problems] == ["at 0.algorithms.0", "at 0.jwks"]


def test_access_to_kafka_is_whole_or_refused() -> None:
    half = {"CASESTREAM_KAFKA__SASL_USERNAME": "relay", "CASESTREAM_KAFKA__CERTIFICATE_FILE": "/relay.pem"}
    problems = problems_of(**ADDRESSES, **half, CASESTREAM_KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT")
    assert [problem.partition("=")[0] for problem in problems] == [
        "CASESTREAM_KAFKA__SASL_USERNAME",
        "CASESTREAM_KAFKA__CERTIFICATE_FILE",
        "CASESTREAM_KAFKA__SECURITY_PROTOCOL",
    ]
    whole = {"CASESTREAM_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "CASESTREAM_KAFKA__SASL_PASSWORD": CANARY}
    settings = Settings.load({**ADDRESSES, **whole, "CASESTREAM_KAFKA__SASL_USERNAME": "relay"})
    assert CANARY not in repr(settings)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(ADDRESSES["DATABASE_URL"] + "\n")
    given = {"DATABASE_URL_FILE": str(tmp_path / "url"), "KAFKA_BOOTSTRAP_SERVERS": "a:1"}
    assert Settings.load(given).database_url.get_secret_value() == ADDRESSES["DATABASE_URL"]
    assert problems_of(**given, DATABASE_URL="postgresql://x") == ["DATABASE_URL and DATABASE_URL_FILE are both set; keep one"]
    assert "cannot be read (FileNotFoundError)" in problems_of(**{**given, "DATABASE_URL_FILE": "/nowhere"})[0]
    assert "unknown key" in problems_of(**ADDRESSES, CASESTREAM_RELAY__PAGE_SIZE_FILE="/x")[0]


def write_stack(home: Path) -> dict[str, str]:
    """The files that `casestream up` leaves in its home."""
    from runtime.stack.home import Home
    from runtime.stack.state import NodePorts, StackState, ensure_secrets, stack_environment, write_state

    at = Home(home, home / "cache")
    write_state(at, StackState(5433, (NodePorts(9192, 9193),), "id", "postgresql://postgres@127.0.0.1:5433/postgres"))
    ensure_secrets(at)
    return stack_environment(at) or {}


def test_a_running_local_stack_fills_what_nobody_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = write_stack(tmp_path)
    monkeypatch.setenv("CASESTREAM_HOME", str(tmp_path))
    settings = Settings.load({})
    assert settings.kafka_bootstrap_servers == "127.0.0.1:9192"
    assert settings.database_url.get_secret_value() == local["DATABASE_URL"]
    assert settings.jwt_issuers[0].issuer == DEVELOPMENT_ISSUER
    assert settings.keys.ledger_file == tmp_path / "keys" / "shredded-casestream.jsonl"
    given = Settings.load({"DATABASE_URL": "postgresql://elsewhere/db"})
    assert given.keys.ledger_file is None, "the stack's ledger is about the stack's subjects"
    assert given.database_url.get_secret_value() == "postgresql://elsewhere/db"
    assert len(problems_of(CASESTREAM_ENVIRONMENT="production")) == 7


def test_production_takes_copies_and_refuses_what_is_unsafe() -> None:
    settings = Settings.load(PRODUCTION)
    assert (settings.kafka.replication_factor, settings.kafka.min_insync_replicas) == (3, 2)
    unsafe: dict[str, Any] = {
        **PRODUCTION,
        "CASESTREAM_JWT_ISSUERS": json.dumps([{**ISSUER, "issuer": DEVELOPMENT_ISSUER}]),
        "CASESTREAM_KAFKA__REPLICATION_FACTOR": "1",
        "CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS": "1",
        "CASESTREAM_FAILPOINT": "relay.after-ack",
    }
    assert [problem.split("=")[0].split(":")[0] for problem in problems_of(**unsafe)] == [
        "CASESTREAM_FAILPOINT",
        "CASESTREAM_KAFKA__REPLICATION_FACTOR",
        "CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS",
        "CASESTREAM_JWT_ISSUERS",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("KEYS_DATABASE_URL", ""),
        ("KEYS_DATABASE_URL", "postgresql://another:secret@db:5432/casestream"),
        ("CASESTREAM_KEYS__PROVIDER", "file"),
        ("CASESTREAM_KEYS__PROVIDER", "environment"),
        ("CASESTREAM_KEYS__LEDGER_FILE", ""),
        ("CASESTREAM_AUDIT__SIGNING_KEY_FILE", ""),
    ],
)
@pytest.mark.requirement("CD-2")
def test_production_keeps_keys_apart_from_what_they_open(key: str, value: str) -> None:
    [problem] = problems_of(**{**PRODUCTION, key: value})
    assert problem.startswith(f"{key}=")
    assert "secret" not in problem


def test_the_settings_are_frozen() -> None:
    settings = Settings.load(ADDRESSES)
    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1  # type: ignore[misc]


def test_nothing_is_read_from_the_environment_behind_the_callers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASESTREAM_RELAY__PAGE_SIZE", "1")
    assert Settings.load(ADDRESSES).relay.page_size == 4000


@pytest.mark.requirement("trap-33")
def test_production_calls_no_place_of_its_own_machine_and_sends_no_mail_in_the_open() -> None:
    mail = {"CASESTREAM_SMTP__HOST": "relay.example", "CASESTREAM_SMTP__SENDER": "crm@example.com"}
    open_ways = {
        **mail,
        "CASESTREAM_SMTP__SECURITY": "none",
        "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS": '["127.0.0.1:8080"]',
    }
    assert Settings.load({**ADDRESSES, **open_ways}).outbound.development_targets == ["127.0.0.1:8080"]
    kafka = {"CASESTREAM_KAFKA__REPLICATION_FACTOR": "3", "CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS": "2"}
    assert Settings.load({**PRODUCTION, **kafka, **mail}).smtp.security == "starttls"
    problems = problems_of(**{**PRODUCTION, **kafka, **open_ways})
    assert [problem.partition("=")[0] for problem in problems] == [
        "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS",
        "CASESTREAM_SMTP__SECURITY",
    ]


@pytest.mark.parametrize("target", ["10.0.0.1:80", "example.com:443", "127.0.0.1", "127.0.0.1:0", "localhost:http"])
def test_only_a_place_of_this_machine_may_be_listed_for_development(target: str) -> None:
    problems = problems_of(**ADDRESSES, CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS=json.dumps([target]))
    assert len(problems) == 1


def test_mail_has_a_sender_a_whole_login_and_no_open_password() -> None:
    given = {"CASESTREAM_SMTP__HOST": "relay.example", "CASESTREAM_SMTP__USERNAME": "crm", "CASESTREAM_SMTP__SECURITY": "none"}
    assert [problem.partition("=")[0] for problem in problems_of(**ADDRESSES, **given)] == [
        "CASESTREAM_SMTP__SENDER",
        "CASESTREAM_SMTP__USERNAME",
        "CASESTREAM_SMTP__SECURITY",
    ]
