"""A template's words: judged as a whole when they are saved, rendered when they are used. Pure.

Subjects are headers, so no value brings a line end into one. Secrets have no place in a message that people read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.templating import RenderRefused, Target, Template, TemplateRefused, missing, parse, render
from schemas.errors import Rejected


@dataclass(frozen=True, slots=True)
class Wording:
    """Subject, text, and HTML where there is one."""

    subject: str
    text: str
    html: str | None = None

    def parts(self) -> dict[str, tuple[str, Target]]:
        """Each part that there is, by its name on the wire, with its target."""
        found: dict[str, tuple[str, Target]] = {"subject": (self.subject, "header"), "text": (self.text, "text")}
        return found if self.html is None else {**found, "html": (self.html, "html")}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where in the body: a JSON pointer."""

    pointer: str
    code: str
    message: str


def faults_of(wording: Wording) -> list[Fault]:
    """Everything that is wrong, at once."""
    found = [fault for name, (text, target) in wording.parts().items() for fault in _faults(name, text, target)]
    if any(character < " " or character == "\x7f" for character in wording.subject):
        found.append(Fault("/subject", "control-character", "a subject is one line without control characters"))
    return found


def refused(faults: list[Fault]) -> Rejected:
    """The answer to a wording with faults."""
    errors = [{"pointer": fault.pointer, "code": fault.code, "message": fault.message} for fault in faults]
    return Rejected("TemplateRefused", "save a message template: its words are no template; see errors", {"errors": errors})


def variables_of(wording: Wording) -> list[str]:
    """Every path that the words read, each once, in the order of reading."""
    templates = [parse(text) for text, _ in wording.parts().values()]
    return list(dict.fromkeys(path for template in templates for path in template.variables))


def missing_in(wording: Wording, values: Mapping[str, Any]) -> list[str]:
    """The paths that have no value among these."""
    templates = [parse(text) for text, _ in wording.parts().values()]
    return list(dict.fromkeys(path for template in templates for path in missing(template, values)))


def rendered(wording: Wording, values: Mapping[str, Any]) -> Wording | Rejected:
    """The words with these values. A saved wording is only ever refused for its values."""
    done: dict[str, str] = {}
    errors = []
    for name, (text, target) in wording.parts().items():
        try:
            done[name] = render(parse(text), values, target)
        except RenderRefused as error:
            errors.append({"pointer": f"/{name}", "code": error.reason, "message": str(error)})
    if errors:
        return Rejected("RenderRefused", "fill a message template: the values do not fit; see errors", {"errors": errors})
    return Wording(done["subject"], done["text"], done.get("html"))


def _faults(name: str, text: str, target: Target) -> list[Fault]:
    try:
        template: Template = parse(text)
    except TemplateRefused as error:
        return [Fault(f"/{name}", error.fault, str(error))]
    if template.secrets:
        return [Fault(f"/{name}", "secret-outside-header", "a secret may stand in a webhook's header only")]
    return []
