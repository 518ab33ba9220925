"""`python -m runtime.cli` is `casestream`: how a supervisor starts its children."""

from runtime.cli import main

main()
