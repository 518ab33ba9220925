"""The development's key-encryption key, made once per home. A lost one cannot be made again: what it wrapped stays closed."""

import json
import sys
from pathlib import Path

from runtime.keys.local_keks import new_kek
from runtime.stack.home import Home, write_private

FIRST_ID = "development-1"


def ensure_kek(home: Home) -> Path:
    """The file of the provider `file`, with a first key when there is none."""
    return ensure_kek_file(home.keks)


def ensure_kek_file(path: Path) -> Path:
    """The same at a place of the caller's."""
    if not path.exists():
        write_private(path, json.dumps({FIRST_ID: new_kek()}, indent=1))
    return path


if __name__ == "__main__":
    # For docker-compose.yml, where there is no `casestream up`.
    ensure_kek_file(Path(sys.argv[1]))
