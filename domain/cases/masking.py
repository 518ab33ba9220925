"""A document for readers who may not see its sensitive fields: what the class's sensitive columns read is replaced. Pure."""

from collections.abc import Sequence

from domain.cases.check_path.redaction import redact
from domain.cases.documents import load_document
from domain.cases.json_texts import exact_json
from domain.cases.path_grammar import PathRefused, parse_path


def masked(document: bytes, sensitive_paths: Sequence[str]) -> bytes:
    """The document with a mask wherever one of the paths points. A path that cannot be read masks everything: too much is
    hidden, never too little."""
    if not sensitive_paths:
        return document
    content = load_document(document)
    for path in sensitive_paths:
        try:
            segments = parse_path(path).segments
        except PathRefused:
            segments = ()
        redact(content, segments)
    return exact_json(content)
