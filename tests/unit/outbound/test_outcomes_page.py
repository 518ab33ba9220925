"""The page of outcomes has every denied network, every reason and every code that senders give."""

import re
from pathlib import Path

from domain.onboarding.waiting import NO_ANSWER
from runtime.outbound.addresses import DENIED

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "outcomes.md").read_text()
SENDERS = tuple(f"workers/senders/{name}.py" for name in "webhook signed_calls email mail".split())
STEPS = tuple(f"workers/senders/step_{name}.py" for name in "answers http kafka python words".split())
# Beginnings of codes that end in a number or a reason.
OPEN_ENDED = ("http-", "network-", "denied-", "sender-", "contents-", "recipient-", "relay-login-")


def test_every_denied_network_stands_beside_its_kind() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([0-9a-f:./, ]+) \|$", PAGE, re.MULTILINE))
    listed = {(network, kind) for kind, networks in rows.items() for network in networks.split(", ")}
    assert listed == {(str(network), kind) for network, kind in DENIED}


def test_every_reason_of_a_denial_is_explained() -> None:
    source = (ROOT / "runtime/outbound/targets.py").read_text()
    reasons = set(re.findall(r'Denied\("([a-z-]+)"\)', source)) | {"address-not-loopback"}
    assert len(reasons) > 5
    assert {reason for reason in reasons if f"`{reason}`" not in PAGE} == set()


def test_every_code_of_a_sender_is_explained() -> None:
    source = "".join((ROOT / name).read_text() for name in SENDERS)
    codes = set(re.findall(r'(?:Refused|Retry)\(f?"([a-z-]+)', source)) | set(re.findall(r'return "([a-z-]+)"', source))
    codes |= set(re.findall(r'_by_code\("([a-z]+)"', source))
    assert len(codes) > 15
    assert {code for code in codes if not re.search(rf"`{re.escape(code)}[`A-Za-z-]", PAGE)} == set()
    assert all(f"`{code}" in PAGE for code in OPEN_ENDED)


def test_every_code_of_a_step_is_explained() -> None:
    source = "".join((ROOT / name).read_text() for name in (*STEPS, "domain/onboarding/asking.py"))
    codes = set(re.findall(r'(?:Refused|given_up)\("([a-z-]+)"', source)) | set(
        re.findall(r'return "(result-[a-z-]+)"', source)
    )
    codes |= {NO_ANSWER, "result-too-large", "unknown-outcome"}
    assert len(codes) > 9
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_every_failure_of_the_network_is_explained() -> None:
    source = (ROOT / "runtime/outbound/client.py").read_text()
    failures = set(re.findall(r'Failed\("([a-z]+)"', source)) | {"tls", "connect"}
    assert {failure for failure in failures if f"`network-{failure}`" not in PAGE} == set()
