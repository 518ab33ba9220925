"""docker-compose.yml describes the same system as the rooms do: roles, variables, order of start, and nothing public."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.cli import FAMILIES, roles
from runtime.settings import Settings
from runtime.settings.variables import variables
from runtime.stack.home import PROJECT
from runtime.stack.kafka import SETTINGS

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROLES = (
    "api",
    "relay",
    "work-items",
    "cases",
    "entities",
    "workflow-engine",
    "onboarding",
    "saga",
    "projections",
    "effects",
    "timers",
    "workers",
    "monitor",
    "ddl",
)
ONE_SHOTS = ("migrate", "topics", "issuer", "keks")
OURS = (*ROLES, *ONE_SHOTS)
SERVERS = ("postgres", "kafka")


def interpolated(value: object) -> str:
    """A value as Compose passes it when nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def environment(service: str) -> dict[str, str]:
    return {name: interpolated(value) for name, value in SERVICES[service].get("environment", {}).items()}


def test_there_is_one_service_for_each_role_and_nothing_else() -> None:
    assert set(ROLES) == set(roles.ROLES)
    assert set(SERVICES) == {*ROLES, *ONE_SHOTS, *SERVERS}
    assert {role: SERVICES[role]["command"] for role in ROLES} == {role: [role] for role in ROLES}


def test_images_have_short_names_and_pinned_versions() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["kafka"]["image"] == "apache/kafka:4.3.0"
    assert {SERVICES[name]["image"] for name in OURS} == {"casestream"}
    assert {SERVICES[name]["build"] for name in OURS} == {"."}


@pytest.mark.parametrize("service", OURS)
def test_the_settings_model_knows_every_variable(service: str) -> None:
    assert set(environment(service)) <= set(variables())


@pytest.mark.parametrize("role", [role for role in OURS if role not in ("issuer", "keks")])
def test_the_settings_accept_what_a_role_is_given(role: str) -> None:
    settings = Settings.load(environment(role))
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert settings.database_url.get_secret_value().endswith("@postgres:5432/casestream")


def test_the_api_listens_for_its_published_port_and_trusts_the_development_issuer() -> None:
    settings = Settings.load(environment("api"))
    assert (settings.http.host, settings.http.allow_remote) == ("0.0.0.0", True)
    assert SERVICES["api"]["ports"][0].endswith(f":{settings.http.port}")
    [issuer] = settings.jwt_issuers
    mount = SERVICES["api"]["volumes"][0]
    assert issuer.jwks.startswith(mount.split(":")[1])


@pytest.mark.parametrize("service", SERVICES)
def test_only_loopback_is_published(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


@pytest.mark.parametrize("service", [*ROLES, *SERVERS])
def test_what_stays_up_has_a_health_check(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries"} <= set(check)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_asked_where_it_listens(role: str) -> None:
    settings = Settings.load(environment(role))
    port = settings.http.port if role == "api" else settings.health.port
    assert f"127.0.0.1:{port}/readyz" in SERVICES[role]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("service", OURS)
def test_a_service_waits_for_health_or_for_completion_and_for_nothing_unknown(service: str) -> None:
    for needed, how in SERVICES[service].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOTS else "service_healthy"
        assert how == {"condition": expected}, needed


@pytest.mark.parametrize("role", ROLES)
def test_keys_lie_in_a_database_and_a_volume_of_their_own(role: str) -> None:
    settings = Settings.load(environment(role))
    assert settings.keys_database_url is not None
    assert settings.keys_database_url.get_secret_value().endswith("@postgres:5432/casestream_keys")
    mounts = [mount.split(":") for mount in SERVICES[role]["volumes"]]
    [folder] = [place for volume, place, *_ in mounts if volume == "keys"]
    assert {str(settings.keys.kek_file), str(settings.keys.ledger_file)} == {f"{folder}/keks.json", f"{folder}/shredded.jsonl"}
    assert SERVICES["keks"]["entrypoint"][-1] == str(settings.keys.kek_file)
    assert f"casestream {folder}" in (PROJECT / "Dockerfile").read_text(), "the volume takes the folder's owner from the image"


def test_the_keys_database_is_made_with_the_main_one() -> None:
    mounted = [mount.split(":") for mount in SERVICES["postgres"]["volumes"] if mount.startswith("./")]
    scripts = {place: (PROJECT / source).read_text() for source, place, *_ in mounted}
    wrapper = scripts["/docker-entrypoint-initdb.d/20-keys.sql"]
    assert "create database casestream_keys;" in wrapper
    assert "\\i /keys.sql" in wrapper
    assert "cs_keys" in scripts["/keys.sql"]


@pytest.mark.parametrize("role", ROLES)
def test_roles_start_after_migrations_and_topics(role: str) -> None:
    assert {"postgres", "kafka", "migrate", "topics", "keks"} <= set(SERVICES[role]["depends_on"])


@pytest.mark.parametrize("role", ROLES)
def test_roles_have_time_to_finish_their_batch_and_a_stable_name(role: str) -> None:
    assert int(SERVICES[role]["stop_grace_period"].removesuffix("s")) > 20
    assert SERVICES[role]["hostname"] == role


@pytest.mark.parametrize("service", OURS)
def test_our_containers_can_change_nothing_but_their_volumes(service: str) -> None:
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[service]["security_opt"]


@pytest.mark.parametrize("service", ["migrate", "topics"])
def test_setup_runs_commands_that_exist(service: str) -> None:
    program, family, _ = SERVICES[service]["entrypoint"]
    assert program == "casestream"
    assert family in FAMILIES


def test_the_broker_is_set_as_the_local_stack_sets_it() -> None:
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    shared = set(given) & set(SETTINGS) - {"listener.security.protocol.map"}
    assert len(shared) >= 6
    assert {name: given[name] for name in shared} == {name: SETTINGS[name] for name in shared}


def test_mounted_files_and_declared_volumes_exist() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (PROJECT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]


def test_the_database_gives_its_roles_the_password_that_processes_use() -> None:
    postgres = environment("postgres")
    password = postgres["PGOPTIONS"].partition("casestream.role_password=")[2]
    assert f":{password}@" in environment("relay")["DATABASE_URL"]
    assert any("roles.sql:/docker-entrypoint-initdb.d/" in mount for mount in SERVICES["postgres"]["volumes"])


def test_nothing_of_the_checkout_but_the_rooms_goes_into_the_image() -> None:
    lines = Path(PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert {"runtime", "requirements.lock", "pyproject.toml"} <= allowed
    assert not allowed & {".git", ".casestream", ".venv", "tests", "."}
