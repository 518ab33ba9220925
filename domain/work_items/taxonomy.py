"""What the create screen offers, from a definitions file: types, areas, groups, processes, scopes and priorities.

The lists are for screens. A command may carry a code that is not listed (an upstream has its own); an unlisted process
is coupled strongly, which is the document's default (S3 8.3). A process may name the flow that its items begin; most name
none, and then people alone move the item.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import yaml

from schemas.errors import ConfigurationError
from schemas.work_items import Coupling, Priority

DEFAULT = Path(__file__).resolve().parents[2] / "definitions" / "work_items" / "taxonomy.yaml"
_LISTS = ("request_types", "activity_areas", "business_groups", "processes", "scopes", "priorities")
_REQUIRED = {"business_groups": ("area",), "processes": ("group", "coupling")}
_OPTIONAL = {"processes": ("flow",)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One choice: its code, its labels, and for a group its area, for a process its group, coupling and flow."""

    code: str
    vi: str
    en: str
    area: str | None = None
    group: str | None = None
    coupling: Coupling | None = None
    flow: str | None = None


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Every list of the create screen, each in the order of the file."""

    request_types: tuple[Entry, ...]
    activity_areas: tuple[Entry, ...]
    business_groups: tuple[Entry, ...]
    processes: tuple[Entry, ...]
    scopes: tuple[Entry, ...]
    priorities: tuple[Entry, ...]

    def coupling_of(self, process: str | None) -> Coupling:
        """The coupling of a process (WI-7)."""
        return next((entry.coupling for entry in self.processes if entry.code == process and entry.coupling), "strong")

    def flow_of(self, process: str | None) -> str | None:
        """The flow that items of a process begin (WI-4); None: they begin none."""
        return next((entry.flow for entry in self.processes if entry.code == process), None)


def load_taxonomy(path: Path = DEFAULT) -> Taxonomy:
    """Read and check the file. Raises ConfigurationError with every problem at once."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path.name}: expected a mapping of lists, found {type(content).__name__}"])
    problems = [f"{path.name}: list {name!r} is missing" for name in _LISTS if not isinstance(content.get(name), list)]
    problems += [
        f"{path.name}: {name!r} is no list of the create screen; use {', '.join(_LISTS)}"
        for name in content
        if name not in _LISTS
    ]
    if problems:
        raise ConfigurationError(problems)
    problems = [problem for name in _LISTS for problem in _problems(name, content[name])]
    problems += _dangling(content)
    if problems:
        raise ConfigurationError([f"{path.name}: {problem}" for problem in problems])
    return Taxonomy(**{name: tuple(Entry(**entry) for entry in content[name]) for name in _LISTS})


@cache
def default_taxonomy() -> Taxonomy:
    """The file that is delivered with the release, read once per process."""
    return load_taxonomy()


def _problems(name: str, entries: Iterable[Any]) -> Iterable[str]:
    seen: set[str] = set()
    keys = {"code", "vi", "en", *_REQUIRED.get(name, ())}
    for position, entry in enumerate(entries, start=1):
        where = f"{name}[{position}]"
        if not isinstance(entry, dict) or set(entry) - set(_OPTIONAL.get(name, ())) != keys:
            yield f"{where}: expected the keys {', '.join(sorted(keys))}"
            continue
        if not isinstance(entry.get("flow", ""), str):
            yield f"{where}: flow is {entry['flow']!r}, expected the name of a flow"
        if entry["code"] in seen:
            yield f"{where}: code {entry['code']!r} is listed twice"
        seen.add(entry["code"])
        if name == "processes" and entry["coupling"] not in get_args(Coupling):
            yield f"{where}: coupling is {entry['coupling']!r}, expected strong or loose"
        if name == "priorities" and entry["code"] not in get_args(Priority):
            yield f"{where}: priority {entry['code']!r} is not one of {', '.join(get_args(Priority))}"


def _dangling(content: Mapping[str, list[Any]]) -> Iterable[str]:
    for name, key, target in (("business_groups", "area", "activity_areas"), ("processes", "group", "business_groups")):
        codes = {entry.get("code") for entry in content[target] if isinstance(entry, dict)}
        for entry in content[name]:
            if isinstance(entry, dict) and entry.get(key) not in codes:
                yield f"{name}: {entry.get('code')!r} names {key} {entry.get(key)!r}, which {target} does not list"
