"""What a machine must have before a local stack can run; the missing part says what mends it."""

from schemas.errors import ConfigurationError


class MissingPart(ConfigurationError):
    """Something the stack needs is missing or broken; `remedy` is the command (or the act) that mends it."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__([f"{problem}. To mend it: {remedy}"])
