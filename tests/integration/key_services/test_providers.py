"""The remote providers against loopback services: one promise, three services; faults, and nothing confidential in errors."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from runtime.keys.crc32c import crc32c
from runtime.keys.providers import Binding, KeyEncryption, Wrapped, open_provider
from runtime.settings import Settings
from schemas.errors import ConfigurationError, TransientError
from tests.integration.key_services.fakes import Aws, Call, Google, Service, Vault, listening

ADDRESSES = {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/d", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
GOOGLE_KEY = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
SECRET = b"canary-of-thirty-two-bytes-1234!"
ANN = Binding("acme", "ann", UUID(int=1))
BOB = Binding("acme", "bob", UUID(int=2))


@dataclass
class World:
    """A service, and settings that lead to it."""

    name: str
    service: Any
    environ: dict[str, str]
    rotate: Callable[[], None]
    disable: Callable[[], None]

    @asynccontextmanager
    async def provider(self, **changes: str) -> AsyncIterator[KeyEncryption]:
        async with open_provider(Settings.load({**ADDRESSES, **self.environ, **changes})) as provider:
            yield provider


def aws(service: Aws, address: str) -> World:
    arn = service.add("1234abcd-12ab-34cd-56ef-1234567890ab")
    environ = {
        "CASESTREAM_KEYS__PROVIDER": "aws-kms",
        "CASESTREAM_AWS_KMS__KEY": arn.rpartition("/")[2],
        "CASESTREAM_AWS_KMS__REGION": service.region,
        "CASESTREAM_AWS_KMS__ENDPOINT": address,
        "CASESTREAM_AWS_KMS__ACCESS_KEY_ID": service.access_key,
        "CASESTREAM_AWS_KMS__SECRET_ACCESS_KEY": service.secret,
    }

    def rotate() -> None:
        environ["CASESTREAM_AWS_KMS__KEY"] = service.add("0987dcba-09fe-87dc-65ba-ab0987654321")

    return World("aws", service, environ, rotate, lambda: service.keys[arn].update(state="PendingDeletion"))


def google(service: Google, address: str) -> World:
    service.checksum = crc32c
    service.add(GOOGLE_KEY)
    environ = {
        "CASESTREAM_KEYS__PROVIDER": "google-kms",
        "CASESTREAM_GOOGLE_KMS__KEY": GOOGLE_KEY,
        "CASESTREAM_GOOGLE_KMS__ENDPOINT": address,
        "CASESTREAM_GOOGLE_KMS__METADATA_URL": address,
    }
    first = service.keys[GOOGLE_KEY]["versions"][1]
    return World(
        "google", service, environ, lambda: (service.rotate(GOOGLE_KEY), None)[1], lambda: first.update(state="DESTROYED")
    )


def vault(service: Vault, address: str) -> World:
    service.add("casestream")
    environ = {
        "CASESTREAM_KEYS__PROVIDER": "vault",
        "CASESTREAM_VAULT__ADDRESS": address,
        "CASESTREAM_VAULT__KEY": "casestream",
        "CASESTREAM_VAULT__TOKEN": service.token,
    }

    def rotate() -> None:
        service.keys["casestream"]["versions"].append(b"k" * 32)

    def disable() -> None:
        service.min_version = 2

    return World("vault", service, environ, rotate, disable)


WORLDS: dict[str, tuple[type[Service], Callable[..., World]]] = {
    "aws": (Aws, aws),
    "google": (Google, google),
    "vault": (Vault, vault),
}


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind, make = WORLDS[request.param]
    service = kind()
    with listening(service) as address:
        yield make(service, address)


@pytest.mark.requirement("CD-2")
async def test_what_was_wrapped_opens_at_its_own_place_and_nowhere_else(world: World) -> None:
    async with world.provider() as provider:
        ann, bob = await provider.wrap([(SECRET, ANN), (SECRET[::-1], BOB)])
        assert await provider.unwrap([(ann, ANN), (bob, BOB)]) == [SECRET, SECRET[::-1]]
        assert await provider.unwrap([(ann, BOB), (bob, BOB), (bob, ANN)]) == [None, SECRET[::-1], None]
        assert await provider.unwrap([(ann, BOB)]) == [None]
        assert {ann.kek_id, bob.kek_id} == {provider.kek_id}
        assert SECRET not in ann.blob
        assert await provider.wrap([]) == []


@pytest.mark.requirement("CD-2", "trap-84")
async def test_a_damaged_key_is_none_and_stops_no_other(world: World) -> None:
    async with world.provider() as provider:
        good, other = await provider.wrap([(SECRET, ANN), (SECRET, BOB)])
        raw = bytearray(base64.b64decode(good.blob.rpartition(b":")[2]) if world.name == "vault" else good.blob)
        raw[-1] ^= 1
        blob = b"vault:v1:" + base64.b64encode(raw) if world.name == "vault" else bytes(raw)
        assert await provider.unwrap([(Wrapped(good.kek_id, blob), ANN), (other, BOB)]) == [None, SECRET]


@pytest.mark.requirement("CD-2")
async def test_after_a_rotation_the_old_opens_and_the_new_wraps(world: World) -> None:
    async with world.provider() as provider:
        old = (await provider.wrap([(SECRET, ANN)]))[0]
    world.rotate()
    async with world.provider() as provider:
        assert provider.kek_id != old.kek_id
        assert await provider.unwrap([(old, ANN)]) == [SECRET]
        new = (await provider.wrap([(SECRET, ANN)]))[0]
        assert new.kek_id == provider.kek_id
        assert await provider.missing([old.kek_id, new.kek_id]) == []
        world.disable()
        assert await provider.missing([old.kek_id, new.kek_id]) == [old.kek_id]
        with pytest.raises(ConfigurationError):
            await provider.unwrap([(old, ANN)])


@pytest.mark.parametrize("name", ["google", "vault"])
async def test_a_rotation_while_a_process_runs_is_noticed_when_it_wraps(name: str) -> None:
    kind, make = WORLDS[name]
    service = kind()
    with listening(service) as address:
        world = make(service, address)
        async with world.provider() as provider:
            before = provider.kek_id
            world.rotate()
            wrapped = (await provider.wrap([(SECRET, ANN)]))[0]
            assert before != wrapped.kek_id == provider.kek_id


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_service_that_throttles_or_is_not_well_is_transient(world: World, status: int) -> None:
    async with world.provider() as provider:
        world.service.failures.append((status, {"message": "x"}))
        with pytest.raises(TransientError, match=str(status)):
            await provider.wrap([(SECRET, ANN)])
        assert len(await provider.wrap([(SECRET, ANN)])) == 1, "and the same attempt succeeds later"


@pytest.mark.parametrize("name", sorted(WORLDS))
async def test_a_service_that_is_away_is_transient(name: str) -> None:
    kind, make = WORLDS[name]
    service = kind()
    with ExitStack() as running:
        world = make(service, running.enter_context(listening(service)))
        async with world.provider() as provider:
            wrapped = await provider.wrap([(SECRET, ANN)])
            running.close()
            with pytest.raises(TransientError):
                await provider.unwrap([(wrapped[0], ANN)])
        with pytest.raises(TransientError):
            async with world.provider():
                pass


@pytest.mark.parametrize("answer", [(200, "<html>a proxy</html>"), (200, {}), (200, {"data": {"batch_results": []}})])
async def test_an_answer_of_another_form_is_never_taken_for_a_key(world: World, answer: tuple[int, Any]) -> None:
    async with world.provider() as provider:
        wrapped = (await provider.wrap([(SECRET, ANN)]))[0]
        world.service.failures += [answer, answer]
        with pytest.raises(TransientError, match="another form"):
            await provider.wrap([(SECRET, ANN)])
        with pytest.raises(TransientError, match="another form"):
            await provider.unwrap([(wrapped, ANN)])


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refusal_is_no_reason_to_try_again_and_tells_nothing_confidential(world: World, status: int) -> None:
    secret = base64.b64encode(SECRET).decode()
    words = {"__type": f"Access {secret}", "message": secret, "errors": [secret], "error": {"status": f"{secret} x"}}
    async with world.provider() as provider:
        world.service.failures.append((status, words))
        with pytest.raises(ConfigurationError) as raised:
            await provider.wrap([(SECRET, ANN)])
        said = f"{raised.value!r} {raised.value} {raised.value.__cause__!r} {vars(raised.value)}"
        for canary in (secret, SECRET.decode(), *(world.environ.get(f"CASESTREAM_{name}", "-") for name in SECRETS)):
            assert canary == "-" or canary not in said


SECRETS = ("AWS_KMS__SECRET_ACCESS_KEY", "VAULT__TOKEN")


async def test_a_wrong_credential_refuses_to_start(world: World) -> None:
    world.service.secret = world.service.token = "another"
    if world.name == "google":
        world.environ["CASESTREAM_GOOGLE_KMS__TOKEN_FILE"] = __file__
    with pytest.raises(ConfigurationError):
        async with world.provider():
            pass


@pytest.mark.parametrize("provider", ["aws-kms", "google-kms", "vault"])
async def test_what_is_not_set_is_named(provider: str) -> None:
    with pytest.raises(ConfigurationError, match="is not set"):
        async with open_provider(Settings.load({**ADDRESSES, "CASESTREAM_KEYS__PROVIDER": provider})):
            pass


@pytest.mark.parametrize("address", ["http://vault.example:8200", "ftp://127.0.0.1", "https://u:p@vault.example", "nonsense"])
async def test_data_keys_never_travel_in_the_clear(address: str) -> None:
    environ = {
        **ADDRESSES,
        "CASESTREAM_KEYS__PROVIDER": "vault",
        "CASESTREAM_VAULT__KEY": "k",
        "CASESTREAM_VAULT__ADDRESS": address,
    }
    with pytest.raises(ConfigurationError, match="https"):
        async with open_provider(Settings.load(environ)):
            pass


@pytest.mark.parametrize("code", ["ThrottlingException", "DependencyTimeoutException", "ExpiredTokenException"])
async def test_aws_says_some_passing_faults_with_status_400(code: str) -> None:
    service = Aws()
    with listening(service) as address:
        async with aws(service, address).provider() as provider:
            service.failures.append((400, {"__type": code}))
            with pytest.raises(TransientError, match=code):
                await provider.wrap([(SECRET, ANN)])


async def test_the_requests_have_the_published_form() -> None:
    """The words of AWS's, Google's and Vault's API references, and no others."""

    async def last_call(kind: type[Service], make: Callable[..., World], act: str) -> Call:
        service = kind()
        with listening(service) as address:
            async with make(service, address).provider() as provider:
                wrapped = await provider.wrap([(SECRET, ANN)])
                if act == "decrypt":
                    await provider.unwrap([(wrapped[0], ANN)])
        return service.calls[-1]

    encrypt = await last_call(Aws, aws, "encrypt")
    assert (encrypt.method, encrypt.path) == ("POST", "/")
    assert encrypt.headers["x-amz-target"] == "TrentService.Encrypt"
    assert encrypt.headers["content-type"] == "application/x-amz-json-1.1"
    assert set(encrypt.content) == {"KeyId", "Plaintext", "EncryptionContext"}
    assert encrypt.content["EncryptionContext"] == {"tenant": "acme", "subject": "ann", "key_id": str(UUID(int=1))}
    assert set((await last_call(Aws, aws, "decrypt")).content) == {"KeyId", "CiphertextBlob", "EncryptionContext"}

    encrypt = await last_call(Google, google, "encrypt")
    assert encrypt.path == f"/v1/{GOOGLE_KEY}:encrypt"
    assert set(encrypt.content) == {
        "plaintext",
        "plaintextCrc32c",
        "additionalAuthenticatedData",
        "additionalAuthenticatedDataCrc32c",
    }
    assert json.loads(base64.b64decode(encrypt.content["additionalAuthenticatedData"])) == ANN.pairs()
    assert (await last_call(Google, google, "decrypt")).path == f"/v1/{GOOGLE_KEY}:decrypt"

    decrypt = await last_call(Vault, vault, "decrypt")
    assert (decrypt.method, decrypt.path) == ("POST", "/v1/transit/decrypt/casestream")
    assert set(decrypt.content) == {"batch_input", "partial_failure_response_code"}
    assert [set(item) for item in decrypt.content["batch_input"]] == [{"ciphertext", "associated_data"}]


