"""What a stack remembers, who may read it, and what settings make of it."""

import json
import stat
from pathlib import Path

import jwt
import pytest

from runtime.settings import DEVELOPMENT_ISSUER, Settings
from runtime.stack import state as stack_state
from runtime.stack.home import Home, default_home, write_private
from runtime.stack.issuer import create_issuer, open_issuer, sign
from runtime.stack.parts import MissingPart
from runtime.stack.state import NodePorts, StackState, ensure_secrets, read_state, stack_environment, write_state


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", tmp_path / "cache")


STATE = StackState(5433, (NodePorts(9092, 9093),), "cluster", "postgresql://postgres:pw@127.0.0.1:5433/casestream")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_state_survives_a_round_trip_and_only_its_owner_reads_it(home: Home) -> None:
    write_state(home, STATE)
    assert read_state(home) == STATE
    assert mode(home.state) == 0o600


def test_a_state_of_another_shape_counts_as_none(home: Home) -> None:
    write_private(home.state, json.dumps({"postgres_port": 1}))
    assert read_state(home) is None


def test_passwords_are_drawn_once_and_only_their_owner_reads_them(home: Home) -> None:
    first = ensure_secrets(home)
    assert ensure_secrets(home) == first
    assert first.superuser != first.roles
    assert mode(home.secrets) == 0o600


def test_settings_understand_every_variable_of_the_stack(home: Home) -> None:
    write_state(home, STATE)
    ensure_secrets(home)
    environment = stack_environment(home)
    assert environment is not None
    settings = Settings.load(environment)
    assert settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert settings.database_url.get_secret_value().startswith("postgresql://cs_migrate:")
    assert [issuer.issuer for issuer in settings.jwt_issuers] == [DEVELOPMENT_ISSUER]


def test_a_home_that_was_never_up_offers_no_environment(home: Home) -> None:
    assert stack_environment(home) is None


def test_the_environment_names_another_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASESTREAM_HOME", str(home.root))
    assert default_home().root == home.root
    assert stack_state.local_environment() is None


def test_the_issuer_keeps_its_key_and_signs_what_its_key_set_verifies(home: Home) -> None:
    issuer = create_issuer(home)
    assert create_issuer(home) == issuer == open_issuer(home)
    assert mode(issuer.private_key) == 0o600
    token = sign({"sub": "u1", "tenant": "t1", "roles": ["agent"]}, issuer, lifetime_seconds=60)
    header = jwt.get_unverified_header(token)
    [key] = json.loads(issuer.jwks.read_text())["keys"]
    assert header["kid"] == key["kid"]
    assert "d" not in key
    claims = jwt.decode(token, jwt.PyJWK(key).key, algorithms=["RS256"], audience="casestream", issuer=DEVELOPMENT_ISSUER)
    assert claims["tenant"] == "t1"
    assert claims["exp"] - claims["iat"] == 60


def test_without_an_issuer_the_command_that_makes_it_is_named(home: Home) -> None:
    with pytest.raises(MissingPart, match="casestream up"):
        open_issuer(home)
