"""`python -m benchmarks.cases_micro [--pairs 5]`: what one snapshot costs before it is a row, beside the nearest peer.

Three comparisons, each in alternated pairs of at least --seconds a side, on one thread:

paths    ten columns of one document by compiled paths, and by jsonpath-ng with its paths parsed before; equal values first
decrypt  a snapshot of 1.1 kB opened, beside (a) one AESGCM object used again and again, which is the least that any
         decryption costs, and (b) the same format opened with the HKDF of the cryptography library
resolve  1,000 classes, a third of them with mixins, resolved one by one; and their tables' specs made at once

and, without a peer, what load, projection and all three together cost. Results: benchmarks/results/cases_micro.json.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jsonpath_ng.parser import parse as parse_theirs

from benchmarks.cases_micro import ground
from domain.cases.documents import load_document
from domain.cases.mapping.resolve import resolve
from domain.cases.mapping.tables import table_specs
from domain.cases.paths import compile_path
from projections.cases.project import compile_projection
from runtime.snapshots import open_sealed

RESULTS = Path(__file__).parents[1] / "results" / "cases_micro.json"
AIMS = {"paths": 10.0, "decrypt_of_reused": 0.8, "resolve_seconds": 1.0}

Work = Callable[[], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    asked = parser.parse_args()
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
            "kernel": platform.release(),
        },
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("cryptography", "jsonpath-ng", "orjson")},
        "document_bytes": len(ground.RAW),
        "pairs": asked.pairs,
        "aims": AIMS,
        "paths": _paths(asked.pairs, asked.seconds),
        "decrypt": _decrypt(asked.pairs, asked.seconds),
        "snapshot": _snapshot(asked.pairs, asked.seconds),
        "resolve": _resolve(asked.pairs),
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def _paths(pairs: int, seconds: float) -> dict[str, Any]:
    document = load_document(ground.RAW)
    ours = [compile_path(path).read for path in ground.PATHS]
    theirs = [parse_theirs(path) for path in ground.PATHS]

    def read_ours() -> list[Any]:
        return [read(document) for read in ours]

    def read_theirs() -> list[Any]:
        return [parsed.find(document)[0].value for parsed in theirs]

    if read_ours() != read_theirs():
        raise SystemExit("the two read different values")
    return _alternated({"compiled": read_ours, "jsonpath-ng": read_theirs}, pairs, seconds)


def _decrypt(pairs: int, seconds: float) -> dict[str, Any]:
    key, context, sealed = ground.sealed()
    reused, nonce, ciphertext, place = ground.reused_object()
    works: dict[str, Work] = {
        "format v1": lambda: open_sealed(key, context, sealed),
        "reused AESGCM": lambda: reused.decrypt(nonce, ciphertext, place),
        "same format, HKDF of the library": lambda: ground.open_plainly(key, context, sealed),
    }
    if works["format v1"]() != works["same format, HKDF of the library"]():
        raise SystemExit("the two open different documents")
    return _alternated(works, pairs, seconds)


def _snapshot(pairs: int, seconds: float) -> dict[str, Any]:
    key, context, sealed = ground.sealed()
    projection, document = compile_projection(ground.SPEC), load_document(ground.RAW)
    works: dict[str, Work] = {
        "open, load, project": lambda: projection.rows(load_document(open_sealed(key, context, sealed)), ground.ENVELOPE),
        "load": lambda: load_document(ground.RAW),
        "project": lambda: projection.rows(document, ground.ENVELOPE),
    }
    return _alternated(works, pairs, seconds)


def _resolve(pairs: int) -> dict[str, Any]:
    graph = ground.class_graph(1_000)
    runs: dict[str, list[float]] = {"resolve one by one": [], "table_specs": []}
    for _ in range(pairs):
        runs["resolve one by one"].append(_timed(lambda: [resolve(graph, name) for name in graph]))
        runs["table_specs"].append(_timed(lambda: table_specs(graph)))
    columns = sum(len(resolve(graph, name)[0].columns) for name in graph)
    return {
        "classes": len(graph),
        "resolved_columns": columns,
        "seconds": {name: _spread(times) for name, times in runs.items()},
    }


def _alternated(works: dict[str, Work], pairs: int, seconds: float) -> dict[str, Any]:
    """Microseconds a call of each, and how many times faster the first one is than each other one, pair by pair."""
    runs: dict[str, list[float]] = {name: [] for name in works}
    for number in range(pairs):
        # The order turns, so that neither always follows the other.
        for name in list(works) if number % 2 == 0 else reversed(works):
            runs[name].append(_microseconds(works[name], seconds))
    first, *others = works
    return {
        "microseconds": {name: _spread(times) for name, times in runs.items()},
        "times_faster": {
            f"{first} than {other}": _spread([slow / fast for fast, slow in zip(runs[first], runs[other], strict=True)])
            for other in others
        },
    }


def _microseconds(work: Work, seconds: float) -> float:
    calls, spent = 1, 0.0
    while spent < seconds:
        calls = max(calls * 2, int(calls * seconds / spent)) if spent else calls * 2
        spent = _timed(lambda calls=calls: [None for _ in range(calls) if work() is None])  # type: ignore[misc]
    return spent / calls * 1e6


def _timed(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