async def test_google_s_checksums_are_looked_at() -> None:
    service = Google()
    with listening(service) as address:
        async with google(service, address).provider() as provider:
            wrapped = (await provider.wrap([(SECRET, ANN)]))[0]
            changed = base64.b64encode(b"changed on the way").decode()
            service.failures.append((200, {"plaintext": changed, "plaintextCrc32c": str(crc32c(SECRET))}))
            with pytest.raises(TransientError):
                await provider.unwrap([(wrapped, ANN)])
            name = f"{GOOGLE_KEY}/cryptoKeyVersions/1"
            unverified = {"name": name, "ciphertext": changed, "ciphertextCrc32c": str(crc32c(b"changed on the way"))}
            service.failures.append((200, {**unverified, "verifiedPlaintextCrc32c": False}))
            with pytest.raises(TransientError):
                await provider.wrap([(SECRET, ANN)])


async def test_a_token_is_asked_for_once_and_again_before_it_ends(tmp_path: Path) -> None:
    service = Google()
    with listening(service) as address:
        async with google(service, address).provider() as provider:
            await provider.wrap([(SECRET, ANN)] * 20)
            assert service.tokens_given == 1

    vaults = Vault()
    with listening(vaults) as address:
        world = vault(vaults, address)
        (tmp_path / "token").write_text(f"{vaults.token}\n")
        del world.environ["CASESTREAM_VAULT__TOKEN"]
        async with world.provider(CASESTREAM_VAULT__TOKEN_FILE=str(tmp_path / "token")) as provider:
            vaults.token = "hvs.renewed"
            (tmp_path / "token").write_text(vaults.token)
            assert len(await provider.wrap([(SECRET, ANN)])) == 1


