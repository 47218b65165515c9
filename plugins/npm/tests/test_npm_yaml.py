"""The reader of YAML, compared with PyYAML, which keeps scalars as texts with its BaseLoader and is exact and slow."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from wump_core import InvalidManifest
from wump_provider_npm.manifests.yaml_flow import MAX_DEPTH, YamlMap
from wump_provider_npm.manifests.yaml_text import parse_yaml

TEXTS = st.sampled_from(
    ["a", "one@1.2.3(b@2)", "/@acme/one/1.0.0_x", "^1 || 2", "1.10", "a: b", "a #b", "#", "", "'", '"', "- a", "?", "é", "\\n",
     "x" * 150, "word " * 40, "null", "@s/n", "workspace:*", "{a}", "a\nb", " lead", "true", ">=1", "!x", "&x", "*", "%", "`"]
)  # fmt: skip
KEYS = TEXTS.filter(lambda text: "\n" not in text and len(text) < 100)
VALUES = st.recursive(TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


def settle(value: Any) -> Any:
    """Plain nulls are null here and texts there."""
    if isinstance(value, dict):
        return {key: settle(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [settle(inner) for inner in value]
    return None if value in ("", "~", "null") else value


def find_lines(text: str) -> dict[str, int]:
    """The lines of the outermost keys, by PyYAML's own marks."""
    node = yaml.compose(text, yaml.BaseLoader)
    assert isinstance(node, yaml.MappingNode)
    return {key.value: key.start_mark.line + 1 for key, _ in node.value}


@given(DOCUMENTS, st.sampled_from([None, False, True]), st.integers(2, 6), st.sampled_from([40, 10_000]), st.booleans())
@example({"x" * 150: {"y" * 150: "z" * 150}}, False, 2, 80, False)
@example({"a": ["b", {"c": "d"}, ["e"]]}, False, 2, 80, False)
def test_it_reads_what_pyyaml_writes(document, flow, indent, width, crlf):
    text = yaml.safe_dump(document, default_flow_style=flow, indent=indent, width=width, allow_unicode=True)
    expected = yaml.load(text, yaml.BaseLoader)
    lines = find_lines(text)
    if crlf:
        text = text.replace("\n", "\r\n")
    (found,) = parse_yaml(text.encode())
    assert settle(found) == settle(expected)
    assert found.lines == lines


@pytest.mark.parametrize(
    "text",
    [
        "a:\n- b\n- c: d\n  e: f\n-\n  - g\n",
        "a: b  # c\n# d\nc: 'e # f'  # g\n",
        "? a\n: b\n? c\n:\n  d: e\n? - f\n",
        "a:\n  b: c\n\n  d: |-\n    e: f\n      g\n\n    # h\ni: j\n",
        "a: {b: c, 'd': [e, {f: g}], \"h\":i}\n",
        "a: [\n  b, # c\n  d\n]\ne: {\n  f: g,\n}\n",
        "%YAML 1.2\n---\na: b\n...\n---\n# c\n",
        "--- {a: b}\n---\nc: d\n",
        "a: b\n c\n  d\ne: f\n",
        'a: "b\n  c\\u0041\\x42\\t"\n',
        "a:\nb: ~\nc: null\nd: ''\n",
        "",
        "# nothing\n",
    ],
)
def test_it_reads_what_people_write(text):
    try:
        expected = [settle(each) for each in yaml.load_all(text, yaml.BaseLoader) if each not in (None, "")]
    except yaml.YAMLError:
        expected = None
    if expected is not None and not all(
        isinstance(each, dict) and all(isinstance(k, str) for k in each) for each in expected
    ):
        expected = None
    try:
        found = [settle(each) for each in parse_yaml(text.encode())]
    except InvalidManifest:
        found = None
    if found and expected and "|-" in text:  # blanks inside a block scalar aren't kept
        found[0]["a"].pop("d"), expected[0]["a"].pop("d")
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "a: *b", "a: &b c", "a: !b c", "<<: {a: b}", "a: b: c", "a: [b", "a: {b", "a: ]", "a: [b}", "a: {b: [c}", "a: 'b",
        'a: "b', "a: 'b' c", "a: [b] c", "a:\n\tb: c", "a:\n  b: c\n d: e", "a: b\nc", "- a", "a", "a: @b", "a: {: b}",
        "a: [*b]", "a: {[b]: c}", "? - a\n: b", "\0: \ud800"[:1] + "a",
    ],
)  # fmt: skip
def test_what_it_does_not_read_it_refuses(text):
    with pytest.raises(InvalidManifest):
        parse_yaml(text.encode())


@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_depth_is_bounded(unit):
    lines = "".join("  " * depth + "a:\n" for depth in range(MAX_DEPTH + 1))
    for text in (f"a: {unit * 50_000}", f"a:\n  {unit * 50_000}", lines):
        with pytest.raises(InvalidManifest):
            parse_yaml(text.encode())


@given(st.text("ab:-?{}[]\"'#&*!|>,\n \t\\%@`~.", max_size=60) | st.binary(max_size=40))
def test_any_text_is_read_or_refused(content):
    try:
        documents = parse_yaml(content if isinstance(content, bytes) else content.encode())
    except InvalidManifest:
        return
    assert all(isinstance(document, YamlMap) and document.lines.keys() == document.keys() for document in documents)
