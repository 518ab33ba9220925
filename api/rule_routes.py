"""The operations about rules and their runs (RU-14): their part of the table in `api.routes`."""

from api import answers, rule_explanations, rule_runs, rule_trials, rules
from api.door import Route
from domain.rules.commands import MAY_EDIT, MAY_READ

_RULES = "/api/v1/workflows"
_RULE = _RULES + "/{rule_id}"
_RUN = _RULE + "/logs/{run_id}"

RULE_ROUTES: tuple[Route, ...] = (
    Route("GET", _RULES, rules.list_rules, MAY_READ, answers.RulePage),
    Route(
        "POST",
        _RULES,
        rules.create_rule,
        MAY_EDIT,
        answers.RuleView,
        status=201,
        problems=("RuleRefused", "TooManyRules"),
        takes=("Idempotency-Key",),
        gives=("ETag", "Location", "Idempotency-Replayed"),
    ),
    # Before the routes of one rule: "test" is no id.
    Route(
        "POST",
        _RULES + "/test",
        rule_trials.try_rule,
        MAY_READ,
        answers.TrialView,
        problems=("RuleRefused",),
        missing="RuleNotFound",
    ),
    Route("GET", _RULE, rules.get_rule, MAY_READ, answers.RuleView, gives=("ETag",), missing="RuleNotFound"),
    Route(
        "PUT",
        _RULE,
        rules.replace_rule,
        MAY_EDIT,
        answers.RuleView,
        problems=("RuleRefused",),
        takes=("If-Match required",),
        gives=("ETag",),
        missing="RuleNotFound",
    ),
    Route("DELETE", _RULE, rules.remove_rule, MAY_EDIT, None, status=204, takes=("If-Match",), missing="RuleNotFound"),
    Route(
        "POST",
        _RULE + "/activate",
        rules.activate_rule,
        MAY_EDIT,
        answers.RuleView,
        problems=("RuleRefused",),
        takes=("If-Match",),
        gives=("ETag",),
        missing="RuleNotFound",
    ),
    Route(
        "POST",
        _RULE + "/deactivate",
        rules.deactivate_rule,
        MAY_EDIT,
        answers.RuleView,
        takes=("If-Match",),
        gives=("ETag",),
        missing="RuleNotFound",
    ),
    Route("GET", _RULE + "/versions", rules.list_rule_versions, MAY_READ, answers.RuleVersions, missing="RuleNotFound"),
    Route("GET", _RULE + "/graph", rules.show_graph, MAY_READ, answers.RuleGraph, missing="RuleNotFound"),
    Route("POST", _RULE + "/simulate", rule_trials.simulate_rule, MAY_READ, answers.Simulation, missing="RuleNotFound"),
    Route(
        "POST",
        _RULE + "/explain",
        rule_explanations.explain_rule,
        MAY_READ,
        answers.Explanation,
        problems=("EventNotFound", "RunNotFound", "SubjectErased"),
        takes=("Access-Reason",),
        missing="RuleNotFound",
    ),
    Route("GET", _RULE + "/logs", rule_runs.list_runs, MAY_READ, answers.RunPage, missing="RuleNotFound"),
    Route("GET", _RUN, rule_runs.get_run, MAY_READ, answers.RunDetail, missing="RunNotFound"),
    Route(
        "POST",
        _RUN + "/cancel",
        rule_runs.cancel_run,
        MAY_EDIT,
        answers.RunDetail,
        problems=("RunIsOver", "RunNotFound"),
        takes=("Idempotency-Key",),
        gives=("Idempotency-Replayed",),
        missing="RuleNotFound",
    ),
)
