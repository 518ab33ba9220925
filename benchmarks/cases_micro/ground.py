"""What the comparisons stand on: one document of 1.1 kB, its ten columns, its sealed form, and a graph of classes."""

import random
from uuid import UUID

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.cases.mapping.graph import graph_of
from domain.cases.mapping.model import ClassDefinition, MappingEntry, Provenance
from domain.cases.mapping.tables import ColumnSpec, Feed, TableSpec
from projections.cases.project import Envelope
from runtime import snapshots
from runtime.snapshots import Context, seal

CLASS = "com.app.OrderCase"
COLUMNS = {
    "class_name": ("text", "$.className"),
    "created_at": ("timestamptz", "$.createTime"),
    "updated_at": ("timestamptz", "$.lastUpdated"),
    "case_instance_id": ("text", "$.caseInstanceId"),
    "state": ("text", "$.state"),
    "total": ("numeric(12,2)", "$.total"),
    "first_sku": ("text", "$.items[0].sku"),
    "first_qty": ("integer", "$.items[0].qty"),
    "city": ("text", "$.customer.address.city"),
    "region": ("text", "$.params['region']"),
}
PATHS = [path for _, path in COLUMNS.values()]
_SAID = Provenance(CLASS, "file", "bench", "bench.yaml:1")
SPEC = TableSpec(
    "case_plain_order",
    tuple(ColumnSpec(name, kind) for name, (kind, _) in COLUMNS.items()),
    {CLASS: tuple(Feed(name, path, "null", "null", "incident", None, _SAID) for name, (_, path) in COLUMNS.items())},
)
ENVELOPE = Envelope("acme", "order-000123", CLASS, 3, "customer-77")
DOCUMENT = {
    "className": CLASS,
    "createTime": "2026-01-02T03:04:05.123Z",
    "startUserId": "an",
    "lastUpdated": "2026-01-03T03:04:05.456Z",
    "lastUpdateUserId": "bo",
    "tenantId": "acme",
    "caseInstanceId": "0198a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
    "businessKey": "ORD-000123",
    "state": "Active",
    "total": 1234.5,
    "items": [{"sku": f"SKU-{n:04}", "qty": n + 1, "price": 19.9, "tags": ["red", "sale"]} for n in range(5)],
    "customer": {"name": "Nguyễn Văn An", "address": {"street": "12 Lê Lợi", "city": "Huế", "zip": "49000"}},
    "params": {"region": "central", "channel": "web", "campaign": "tet-2026"},
    "note": "x" * 200,
}
RAW = orjson.dumps(DOCUMENT)
_KEY, _NONCE = bytes(range(32)), bytes(12)
_CONTEXT = Context("acme", CLASS, "order-000123", 3, "customer-77", UUID(int=7))


def sealed() -> tuple[bytes, Context, bytes]:
    return _KEY, _CONTEXT, seal(_KEY, _CONTEXT, RAW, salt=bytes(32), nonce=_NONCE)


def reused_object() -> tuple[AESGCM, bytes, bytes, bytes]:
    """One object, and a ciphertext of the same document with associated data of the same length."""
    cipher, place = AESGCM(_KEY), bytes(22 + len(snapshots._place(_CONTEXT)))
    return cipher, _NONCE, cipher.encrypt(_NONCE, RAW, place), place


def open_plainly(key: bytes, context: Context, raw: bytes) -> bytes:
    """Format v1 with the library's own key derivation, as its documentation would have one write it."""
    derived = HKDF(hashes.SHA512(), 64, raw[22:54], snapshots._INFO).derive(key)
    if derived[32:] != raw[54:86]:
        raise ValueError("another key")
    return AESGCM(derived[:32]).decrypt(raw[86:98], raw[98:], raw[:22] + snapshots._place(context))


def class_graph(classes: int) -> dict[str, ClassDefinition]:
    """A root, mixins, and classes at most eight levels deep with ten mappings each, some of them their parent's."""
    rng = random.Random(classes)
    made = [_definition("Root", None, (), rng, is_mixin=False)]
    mixins = [f"Mixin{n}" for n in range(classes // 10)]
    made += [_definition(name, None, (), rng, is_mixin=True) for name in mixins]
    depth = {"Root": 1}
    for n in range(classes - len(made)):
        parent = rng.choice([name for name in list(depth)[-50:] if depth[name] < 8] or ["Root"])
        name = f"bench.Class{n}"
        depth[name] = depth[parent] + 1
        taken = tuple(rng.sample(mixins, 2)) if n % 3 == 0 else ()
        made.append(_definition(name, parent, taken, rng, is_mixin=False))
    return graph_of(made)[0]


def _definition(
    name: str, parent: str | None, mixins: tuple[str, ...], rng: random.Random, *, is_mixin: bool
) -> ClassDefinition:
    columns = rng.sample([f"column_{n}" for n in range(60)], 10)
    mappings = tuple(MappingEntry(column, f"$.{column}", "text") for column in columns)
    return ClassDefinition(
        name, parent, mixins, is_mixin, "bench", mappings=mappings, source=Provenance(name, "file", "bench", "")
    )
