"""Templates: what a placeholder becomes, for every target, and what no value can do."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.templating import RenderRefused, Target, TemplateRefused, fill, missing, parse, render, secret_names, with_secrets

VALUES: dict[str, Any] = {
    "name": 'Lê & <b>"O\'Neil"',
    "n": 5.0,
    "big": 9007199254740993,
    "yes": True,
    "none": None,
    "address": {"city": "Huế"},
    "lines": [{"sku": "a/b"}],
    "with.dot": "d",
    "crlf": "a\r\nX-Evil: 1",
}


@pytest.mark.requirement("RU-10", "trap-34")
@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("text", 'Lê & <b>"O\'Neil"'),
        ("html", "Lê &amp; &lt;b&gt;&quot;O&#x27;Neil&quot;"),
        ("json", 'Lê & <b>\\"O\'Neil\\"'),
        ("url", "L%C3%AA%20%26%20%3Cb%3E%22O%27Neil%22"),
        ("header", 'Lê & <b>"O\'Neil"'),
    ],
)
def test_values_are_escaped_for_where_they_go(target: Target, shown: str) -> None:
    assert render(parse("<{{name}}>"), VALUES, target) == f"<{shown}>"


@pytest.mark.requirement("RU-10", "trap-34")
def test_paths_reach_nested_values_and_plain_texts_of_other_types() -> None:
    text = "{{ address.city }}|{{lines[0].sku}}|{{['with.dot']}}|{{n}}|{{big}}|{{yes}}|{{lines}}"
    assert render(parse(text), VALUES, "text") == 'Huế|a/b|d|5|9007199254740993|true|[{"sku":"a/b"}]'
    assert parse(text).variables == ("address.city", "lines[0].sku", "['with.dot']", "n", "big", "yes", "lines")


@pytest.mark.requirement("trap-34")
def test_a_missing_value_becomes_nothing_and_is_named() -> None:
    template = parse("Hello {{nope}}{{none}}{{address.street}}!")
    assert render(template, VALUES, "text") == "Hello !"
    assert missing(template, VALUES) == ("nope", "none", "address.street")


@pytest.mark.requirement("RU-10", "trap-34")
def test_a_structure_keeps_the_types_of_whole_placeholders() -> None:
    structure = {"a": "{{n}}", "b": ["{{address}}", "x{{n}}"], "c": "{{nope}}", "d": 7, "{{n}}": None, "e": "{{big}}"}
    assert fill(structure, VALUES) == {
        "a": 5.0,
        "b": [{"city": "Huế"}, "x5"],
        "c": None,
        "d": 7,
        "{{n}}": None,
        "e": 9007199254740993,
    }


@pytest.mark.requirement("trap-34")
def test_a_header_refuses_line_breaks() -> None:
    with pytest.raises(RenderRefused) as refused:
        render(parse("{{crlf}}"), VALUES, "header")
    assert refused.value.reason == "control-character"
    assert "X-Evil" not in str(refused.value)


@pytest.mark.requirement("trap-33")
def test_a_secret_leaves_as_a_marker_that_no_value_can_forge() -> None:
    header = render(parse("Bearer {{secret:TOKEN}}"), VALUES, "header")
    assert "{{" not in header
    assert secret_names(header) == ("TOKEN",)
    assert with_secrets(header, {"TOKEN": "s3"}.__getitem__) == "Bearer s3"
    forged = {"name": header, "plain": "{{secret:TOKEN}}"}
    with pytest.raises(RenderRefused):
        render(parse("{{name}}"), forged, "header")
    assert secret_names(render(parse("{{plain}}"), forged, "header")) == ()
    targets: list[Target] = ["text", "html", "json", "url"]
    for target in targets:
        with pytest.raises(RenderRefused):
            render(parse("{{secret:TOKEN}}"), VALUES, target)


@pytest.mark.requirement("trap-33", "trap-34")
@pytest.mark.parametrize(
    ("text", "fault", "position"),
    [
        ("a {{env.HOME}}", "env", 4),
        ("{{ env['X'] }}", "env", 2),
        ("{{name", "unclosed", 0),
        ("{{}}", "empty", 2),
        ("{{a..b}}", "path", 3),
        ("{{#if a}}", "logic", 2),
        ("{{{a}}}", "logic", 2),
        ("{{secret:a-b}}", "secret-name", 2),
        ("x" * 70_000, "too-long", 65_536),
    ],
)
def test_what_is_no_template_is_refused_with_its_place(text: str, fault: str, position: int) -> None:
    with pytest.raises(TemplateRefused) as refused:
        parse(text)
    assert (refused.value.fault, refused.value.position) == (fault, position)


@pytest.mark.requirement("trap-34")
def test_no_output_is_longer_than_the_limit() -> None:
    values = {"x": "ế" * 30_000}
    assert len(render(parse("{{x}}"), {"x": "e" * 65_536}, "text")) == 65_536
    with pytest.raises(RenderRefused) as refused:
        render(parse("{{x}}"), values, "text")
    assert refused.value.reason == "too-long"
    with pytest.raises(RenderRefused):
        fill({"a": "{{x}}"}, values)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_any_value_renders_for_every_target(value: Any) -> None:
    template = parse("[{{x}}]")
    assert json.loads('"' + render(template, {"x": value}, "json") + '"') == render(template, {"x": value}, "text")
    assert "<" not in render(template, {"x": value}, "html")
    assert set(render(template, {"x": value}, "url")[1:-1]) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%"
    )


@given(st.text())
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = parse(text)
    except TemplateRefused:
        return
    render(template, {}, "text")
