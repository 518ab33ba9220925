"""Key services on loopback, as their public documentation describes them: AWS KMS, Google Cloud KMS, Vault's transit engine.

Each really encrypts, with the binding as associated data, checks who asks, and can be told to fail. They import nothing of
ours, so a wrong reading of a document is not made twice by the same code.
"""

import base64
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Reply = tuple[int, Any]


@dataclass
class Call:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    content: Any
    raw: bytes


@dataclass
class Service:
    """What a service remembers. `failures` are answered first, one each; a text is no JSON."""

    calls: list[Call] = field(default_factory=list)
    failures: list[Reply] = field(default_factory=list)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        return self.failures.pop(0) if self.failures else self.serve(call)

    def serve(self, call: Call) -> Reply:
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    # Many connections come at once; five, the default, would be reset.
    request_queue_size = 128


@contextmanager
def listening(service: Service) -> Iterator[str]:
    """The service's address while it runs."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self.command, self.path, headers, json.loads(raw) if raw else None, raw)
            status, content = service.answer(call)
            body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server looks for

        def log_message(self, *args: Any) -> None:
            """Nothing on the terminal."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], bound)
    except (InvalidTag, ValueError):
        return None


@dataclass
class Aws(Service):
    """AWS KMS, JSON 1.1: Encrypt, Decrypt, DescribeKey. Checks each signature by the published recipe."""

    access_key: str = "AKIDEXAMPLE"
    secret: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    region: str = "eu-central-1"

    def add(self, name: str) -> str:
        arn = f"arn:aws:kms:{self.region}:111122223333:key/{name}"
        self.keys[arn] = {"secret": os.urandom(32), "state": "Enabled"}
        return arn

    def serve(self, call: Call) -> Reply:
        if not self._signed(call):
            return 400, {"__type": "InvalidSignatureException", "message": "The request signature we calculated does not match"}
        action = call.headers["x-amz-target"].removeprefix("TrentService.")
        arn = call.content["KeyId"]
        key = self.keys.get(next((known for known in self.keys if arn in (known, known.rpartition("/")[2])), ""))
        if key is None:
            return 400, {"__type": "NotFoundException", "message": f"Key '{arn}' does not exist"}
        arn = next(known for known in self.keys if self.keys[known] is key)
        if action == "DescribeKey":
            return 200, {"KeyMetadata": {"Arn": arn, "KeyState": key["state"], "KeyUsage": "ENCRYPT_DECRYPT"}}
        if key["state"] != "Enabled":
            return 400, {"__type": "DisabledException", "message": "is disabled"}
        bound = json.dumps(call.content["EncryptionContext"], sort_keys=True).encode()
        if action == "Encrypt":
            blob = seal(key["secret"], base64.b64decode(call.content["Plaintext"]), bound)
            return 200, {"CiphertextBlob": b64(blob), "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        plain = unseal(key["secret"], base64.b64decode(call.content["CiphertextBlob"]), bound)
        if plain is None:
            return 400, {"__type": "com.amazonaws.kms#InvalidCiphertextException"}
        return 200, {"Plaintext": b64(plain), "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def _signed(self, call: Call) -> bool:
        scheme, _, rest = call.headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        scope = parts.get("Credential", "").removeprefix(f"{self.access_key}/")
        names = parts.get("SignedHeaders", "")
        lines = [call.method, "/", "", *(f"{name}:{call.headers[name]}" for name in names.split(";")), "", names]
        canonical = "\n".join([*lines, hashlib.sha256(call.raw).hexdigest()])
        day, region, service, end = scope.split("/")
        text = "\n".join([scheme, call.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + self.secret.encode()
        for part in (day, region, service, end, text):
            key = hmac.new(key, part.encode(), "sha256").digest()
        covered = {"host", "x-amz-date", "x-amz-target"} <= set(names.split(";"))
        return covered and (region, service, end) == (self.region, "kms", "aws4_request") and key.hex() == parts["Signature"]


@dataclass
class Google(Service):
    """Google Cloud KMS, REST v1, and the metadata server's token."""

    token: str = "ya29.fresh"
    checksum: Callable[[bytes], int] = lambda raw: 0
    tokens_given: int = 0

    def add(self, name: str) -> str:
        self.keys[name] = {"primary": 0, "versions": {}}
        self.rotate(name)
        return name

    def rotate(self, name: str) -> str:
        key = self.keys[name]
        key["primary"] += 1
        key["versions"][key["primary"]] = {"secret": os.urandom(32), "state": "ENABLED"}
        return f"{name}/cryptoKeyVersions/{key['primary']}"

    def serve(self, call: Call) -> Reply:
        if call.path.startswith("/computeMetadata/"):
            self.tokens_given += 1
            good = call.headers.get("metadata-flavor") == "Google"
            return (200, {"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"}) if good else (403, {})
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return self._error(401, "UNAUTHENTICATED")
        name, _, action = call.path.removeprefix("/v1/").partition(":")
        name, _, version = name.partition("/cryptoKeyVersions/")
        if name not in self.keys or (version and int(version) not in self.keys[name]["versions"]):
            return self._error(404, "NOT_FOUND")
        key = self.keys[name]
        number = int(version or key["primary"])
        described = {"name": f"{name}/cryptoKeyVersions/{number}", "state": key["versions"][number]["state"]}
        if not action:
            return 200, described if version else {"name": name, "purpose": "ENCRYPT_DECRYPT", "primary": described}
        return self._cipher(key, name, action, call.content)

    def _cipher(self, key: dict[str, Any], name: str, action: str, content: dict[str, str]) -> Reply:
        word = "plaintext" if action == "encrypt" else "ciphertext"
        raw, bound = base64.b64decode(content[word]), base64.b64decode(content["additionalAuthenticatedData"])
        sums = (content[f"{word}Crc32c"], content["additionalAuthenticatedDataCrc32c"])
        if sums != (str(self.checksum(raw)), str(self.checksum(bound))):
            return self._error(400, "INVALID_ARGUMENT")
        if action == "encrypt":
            number = key["primary"]
            blob = bytes([number]) + seal(key["versions"][number]["secret"], raw, bound)
            answer = {"ciphertext": b64(blob), "ciphertextCrc32c": str(self.checksum(blob)), "verifiedPlaintextCrc32c": True}
            return 200, {**answer, "name": f"{name}/cryptoKeyVersions/{number}"}
        version = key["versions"].get(raw[0])
        if version and version["state"] != "ENABLED":
            return self._error(400, "FAILED_PRECONDITION")
        plain = unseal(version["secret"], raw[1:], bound) if version else None
        if plain is None:
            return self._error(400, "INVALID_ARGUMENT")
        return 200, {"plaintext": b64(plain), "plaintextCrc32c": str(self.checksum(plain))}

    @staticmethod
    def _error(status: int, code: str) -> Reply:
        return status, {"error": {"code": status, "status": code, "message": "words of the service"}}


@dataclass
class Vault(Service):
    """Vault's transit engine mounted at `transit`: keys, encrypt and decrypt in batches."""

    token: str = "hvs.good"
    namespace: str = ""
    min_version: int = 1

    def add(self, name: str) -> str:
        self.keys[name] = {"versions": [os.urandom(32)]}
        return name

    def serve(self, call: Call) -> Reply:
        if call.headers.get("x-vault-token") != self.token or call.headers.get("x-vault-namespace", "") != self.namespace:
            return 403, {"errors": ["permission denied"]}
        _, _, mount, action, name = call.path.split("/")
        if mount != "transit" or name not in self.keys:
            return (404, {"errors": []}) if action == "keys" else (400, {"errors": ["encryption key not found"]})
        versions = self.keys[name]["versions"]
        if action == "keys":
            about = {"type": "aes256-gcm96", "derived": False, "latest_version": len(versions)}
            return 200, {"data": {**about, "min_decryption_version": self.min_version}}
        results = [self._cipher(versions, action, item) for item in call.content["batch_input"]]
        failed = sum("error" in result for result in results)
        partly = call.content.get("partial_failure_response_code", 400)
        return (200 if not failed else 400 if failed == len(results) else partly), {"data": {"batch_results": results}}

    def _cipher(self, versions: list[bytes], action: str, item: dict[str, str]) -> dict[str, Any]:
        bound = base64.b64decode(item["associated_data"])
        if action == "encrypt":
            blob = seal(versions[-1], base64.b64decode(item["plaintext"]), bound)
            return {"ciphertext": f"vault:v{len(versions)}:{b64(blob)}", "key_version": len(versions)}
        head, _, text = item["ciphertext"].removeprefix("vault:v").partition(":")
        if not head.isdigit():
            return {"error": "invalid ciphertext: no prefix"}
        if int(head) < self.min_version:
            return {"error": "ciphertext or signature version is disallowed by policy (too old)"}
        plain = unseal(versions[int(head) - 1], base64.b64decode(text), bound)
        return {"plaintext": b64(plain)} if plain is not None else {"error": "cipher: message authentication failed"}
