"""package.json files of repositories."""

import json
import time

import pytest
import wump_provider_npm as provider
from hypothesis import example, given
from hypothesis import strategies as st
from wump_core import InvalidManifest, ManifestRecord
from wump_provider_npm.dependencies import SCOPE_BY_FIELD
from wump_provider_npm.lines import find_lines
from wump_provider_npm.manifests import FORMATS

MAX_MANIFEST_BYTES = next(one.max_bytes for one in FORMATS if one.name == "package.json")


def parse(text: str | bytes) -> ManifestRecord:
    content = text if isinstance(text, bytes) else text.encode()
    return provider.parse_manifest("a/package.json", content, {})


WHOLE = """\ufeff{
  "name": "@s/app", "version": "1.2.3", "private": true,
  "workspaces": ["packages/*"],
  "dependencies": {
    "old": "1"
  },
  "nested": {"dependencies": {"a": "0"}, "a": ["devDependencies", {"a": ":"}]},
  "scripts": {"a": "echo \\"{[\\" : \\\\"},
  "dependencies": {
    "a": "1", "b": "2",
    "a": "3",
    "\\u0063"
      : "npm:real@^4"
  }, "devDependencies": {
    "bad": null,
    "a": "workspace:*" },
  "peerDependencies": []
}
"""


def test_a_whole_manifest():
    record = parse(WHOLE)
    assert (record.path, record.format, record.ecosystem) == ("a/package.json", "package.json", "npm")
    assert (record.kind, record.status) == ("manifest", "partial")
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("@s/app", "1.2.3")
    assert [(d.name, d.alias, d.requirement, d.scope, d.line) for d in record.dependencies] == [
        ("a", None, "3", "runtime", 11),
        ("b", None, "2", "runtime", 10),
        ("real", "c", "^4", "runtime", 12),
        ("a", None, "workspace:*", "development", 16),
    ]
    assert [(d.field, d.line) for d in record.diagnostics] == [("devDependencies.bad", 15)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_newline_counts_once(newline):
    record = parse(newline.join(["{", '"dependencies": {', "", '"a": "1"}}']))
    assert ([d.line for d in record.dependencies], record.status, record.project) == ([4], "ok", parse("{}").project)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"name": "My App",\n"version": "1"}', "name"),
        ('{"name": 7}', "name"),
        ('{\n"version": 7}', "version"),
        ('{"version": "\\u0000"}', "version"),
        ('{\n"dependencies": ["a"]}', "dependencies"),
        ('{"peerDependenciesMeta": 1}', "peerDependenciesMeta"),
    ],
)
def test_what_cannot_be_read_makes_it_partial(text, field):
    record = parse(text)
    assert (record.status, record.dependencies) == ("partial", ())
    ((found, line),) = [(diagnostic.field, diagnostic.line) for diagnostic in record.diagnostics]
    assert found == field
    assert line == text[: text.index(f'"{field.rpartition(".")[2]}":')].count("\n") + 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "line 1"),
        (b"[]", "object"),
        (b'{"lockfileVersion": 3, "packages": {}}', "lockfile"),
        (b'{\n// comment\n"a": 1}', "line 2"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "not JSON"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep"),
        (b" " * MAX_MANIFEST_BYTES + b"{}", "larger"),
        (b"{}" + b" " * 100_000_000, "larger"),
    ],
)
def test_what_is_no_manifest_is_invalid(content, reason):
    with pytest.raises(InvalidManifest, match=reason):
        parse(content)


@pytest.mark.parametrize(
    "unit",
    ['"dependencies":{"a":"1"},', '"\\\\\\"":"\\\\",', '"a":{"dependencies":{}},', '"a":"' + "\\\\" * 999 + '",'],
)
def test_the_time_grows_with_the_size_only(unit):
    text = "{" + unit * (MAX_MANIFEST_BYTES // len(unit) - 2) + '"end":1}'
    start = time.perf_counter()
    assert find_lines(text, frozenset(SCOPE_BY_FIELD))[("end",)] == 1
    assert time.perf_counter() - start < 20  # a quadratic scan takes hours


def find_lines_slowly(text: str) -> dict[tuple[str, ...], int]:
    """The same by walking the values with json's own decoder, one character at a time."""
    decoder = json.JSONDecoder()

    def skip(index: int) -> int:
        while text[index] in " \t\r\n":
            index += 1
        return index

    def members(index: int) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        index = skip(index + 1)
        while text[index] != "}":
            start = index
            key, index = decoder.raw_decode(text, index)
            value = skip(skip(index) + 1)
            found[key] = (start, value)
            index = skip(decoder.raw_decode(text, value)[1])
            index = skip(index + 1) if text[index] == "," else index
        return found

    def line(index: int) -> int:
        return text.count("\n", 0, index) + 1

    lines: dict[tuple[str, ...], int] = {}
    for key, (start, value) in members(skip(0)).items():
        lines[(key,)] = line(start)
        if key in SCOPE_BY_FIELD and text[value] == "{":
            lines |= {(key, inner): line(place) for inner, (place, _) in members(value).items()}
    return lines


KEYS = st.sampled_from(["dependencies", "devDependencies", "a", "b", 'q"\\', "{", ":", "é\u2028", "\ud800"])
SPACES = st.sampled_from(["", " ", "\n", "\n\n\t", "\r\n"])


@st.composite
def json_texts(draw, depth: int = 0) -> str:
    def space() -> str:
        return draw(SPACES)

    def text() -> str:
        return json.dumps(draw(KEYS), ensure_ascii=draw(st.booleans()))

    kind = (
        "object"
        if depth == 0
        else draw(st.sampled_from(["object", "array", "text", "number"] if depth < 4 else ["text"]))
    )
    if kind in ("text", "number"):
        return text() if kind == "text" else "-1.5e3"
    items = [
        f"{space()}{text() + space() + ':' + space() if kind == 'object' else ''}{draw(json_texts(depth + 1))}{space()}"
        for _ in range(draw(st.integers(0, 3)))
    ]
    left, right = "{}" if kind == "object" else "[]"
    return left + (",".join(items) or space()) + right


@given(json_texts())
@example('{"dependencies":{"a":1},\n"dependencies":{"b":1}}')
def test_lines_equal_those_of_a_slow_exact_reader(text):
    assert find_lines(text, frozenset(SCOPE_BY_FIELD)) == find_lines_slowly(text)


@given(st.binary(max_size=100) | json_texts().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_become_a_record_or_an_invalid_manifest(content):
    try:
        record = parse(content)
    except InvalidManifest:
        return
    assert ManifestRecord.model_validate(record.model_dump()) == record
