"""What is asked of the process that evaluates paths, as bytes. Documents travel as they are: only the child reads them."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Question:
    """`find` says what one document holds, `count` what many do. `sensitive` are paths whose values are masked."""

    mode: Literal["find", "count"]
    path: str
    column_type: str | None
    sensitive: Sequence[str]
    documents: Sequence[bytes]

    def pack(self) -> bytes:
        head = json.dumps([self.mode, self.path, self.column_type, list(self.sensitive)]).encode()
        return b"".join(_LENGTH.pack(len(part)) + part for part in (head, *self.documents))

    @classmethod
    def unpack(cls, content: bytes) -> "Question":
        parts, at = [], 0
        while at < len(content):
            (length,) = _LENGTH.unpack_from(content, at)
            parts.append(content[at + 4 : at + 4 + length])
            at += 4 + length
        mode, path, column_type, sensitive = json.loads(parts[0])
        return cls(mode, path, column_type, sensitive, parts[1:])
