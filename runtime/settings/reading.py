"""From environment variables to the model's values, with every problem collected and every secret kept back.

Precedence: the variable, then the file that KEY_FILE names, then the running local stack (never in production), then
the default. An empty value counts as absent, as Compose passes it.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runtime.settings.model import Settings
from runtime.settings.rules import broken_rules
from runtime.settings.variables import PREFIX, REDACTED, Variable, variables
from schemas.errors import ConfigurationError

# For tests and scripts: the prefix is ours, the key is no setting. Production refuses them, a failpoint above all.
_FOR_TESTS = (
    "CASESTREAM_BENCH_",
    "CASESTREAM_FAILPOINT",
    "CASESTREAM_REAL_INPUT",
    "CASESTREAM_TEST_",
    "CASESTREAM_TORTURE_",
)
_ADDRESSES = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")
_OF_THE_DATABASE = ("DATABASE_URL", "CASESTREAM_KEYS__LEDGER_FILE")
# Production's topics are copied unless somebody says otherwise, and `rules` refuses fewer copies.
_PRODUCTION_DEFAULTS = {"CASESTREAM_KAFKA__REPLICATION_FACTOR": "3", "CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS": "2"}
_PLACEHOLDERS = {"DATABASE_URL": "postgresql://absent", "KAFKA_BOOTSTRAP_SERVERS": "absent:1"}


@dataclass(slots=True)
class Reading:
    """What was found: raw text by key, where each came from, and the problems so far."""

    text: dict[str, str] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, key: str, text: str, origin: str) -> None:
        self.text[key], self.origin[key] = text, origin

    def checked_values(self) -> dict[str, Any]:
        """The values, nested as the model wants them. Raises ConfigurationError when anything is wrong."""
        values, problems = _validate(self)
        if problems:
            raise ConfigurationError(problems)
        return values

    def shown(self, variable: Variable) -> str:
        """A value for people: never a secret, never a whole list."""
        if variable.key not in self.text:
            return variable.default
        return REDACTED if variable.may_be_file else self.text[variable.key]


def read(environ: Mapping[str, str]) -> Reading:
    """Collect the text of every known key and name the unknown ones."""
    reading = Reading()
    _take_variables(environ, reading)
    _take_files(environ, reading)
    production = reading.text.get("CASESTREAM_ENVIRONMENT") == "production"
    if production:
        _take_production_defaults(reading)
    else:
        _take_local_stack(reading)
    strangers = [key for key in environ if _is_unknown(key) and (production or not key.startswith(_FOR_TESTS))]
    reading.problems += [_unknown(key) for key in strangers]
    return reading


def _take_variables(environ: Mapping[str, str], reading: Reading) -> None:
    for key in variables():
        if environ.get(key, ""):
            reading.take(key, environ[key], "environment")


def _take_files(environ: Mapping[str, str], reading: Reading) -> None:
    for key, variable in variables().items():
        path = environ.get(f"{key}_FILE", "") if variable.may_be_file else ""
        if not path:
            continue
        if key in reading.text:
            reading.problems.append(f"{key} and {key}_FILE are both set; keep one")
            continue
        try:
            reading.take(key, Path(path).read_text(encoding="utf-8").strip(), f"file {path}")
        except (OSError, UnicodeDecodeError) as error:
            reading.problems.append(f"{key}_FILE={path}: cannot be read ({type(error).__name__}); expected a text file")


def _take_production_defaults(reading: Reading) -> None:
    for key, text in _PRODUCTION_DEFAULTS.items():
        if key not in reading.text:
            reading.take(key, text, "production's default")


def _take_local_stack(reading: Reading) -> None:
    """A running `casestream up` fills what nobody set; a given database gets none of the stack's roles, and not its ledger."""
    local = _local_environment() if any(key not in reading.text for key in _ADDRESSES) else {}
    database_given = any(key.startswith("DATABASE_URL") for key in reading.text)
    for key, text in local.items():
        if key in reading.text or key not in variables() or (database_given and key.startswith(_OF_THE_DATABASE)):
            continue
        reading.take(key, text, "local stack")


def _local_environment() -> Mapping[str, str]:
    try:
        from runtime.stack.state import local_environment
    except ImportError:  # an image may come without the local stack
        return {}
    return local_environment() or {}


def _is_unknown(key: str) -> bool:
    if not key.startswith((PREFIX, "DATABASE_URL_", "KEYS_DATABASE_URL")):
        return False
    plain = variables().get(key.removesuffix("_FILE"))
    return key not in variables() and not (plain and plain.may_be_file and key.endswith("_FILE"))


def _unknown(key: str) -> str:
    # Without the prefix, which every key shares and which would make all of them look alike.
    plain = {known.removeprefix(PREFIX): known for known in variables()}
    near = difflib.get_close_matches(key.removeprefix(PREFIX), plain, n=1, cutoff=0.7)
    return f"{key}: unknown key; " + (f"did you mean {plain[near[0]]}?" if near else "see docs/reference/settings.md")


def _validate(reading: Reading) -> tuple[dict[str, Any], list[str]]:
    """Fields first, then the rules between them on a copy where broken fields have their defaults."""
    problems = list(reading.problems)
    parsed, broken = _parse(reading, problems)
    try:
        settings = Settings.model_validate(_nest(parsed))
    except ValidationError as error:
        broken |= _field_problems(error, reading, problems)
        whole = {**_PLACEHOLDERS, **{key: value for key, value in parsed.items() if key not in broken}}
        settings = Settings.model_validate(_nest(whole))
    for rule in broken_rules(settings):
        if not broken.intersection(rule.keys):
            lead = variables()[rule.keys[0]]
            problems.append(f"{lead.key}={reading.shown(lead)}: {rule.cure}")
    return _nest(parsed), problems


def _parse(reading: Reading, problems: list[str]) -> tuple[dict[str, Any], set[str]]:
    parsed: dict[str, Any] = {}
    broken: set[str] = set()
    for key, text in reading.text.items():
        if not variables()[key].is_json:
            parsed[key] = text
            continue
        try:
            parsed[key] = json.loads(text)
        except ValueError:
            broken.add(key)
            problems.append(f"{key}={REDACTED}: expected a JSON list")
    return parsed, broken


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        place = nested
        *sections, name = variables()[key].path
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return nested


def _field_problems(error: ValidationError, reading: Reading, problems: list[str]) -> set[str]:
    """One line per broken field; pydantic's own message quotes the value and is therefore not used."""
    broken = set()
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        key, inside = _key_of(detail["loc"])
        broken.add(key)
        problems.append(_problem(reading, variables()[key], inside, detail))
    return broken


def _problem(reading: Reading, variable: Variable, inside: str, detail: Mapping[str, Any]) -> str:
    if detail["type"] == "missing" and not inside:
        return f"{variable.key} is not set: run `casestream up` for a local stack, or set it"
    if inside:
        return f"{variable.key}={REDACTED}: at {inside}: {detail['msg']}"
    return f"{variable.key}={reading.shown(variable)}: expected {variable.legal}"


def _key_of(location: tuple[int | str, ...]) -> tuple[str, str]:
    """The variable that a pydantic location belongs to, and the place inside its value."""
    for key, variable in variables().items():
        length = len(variable.path)
        if location[:length] == variable.path or location[:1] == (key,):
            rest = location[1:] if location[:1] == (key,) else location[length:]
            return key, ".".join(map(str, rest))
    raise LookupError(f"no variable fills {location}")
