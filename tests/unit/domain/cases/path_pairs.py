"""Random paths, random documents, and the verdict of a strict RFC 9535 library over both."""

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonpath_rfc9535

from domain.cases.paths import MISSING, PathRefused, compile_path

NAMES = ["a", "b", "c", "items", "sku", "qty", "_x", "A1", "ñ", "Đơn"]
ODD_NAMES = ["", " ", "a b", "a.b", "'", '"', "\\", "/", "\n", "\u0000", "0", "-1", "*", "$", "@", "😀", "é", "\x7f"]
TEXTS = ["", "a", "b", "ab", "B", "1", "true", "😀", "é", "\uffff", "a b"]
NUMBERS: list[int | float] = [0, 1, -1, 2, 3, 40, 1.5, -0.5, 1e3, 2.0, 0.1, 9007199254740993, 10**19]
SCALARS: list[Any] = [None, True, False, *TEXTS, *NUMBERS]
NOISE = "$@.[]()?*:,'\"\\ \n\t!=<>&|-+~_/abu019eE{}^#%"


class Difference(NamedTuple):
    path: str
    document: Any
    ours: object
    theirs: object


def differences(seed: int, pairs: int) -> tuple[list[Difference], int]:
    """Where the two differ over so many pairs, and how many pairs selected something at all."""
    rng = random.Random(seed)
    found, selected = [], 0
    for _ in range(pairs):
        text, document = path(rng), {name: value(rng, 4) for name in rng.sample(NAMES, 4)}
        ours, theirs = our_answer(text, document), their_answer(text, document)
        selected += theirs != "[]"
        if ours != theirs:
            found.append(Difference(text, document, ours, theirs))
    return found, selected


def wrongly_accepted(seed: int, mutants: int) -> tuple[list[str], int]:
    """Mutants of good paths that we take and the standard refuses; and how many it refused."""
    rng = random.Random(seed)
    found, refused = [], 0
    for _ in range(mutants):
        text = mutant(rng, path(rng))
        if is_standard(text):
            continue
        refused += 1
        if is_ours(text):
            found.append(text)
    return found, refused


def our_answer(text: str, document: Any) -> str:
    """The values as JSON, which tells 1 from true and 1.0; a refusal by name."""
    try:
        compiled = compile_path(text)
    except PathRefused as refused:
        return f"refused: {refused}"
    answer = compiled.read(document)
    if answer is MISSING:
        return "[]"
    return json.dumps(answer if compiled.many else [answer])


def their_answer(text: str, document: Any) -> str:
    try:
        return json.dumps(jsonpath_rfc9535.find(text, document).values())
    except jsonpath_rfc9535.JSONPathError as refused:
        return f"refused by the standard: {refused}"


def is_standard(text: str) -> bool:
    try:
        jsonpath_rfc9535.compile(text)
    except (jsonpath_rfc9535.JSONPathError, OverflowError):  # it stumbles over 1e999 as an index
        return False
    return True


def is_ours(text: str) -> bool:
    try:
        compile_path(text)
    except PathRefused:
        return False
    return True


def value(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth and kind < 0.35:
        return {name(rng): value(rng, depth - 1) for _ in range(rng.randint(0, 4))}
    if depth and kind < 0.7:
        return [value(rng, depth - 1) for _ in range(rng.randint(0, 5))]
    return rng.choice(SCALARS)


def name(rng: random.Random) -> str:
    return rng.choice(NAMES[:4] if rng.random() < 0.7 else NAMES + ODD_NAMES)


def path(rng: random.Random) -> str:
    return "$" + "".join(segment(rng, 2) for _ in range(rng.randint(0, 4)))


def segment(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if kind < 0.35:
        return f"{blank(rng)}.{rng.choice(NAMES)}"
    if kind < 0.45:
        return f"{blank(rng)}.*"
    selectors = [selector(rng, depth) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    return f"{blank(rng)}[{','.join(blank(rng) + one + blank(rng) for one in selectors)}]"


def selector(rng: random.Random, depth: int) -> str:
    match rng.choice("nniiss*f" + "f" * (depth == 2)):
        case "n":
            return quoted(rng, name(rng))
        case "i":
            return index(rng)
        case "s":
            start, end, step = (rng.choice(["", index(rng)]) for _ in range(3))
            gap = [blank(rng) for _ in range(4)]
            third = f"{gap[2]}:{gap[3]}{step}" if rng.random() < 0.6 else ""
            return f"{start}{gap[0]}:{gap[1]}{end}{third}"
        case "f" if depth:
            return f"?{blank(rng)}{condition(rng, depth - 1)}"
        case _:
            return "*"


def index(rng: random.Random) -> str:
    return str(rng.choice([0, 1, 2, 3, -1, -2, -3, 7, -7, 2**53 - 1, 1 - 2**53]))


def condition(rng: random.Random, depth: int, nested: int = 2) -> str:
    kind = rng.random()
    if nested and kind < 0.25:
        operator = rng.choice(["&&", "||"])
        parts = [condition(rng, depth, nested - 1) for _ in range(rng.randint(2, 3))]
        return f"{blank(rng)}{operator}{blank(rng)}".join(parts)
    if nested and kind < 0.35:
        return f"{rng.choice(['', '!'])}{blank(rng)}({blank(rng)}{condition(rng, depth, nested - 1)}{blank(rng)})"
    if kind < 0.5:
        # The library tests a bare `@` for truth, the standard for existence: test_paths.py has that case by hand.
        query = "@" + segment(rng, depth) if rng.random() < 0.7 else "$"
        return rng.choice(["", "", "!" + blank(rng)]) + query + rng.choice(["", segment(rng, depth)])
    operator = rng.choice(["==", "==", "!=", "<", "<=", ">", ">="])
    return f"{comparable(rng)}{blank(rng)}{operator}{blank(rng)}{comparable(rng)}"


def comparable(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice("@@@$") + "".join(step(rng) for _ in range(rng.randint(0, 2)))
    literal = rng.choice(SCALARS)
    if isinstance(literal, str):
        return quoted(rng, literal)
    return rng.choice([json.dumps(literal), json.dumps(literal), "-0", "1e0", "15E-1", "-0.5e+0"])


def step(rng: random.Random) -> str:
    return rng.choice([f".{rng.choice(NAMES)}", f"[{quoted(rng, name(rng))}]", f"[{index(rng)}]"])


def quoted(rng: random.Random, text: str) -> str:
    quote = rng.choice("'\"")
    escapes = {quote: f"\\{quote}", "\\": "\\\\", "\n": "\\n", "/": rng.choice(["/", "\\/"])}
    return quote + "".join(escapes.get(char, _character(rng, char)) for char in text) + quote


def _character(rng: random.Random, char: str) -> str:
    if char < " " or rng.random() < 0.1:
        units = char.encode("utf-16-be")
        return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    return char


def blank(rng: random.Random) -> str:
    return "" if rng.random() < 0.9 else rng.choice([" ", "\t", "\n", "\r", "  "])


def mutant(rng: random.Random, text: str) -> str:
    for _ in range(rng.randint(1, 2)):
        at = rng.randint(0, len(text))
        text = rng.choice(list(_edits(rng, text, at)))
    return text


def _edits(rng: random.Random, text: str, at: int) -> Iterator[str]:
    yield text[:at] + rng.choice(NOISE) + text[at:]
    yield text[:at] + text[at + 1 :]
    yield text[:at] + rng.choice(NOISE) + text[at + 1 :]
