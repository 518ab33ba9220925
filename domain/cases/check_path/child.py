"""The process in which paths are evaluated: `python -m domain.cases.check_path.child`, in an enclosure.

It is given a question and documents, and knows nothing else: no database, no key, no setting, no other document.
"""

import json
from dataclasses import asdict

from domain.cases.check_path.evaluation import Check
from domain.cases.check_path.questions import Question
from domain.cases.conversions import TypeRefused
from domain.cases.paths import PathRefused
from runtime.enclosure.inside import serve


def answer(content: bytes) -> bytes:
    """What the documents say, as JSON: `refused`, `finding` or `tally`."""
    question = Question.unpack(content)
    try:
        check = Check(question.path, question.column_type, question.sensitive)
    except PathRefused as refusal:
        said: dict[str, object] = {
            "refused": {"reason": refusal.reason, "position": refusal.position, "advice": refusal.advice}
        }
    except TypeRefused as refusal:
        said = {"refused": {"reason": str(refusal), "position": None, "advice": ""}}
    else:
        if question.mode == "find":
            said = {"finding": asdict(check.find(question.documents[0]))}
        else:
            tally = check.count(question.documents)
            said = {"tally": {"records": tally.records, "outcomes": dict(tally.outcomes), "unfit": tally.unfit}}
    return json.dumps(said).encode()


if __name__ == "__main__":
    serve(answer)
