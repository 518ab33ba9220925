"""Templates and values become text, escaped for where the text goes (RU-10, trap 34).

| target | what a value becomes |
|---|---|
| text | itself |
| html | with `& < > " '` as entities |
| json | a JSON string's inside; use `fill` for a whole structure, which keeps types |
| url | percent-encoded as one component |
| header | itself; a control character is refused, CR and LF among them |

A value that is missing or null becomes nothing, in a structure null; `missing` names them for the log. No output is longer
than 64 KiB of UTF-8.
"""

import html
import json
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import quote

from domain.fields.paths import MISSING, Path, Values
from domain.fields.texts import text_of
from domain.templating.secrets import marker
from domain.templating.template import Secret, Template, parse

MAX_OUTPUT = 65_536

Target = Literal["text", "html", "json", "url", "header"]
Reason = Literal["too-long", "control-character", "secret-outside-header"]


class RenderRefused(ValueError):
    """The values do not fit the target, for `reason`. The text names no value."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(REASONS[reason])


def render(template: Template, values: Values, target: Target) -> str:
    """The text. Raises RenderRefused: too long, a control character in a header, a secret elsewhere than in a header."""
    escape = ESCAPES[target]
    written = "".join([_written(part, values, escape, target) for part in template.parts])
    _limit(written)
    return written


def fill(structure: Any, values: Values) -> Any:
    """A JSON structure whose texts are templates, filled: a text that is one placeholder keeps the value's type.

    Keys stay as they are. Raises RenderRefused and, for a text that was never checked, TemplateRefused.
    """
    filled = _filled(structure, values)
    if not isinstance(filled, int | float | bool | None):
        _limit(json.dumps(filled, ensure_ascii=False, default=str))
    return filled


def missing(template: Template, values: Values) -> tuple[str, ...]:
    """The template's paths that have no value, be it missing or null."""
    return tuple(path.text for path in template.paths if path.read(values) in (MISSING, None))


def _filled(structure: Any, values: Values) -> Any:
    if isinstance(structure, str):
        template = parse(structure)
        if template.whole is None:
            return render(template, values, "text")
        value = template.whole.read(values)
        return None if value is MISSING else value
    if isinstance(structure, dict):
        return {key: _filled(item, values) for key, item in structure.items()}
    if isinstance(structure, list):
        return [_filled(item, values) for item in structure]
    return structure


def _written(part: str | Path | Secret, values: Values, escape: Callable[[str], str], target: Target) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Secret):
        if target != "header":
            raise RenderRefused("secret-outside-header")
        return marker(part.name)
    value = part.read(values)
    return "" if value is MISSING else escape(text_of(value))


def _limit(text: str) -> None:
    if len(text) > MAX_OUTPUT or len(text.encode(errors="surrogatepass")) > MAX_OUTPUT:
        raise RenderRefused("too-long")


def _same(text: str) -> str:
    return text


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _component(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _in_header(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise RenderRefused("control-character")
    return text


ESCAPES: dict[Target, Callable[[str], str]] = {
    "text": _same,
    "html": html.escape,
    "json": _in_json,
    "url": _component,
    "header": _in_header,
}
REASONS: dict[Reason, str] = {
    "too-long": f"the filled template has more than {MAX_OUTPUT} bytes",
    "control-character": "a value holds a line break or another control character, which no header may have",
    "secret-outside-header": "a secret may stand in a webhook's header only",
}
