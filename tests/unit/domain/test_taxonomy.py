"""The definitions file of the create screen, and what is said about a wrong one."""

from pathlib import Path

import pytest

from domain.onboarding.definitions import released_flows
from domain.onboarding.performing import PROCESS
from domain.work_items.taxonomy import DEFAULT, default_taxonomy, load_taxonomy
from schemas.errors import ConfigurationError


@pytest.mark.requirement("WI-4", "WI-7")
def test_the_delivered_file_is_sound_and_has_both_couplings() -> None:
    taxonomy = default_taxonomy()
    assert {entry.coupling for entry in taxonomy.processes} == {"strong", "loose"}
    assert taxonomy.coupling_of("aml-watch") == "loose"
    assert taxonomy.coupling_of("customer-onboarding") == "strong"


@pytest.mark.requirement("WI-7")
def test_an_unlisted_process_is_coupled_strongly() -> None:
    assert default_taxonomy().coupling_of("upstream-process") == "strong"
    assert default_taxonomy().coupling_of(None) == "strong"


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    broken = tmp_path / "taxonomy.yaml"
    broken.write_text(
        text.replace("code: sales", "code: service")
        .replace("group: lending", "group: lendign")
        .replace("code: low", "code: lowest")
        .replace("coupling: loose", "coupling: soft"),
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        load_taxonomy(broken)
    said = "\n".join(caught.value.problems)
    for expected in ("'service' is listed twice", "group 'lendign'", "'lowest' is not one of", "'soft', expected strong"):
        assert expected in said


@pytest.mark.parametrize("text", ["[]", "", "processes: []", "x: 1"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "taxonomy.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        load_taxonomy(tmp_path / "taxonomy.yaml")


@pytest.mark.requirement("WI-4", "WI-7")
def test_templates_name_flows_of_the_release_and_the_review_of_a_journey_names_none() -> None:
    taxonomy, released = default_taxonomy(), {key.flow for key in released_flows()}
    named = {entry.code: entry.flow for entry in taxonomy.processes if entry.flow}
    assert set(named.values()) <= released
    assert {taxonomy.coupling_of(process) for process in named} == {"strong", "loose"}
    assert [taxonomy.flow_of(process) for process in (PROCESS, "general", "incident-handling", "unlisted", None)] == [None] * 5
