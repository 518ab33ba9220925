"""Texts with `{{path}}` placeholders: no loops, no conditions, no code (RU-10, trap 34).

A placeholder names a value by a path of domain/fields/paths.py. `{{secret:NAME}}` stands for a secret, which only webhook
headers may name: it never has a value here and leaves as a marker that no value can forge. `{{env.NAME}}`, the documents'
way, is refused: it would let a tenant read the server's environment (trap 33).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from domain.fields.paths import Path, PathRefused, parse_path

MAX_TEXT = 65_536
MAX_PLACEHOLDERS = 1_000
_CACHED = 4_096

Fault = Literal["too-long", "unclosed", "empty", "path", "env", "secret-name", "logic"]


class TemplateRefused(ValueError):
    """The text is no template: `fault` says how, `position` (0-based) where, `detail` what was found."""

    def __init__(self, fault: Fault, position: int, detail: str = "") -> None:
        self.fault, self.position, self.detail = fault, position, detail
        super().__init__(f"{FAULTS[fault]} at character {position + 1}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A placeholder for a secret of the tenant."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: plain texts, paths of values, secrets."""

    text: str
    parts: tuple[str | Path | Secret, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The paths it reads, each once, as written."""
        return tuple(dict.fromkeys(part.text for part in self.parts if isinstance(part, Path)))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The same, parsed."""
        return tuple(dict.fromkeys(part for part in self.parts if isinstance(part, Path)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of secrets, each once."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Secret)))

    @property
    def whole(self) -> Path | None:
        """The path, where the text is one placeholder and nothing else."""
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], Path) else None


@lru_cache(maxsize=_CACHED)
def parse(text: str) -> Template:
    """The template, from a cache of the last used. Raises TemplateRefused."""
    if len(text) > MAX_TEXT:
        raise TemplateRefused("too-long", MAX_TEXT)
    parts: list[str | Path | Secret] = []
    at = 0
    while (begin := text.find("{{", at)) >= 0:
        end = text.find("}}", begin)
        if end < 0:
            raise TemplateRefused("unclosed", begin)
        if at < begin:
            parts.append(text[at:begin])
        parts.append(_placeholder(text[begin + 2 : end], begin + 2))
        at = end + 2
    if at < len(text):
        parts.append(text[at:])
    if len(parts) > 2 * MAX_PLACEHOLDERS:
        raise TemplateRefused("too-long", MAX_TEXT)
    return Template(text, tuple(parts))


def _placeholder(inside: str, position: int) -> Path | Secret:
    named = inside.strip()
    if not named:
        raise TemplateRefused("empty", position)
    if named[0] in "#/^!>&{=":
        raise TemplateRefused("logic", position, named[:40])
    if named.startswith("secret:"):
        if not _SECRET.fullmatch(named.removeprefix("secret:")):
            raise TemplateRefused("secret-name", position)
        return Secret(named.removeprefix("secret:"))
    if named == "env" or named.startswith(("env.", "env[")):
        raise TemplateRefused("env", position, named[:100])
    try:
        return parse_path(named)
    except PathRefused as error:
        raise TemplateRefused("path", position + error.position, named[:100]) from error


_SECRET = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")

FAULTS: dict[Fault, str] = {
    "too-long": f"a template has at most {MAX_TEXT} characters and {MAX_PLACEHOLDERS} placeholders",
    "unclosed": "{{ has no }}",
    "empty": "{{}} names nothing",
    "path": "the placeholder is no path such as {{name}}, {{address.city}} or {{['name.with.dots']}}",
    "env": "{{env.NAME}} would read the server's environment; store the value as a secret and write {{secret:NAME}}",
    "secret-name": "a secret's name is a letter followed by letters, digits and _",
    "logic": "templates have no sections, comments or partials, only {{path}}",
}
