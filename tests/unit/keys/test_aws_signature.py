"""Signature Version 4 against AWS's published test suite and signing keys."""

from datetime import UTC, datetime

import pytest

from runtime.keys.aws_signature import Credentials, Request, signed_headers, signing_key
from runtime.keys.crc32c import crc32c

SUITE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = {"Host": "example.amazonaws.com"}
FORM = {"Host": "example.amazonaws.com", "Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("name", "request_", "signature"),
    [
        ("get-vanilla", Request("GET", "/", "", HOST, b""), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "post-vanilla",
            Request("POST", "/", "", HOST, b""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "get-vanilla-query-order-key-case",
            Request("GET", "/", "Param2=value2&Param1=value1", HOST, b""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-header-value-trim",
            Request("GET", "/", "", {**HOST, "My-Header1": " value1", "My-Header2": ' "a   b   c"'}, b""),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-x-www-form-urlencoded",
            Request("POST", "/", "", FORM, b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)
def test_the_published_suite(name: str, request_: Request, signature: str) -> None:
    signed = signed_headers(request_, SUITE, region="us-east-1", service="service", at=AT)
    names = ";".join(sorted([*(header.lower() for header in request_.headers), "x-amz-date"]))
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    assert signed["X-Amz-Date"] == "20150830T123600Z"
    assert signed["Authorization"] == f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}", name


def test_the_published_signing_key() -> None:
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_a_session_s_token_is_signed_and_secrets_are_not_shown() -> None:
    session = Credentials("AKIDEXAMPLE", "canary-secret", "canary-token")
    signed = signed_headers(Request("GET", "/", "", HOST, b""), session, region="r", service="s", at=AT)
    assert signed["X-Amz-Security-Token"] == "canary-token"
    assert "x-amz-security-token" in signed["Authorization"]
    assert "canary" not in repr(session)


def test_the_published_checksum() -> None:
    assert crc32c(b"123456789") == 0xE3069283, "the check value of CRC-32C"