async def test_a_container_s_role_signs_with_credentials_that_end(tmp_path: Path) -> None:
    class Role(Service):
        asked = 0

        def serve(self, call: Call) -> tuple[int, Any]:
            self.asked += 1
            assert call.headers["authorization"] == "pod-token"
            words = {
                "AccessKeyId": "AKIDROLE",
                "SecretAccessKey": "s",
                "Token": "session",
                "Expiration": "2000-01-01T00:00:00Z",
            }
            return 200, words

    (tmp_path / "token").write_text("pod-token")
    service, role = Aws(access_key="AKIDROLE", secret="s"), Role()
    with listening(service) as address, listening(role) as credentials:
        world = aws(service, address)
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            del world.environ[f"CASESTREAM_AWS_KMS__{name}"]
        changes = {
            "CASESTREAM_AWS_KMS__CREDENTIALS_URL": f"{credentials}/v2/credentials",
            "CASESTREAM_AWS_KMS__CREDENTIALS_TOKEN_FILE": str(tmp_path / "token"),
        }
        async with world.provider(**changes) as provider:
            await provider.wrap([(SECRET, ANN)])
        assert service.calls[-1].headers["x-amz-security-token"] == "session"
        assert role.asked == len(service.calls), "credentials at their end are asked for anew"


async def test_a_thousand_keys_go_to_vault_in_a_few_batches_and_to_the_others_a_few_at_once(world: World) -> None:
    many = [(SECRET, Binding("acme", f"s{at}", UUID(int=at))) for at in range(1_000 if world.name == "vault" else 40)]
    async with world.provider() as provider:
        before = len(world.service.calls)
        wrapped = await provider.wrap(many)
        assert len(world.service.calls) - before == (2 if world.name == "vault" else 40)
        opened = await provider.unwrap([(one, binding) for one, (_, binding) in zip(wrapped, many, strict=True)])
        assert opened == [SECRET] * len(many)


@pytest.mark.parametrize("name", sorted(WORLDS))
async def test_a_key_of_another_provider_is_a_matter_of_configuration(name: str) -> None:
    kind, make = WORLDS[name]
    service = kind()
    with listening(service) as address:
        async with make(service, address).provider() as provider:
            assert await provider.missing(["kek-1"]) == ["kek-1"]
            with pytest.raises(ConfigurationError):
                await provider.unwrap([(Wrapped("kek-1", b"x"), ANN)])
