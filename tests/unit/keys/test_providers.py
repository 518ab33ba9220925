"""Key-encryption keys of a developer's machine: wrapping is bound to its place, and production refuses them."""

import base64
import json
from pathlib import Path
from uuid import UUID

import pytest

from runtime.keys.local_keks import LocalKeks, read_kek_file
from runtime.keys.providers import PROVIDERS, Binding, Wrapped, open_provider, refuse_in_production
from runtime.settings import KeySettings, Settings
from runtime.stack.home import Home
from runtime.stack.keks import ensure_kek
from schemas.errors import ConfigurationError

SECRET = bytes(range(32))
BINDING = Binding("acme", "customer-7", UUID(int=7))
ADDRESSES = {"DATABASE_URL": "postgresql://db/one", "KAFKA_BOOTSTRAP_SERVERS": "a:1"}


@pytest.mark.requirement("trap-84")
async def test_a_wrapped_key_opens_in_its_own_place_only() -> None:
    keks = LocalKeks({"one": bytes(32), "two": bytes(range(32))})
    [wrapped] = await keks.wrap([(SECRET, BINDING)])
    assert await keks.unwrap([(wrapped, BINDING)]) == [SECRET]
    for other in (
        Binding("other", "customer-7", UUID(int=7)),
        Binding("acme", "customer-8", UUID(int=7)),
        Binding("acme", "customer-7", UUID(int=8)),
    ):
        assert await keks.unwrap([(wrapped, other)]) == [None]
    assert await keks.unwrap([(Wrapped("two", wrapped.blob), BINDING)]) == [None]
    for position in range(len(wrapped.blob)):
        changed = bytearray(wrapped.blob)
        changed[position] ^= 1
        assert await keks.unwrap([(Wrapped("one", bytes(changed)), BINDING)]) == [None]
        assert await keks.unwrap([(Wrapped("one", wrapped.blob[:position]), BINDING)]) == [None]


async def test_the_first_key_wraps_all_unwrap_and_a_lost_one_is_named() -> None:
    keks = LocalKeks({"new": bytes(range(32)), "old": bytes(32)})
    [old] = await LocalKeks({"old": bytes(32)}).wrap([(SECRET, BINDING)])
    [new] = await keks.wrap([(SECRET, BINDING)])
    assert (new.kek_id, old.kek_id, keks.kek_id) == ("new", "old", "new")
    assert await keks.unwrap([(old, BINDING), (new, BINDING)]) == [SECRET, SECRET]
    assert await keks.missing(["old", "gone", "new"]) == ["gone"]
    with pytest.raises(ConfigurationError, match="gone is not among the configured ones"):
        await keks.unwrap([(Wrapped("gone", new.blob), BINDING)])


def test_a_binding_has_one_text() -> None:
    assert BINDING.canonical() == (b'{"key_id":"00000000-0000-0000-0000-000000000007","subject":"customer-7","tenant":"acme"}')


@pytest.mark.requirement("CD-2")
@pytest.mark.parametrize("name", ["file", "environment"])
async def test_production_refuses_keys_on_a_disk_or_in_an_environment(name: str, tmp_path: Path) -> None:
    settings = Settings.load({**ADDRESSES, "CASESTREAM_HOME": str(tmp_path)})
    # The settings' own rule says it first; a provider says it again, whoever built its settings.
    production = settings.model_copy(update={"environment": "production", "keys": KeySettings(provider=name)})
    with pytest.raises(ConfigurationError, match=f"CASESTREAM_KEYS__PROVIDER={name}: only for development"):
        async with open_provider(production):
            pass
    refuse_in_production(settings)


async def test_the_stacks_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    path = ensure_kek(home)
    content = path.read_text()
    assert ensure_kek(home).read_text() == content
    assert path.stat().st_mode & 0o777 == 0o600
    settings = Settings.load({**ADDRESSES, "CASESTREAM_HOME": str(tmp_path)})
    async with open_provider(settings) as keks:
        assert keks.kek_id == "development-1"
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_kek_file(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("not json canary", "no readable file"),
        ("[]", "expected a JSON object"),
        ("{}", "no key-encryption key in it"),
        (json.dumps({"a": "canary"}), "base64 of 32 bytes"),
        (json.dumps({"a b": base64.b64encode(bytes(32)).decode()}), "an id must be"),
    ],
)
def test_a_broken_file_is_refused_without_its_contents(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "keks.json"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=problem) as raised:
        read_kek_file(path)
    assert "canary" not in str(raised.value)


async def test_no_environment_variable_is_no_key() -> None:
    settings = Settings.load({**ADDRESSES, "CASESTREAM_KEYS__PROVIDER": "environment"})
    with pytest.raises(ConfigurationError, match="CASESTREAM_KEYS__KEKS is not set"):
        async with open_provider(settings):
            pass


def test_every_provider_of_the_settings_is_in_the_table() -> None:
    names = KeySettings.model_fields["provider"].annotation.__args__  # type: ignore[union-attr]
    assert set(names) == set(PROVIDERS)
