"""Brokers behind TLS: with a login over SASL_SSL, and with certificates on both sides. Strangers get nothing."""

import datetime as dt
import ipaddress
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runtime import kafka
from runtime.settings import Settings
from runtime.stack.ports import LOOPBACK, free_ports
from schemas.errors import ConfigurationError
from tests.infrastructure.scratch import new_scratch
from tests.infrastructure.servers import new_kafka

LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="relay-secret";'
Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


@dataclass(frozen=True)
class Secured:
    """A broker with a door for logins and one for certificates, and the folder of the certificates."""

    logins: str
    certificates: str
    folder: Path

    def settings(self, door: str, **access: object) -> Settings:
        given = {f"CASESTREAM_KAFKA__{name.upper()}": str(value) for name, value in access.items()}
        address = {"DATABASE_URL": "postgresql://cs@localhost/unused", "KAFKA_BOOTSTRAP_SERVERS": door}
        return Settings.load(address | given)

    def file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    scratch = new_scratch()
    cluster = new_kafka(scratch)
    [node] = cluster.nodes.values()
    logins, certificates = (f"{LOOPBACK}:{port}" for port in free_ports(2))
    doors = f"PLAINTEXT://{node.address.bootstrap},LOGINS://{logins},CERTIFICATES://{certificates}"
    _write_certificates(scratch)
    node.settings = {
        "listeners": f"{doors},CONTROLLER://{LOOPBACK}:{node.address.controller_port}",
        "advertised.listeners": doors,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGINS:SASL_SSL,CERTIFICATES:SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.logins.plain.sasl.jaas.config": LOGIN,
        "listener.name.certificates.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(scratch / "broker.both"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(scratch / "ca.pem"),
    }
    try:
        cluster.start()
        yield Secured(logins, certificates, scratch)
    finally:
        cluster.kill()
        shutil.rmtree(scratch, ignore_errors=True)


async def test_every_client_passes_the_door_for_logins(secured: Secured) -> None:
    settings = secured.settings(secured.logins, **_login(secured, "relay-secret"))
    assert await _round_trip(settings, "by-login") == b"hello"


async def test_every_client_passes_the_door_for_certificates(secured: Secured) -> None:
    own = {"certificate_file": secured.file("relay.pem"), "certificate_key_file": secured.file("relay.key")}
    settings = secured.settings(secured.certificates, security_protocol="SSL", ca_file=secured.file("ca.pem"), **own)
    assert await _round_trip(settings, "by-certificate") == b"hello"


async def test_a_wrong_password_is_refused_and_never_told(secured: Secured, caplog: pytest.LogCaptureFixture) -> None:
    client = kafka.admin(secured.settings(secured.logins, **_login(secured, "not-the-secret")))
    with pytest.raises(KafkaError) as refused:
        await client.start()
    await client.close()
    assert "not-the-secret" not in f"{refused.value!r} {caplog.text}"


async def test_a_client_without_a_certificate_is_refused(secured: Secured) -> None:
    client = kafka.admin(secured.settings(secured.certificates, security_protocol="SSL", ca_file=secured.file("ca.pem")))
    with pytest.raises((KafkaError, OSError)):
        await client.start()
    await client.close()


async def test_a_broker_that_nobody_vouches_for_gets_no_login(secured: Secured) -> None:
    _, stranger = _certificate("Another authority", None)
    secured.file("stranger.pem").write_bytes(_pem(stranger))
    client = kafka.admin(
        secured.settings(secured.logins, **_login(secured, "relay-secret") | {"ca_file": secured.file("stranger.pem")})
    )
    with pytest.raises((KafkaError, OSError)):
        await client.start()
    await client.close()


async def test_a_certificate_that_cannot_be_read_is_named(secured: Secured) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.pem"):
        kafka.admin(secured.settings(secured.logins, security_protocol="SSL", ca_file=secured.file("nowhere.pem")))


def _login(secured: Secured, password: str) -> dict[str, object]:
    return {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "relay",
        "sasl_password": password,
        "ca_file": secured.file("ca.pem"),
    }


async def _round_trip(settings: Settings, topic: str) -> bytes | None:
    """A topic made by the admin client, a record sent by the relay's producer, read by a consumer."""
    admin = kafka.admin(settings)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with kafka.producer(settings) as producer:
        await producer.send_and_wait(topic, b"hello")
    async with kafka.consumer(settings) as consumer:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        value: bytes | None = (await consumer.getone()).value
        return value


def _write_certificates(folder: Path) -> None:
    authority = _certificate("Test authority", None)
    (folder / "ca.pem").write_bytes(_pem(authority[1]))
    for name in ("broker", "relay"):
        key, certificate = _certificate(name, authority)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{name}.key").write_bytes(private)
        (folder / f"{name}.pem").write_bytes(_pem(certificate))
        (folder / f"{name}.both").write_bytes(private + _pem(certificate))


def _certificate(name: str, authority: Pair | None) -> Pair:
    """A key and its certificate for loopback, signed by the authority or, without one, by itself as an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority[1].subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
    )
    return key, builder.sign(authority[0] if authority else key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
