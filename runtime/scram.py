"""SCRAM-SHA-256 verifiers (RFC 5803 form), as PostgreSQL stores them: a password is hashed here and never sent.

A `create role ... password 'text'` would stand in the server's log.
"""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096


def verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL takes in place of a password. Raises ValueError for text that is not printable ASCII.

    Beyond ASCII the standard wants a normalization that client and server may do differently.
    """
    if not (password.isascii() and password.isprintable()):
        raise ValueError("a password must be printable ASCII")
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
