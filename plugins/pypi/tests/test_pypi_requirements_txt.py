"""Requirements files."""

import codecs
import time

import pytest
import wump_provider_pypi as provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import InvalidManifest, ManifestRecord
from wump_provider_pypi.manifests import GLOBS


def parse(text: str, path: str = "requirements.txt", siblings: dict[str, bytes] | None = None) -> ManifestRecord:
    return provider.parse_manifest(path, text.encode(), siblings or {})


FILE = """\
# a comment
--index-url https://index.example/simple
-i https://index.example/simple
requests>=2,<3  # why
Flask[async]==3.0 ; python_version >= "3.8" --hash=sha256:aa \\
    --hash=sha256:bb
 urllib3 \\
   >= 2
-c constraints.txt
-rbase.txt
--requirement=more/extra.txt
-e .
-e .[dev]
-e ./libs/local[x]
-e git+https://github.com/o/Tool.git@v1#egg=tool[x]&subdirectory=py
git+ssh://git@github.com/o/other.git@main
https://${USER}:${TOKEN}@files.example/pkg_name-1.0-py3-none-any.whl ; os_name == "nt"
${MIRROR}/sdist-2.0.tar.gz
./wheels/some_dist-1.0-py3-none-any.whl
direct @ https://github.com/o/direct/archive/main.zip
bare-1.0.zip
!!!
end
"""


def test_every_kind_of_line() -> None:
    record = parse(FILE)
    assert (record.format, record.ecosystem, record.kind) == ("requirements.txt", "pypi", "manifest")
    assert [(d.name, d.requirement, d.source, d.line) for d in record.dependencies] == [
        ("requests", ">=2,<3", "registry", 4),
        ("Flask", "==3.0", "registry", 5),
        ("urllib3", ">= 2", "registry", 7),
        ("local", "./libs/local", "path", 14),
        ("tool", "git+https://github.com/o/Tool.git@v1#egg=tool[x]&subdirectory=py", "git", 15),
        ("other", "git+ssh://git@github.com/o/other.git@main", "git", 16),
        ("pkg_name", "https://****@files.example/pkg_name-1.0-py3-none-any.whl", "url", 17),
        ("sdist", "${MIRROR}/sdist-2.0.tar.gz", "url", 18),
        ("some_dist", "./wheels/some_dist-1.0-py3-none-any.whl", "path", 19),
        ("direct", "https://github.com/o/direct/archive/main.zip", "url", 20),
        ("bare", "bare-1.0.zip", "path", 21),
        ("end", None, "registry", 23),
    ]
    assert record.dependencies[1].marker == 'python_version >= "3.8"'
    assert record.dependencies[6].marker == 'os_name == "nt"'
    assert all((d.purl is None) == (d.source != "registry") for d in record.dependencies)
    assert {d.scope for d in record.dependencies} == {"runtime"}
    assert record.needs == ("constraints.txt", "base.txt", "more/extra.txt")
    assert (record.status, [d.line for d in record.diagnostics]) == ("partial", [9, 10, 11, 22])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("alpha ==dev", [("alpha", "==dev")]),
        ("alpha [_x, y.z] >= 1.*", [("alpha", ">= 1.*")]),
        ("alpha==1.0odd  # see [x], y", [("alpha", "==1.0odd")]),
        ("alpha >= 2 [x]", []),
        ("alpha [platform:rpm x]", []),
        ("alpha beta", []),
        ("alpha == '1.0'", []),
        ("git://what@::/:/:/", []),
    ],
)
def test_what_only_older_tools_take_is_kept_and_prose_is_not(line: str, expected: list[tuple]) -> None:
    record = parse(f"{line}\n")
    assert [(d.name, d.requirement) for d in record.dependencies] == expected
    assert [d.line for d in record.diagnostics] == [1]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("requirements.txt", "runtime"),
        ("requirements-dev.txt", "development"),
        ("dev_requirements.txt", "development"),
        ("requirements/docs.in", "development"),
        ("requirements/tests.txt", "test"),
        ("tests/requirements.txt", "test"),
        ("docs/requirements/base.txt", "development"),
        ("tests/unit/requirements.txt", "runtime"),
        ("develop/a/requirements.txt", "runtime"),
        ("dev/requirements-test.txt", "test"),
        ("latest/requirements-device.txt", "runtime"),
    ],
)
def test_the_path_tells_the_scope(path: str, scope: str) -> None:
    assert [dependency.scope for dependency in parse("a", path).dependencies] == [scope]


def test_includes_are_named_through_siblings_but_never_merged() -> None:
    siblings = {
        "app/base.txt": b"inner\n-r ../shared/deep.txt\n-r requirements.txt\n",
        "shared/deep.txt": b"-r ../app/base.txt\n-r \xff",
        "app/requirements/base.txt": b"elsewhere",
    }
    record = parse("-r base.txt\n-r ../../etc/passwd\n-r /etc/passwd\n-r https://x.example/r.txt\na\n"
                   "-r requirements/base.txt\n", "app/requirements.txt", siblings)  # fmt: skip
    assert record.needs == ("app/base.txt", "shared/deep.txt", "app/requirements/base.txt")
    # `base.txt` is a name that nobody reads by itself; `requirements/base.txt` is.
    assert [(d.name, d.line, d.field) for d in record.dependencies] == [
        ("a", 5, None),
        ("inner", None, "-r app/base.txt"),
    ]
    assert [(diagnostic.line, diagnostic.message) for diagnostic in record.diagnostics] == [
        (1, "'shared/deep.txt' can't be read: no valid UTF-8 at byte 22"),
        (1, "'app/base.txt' includes this file again"),
        (2, "'../../etc/passwd' is no path inside the tree: not read"),
        (3, "'/etc/passwd' is no path inside the tree: not read"),
        (4, "'https://x.example/r.txt' is no path inside the tree: not read"),
    ]


def test_a_constraints_file_states_no_dependencies() -> None:
    record = parse("a==1\n-r b.txt\n", "requirements/constraints.txt")
    assert (record.dependencies, record.needs, record.status) == ((), ("requirements/b.txt",), "partial")


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-8"),
    ],
)
def test_byte_order_marks_tell_the_encoding(mark: bytes, encoding: str) -> None:
    record = provider.parse_manifest("requirements.txt", mark + "a # é\r\nb\rc".encode(encoding), {})
    assert [(d.name, d.line) for d in record.dependencies] == [("a", 1), ("b", 2), ("c", 3)]


def test_comments_and_continuations_meet_as_in_pip() -> None:
    record = parse("a>=1 \\\n# between\nb#egg\nc\\\n# \\\n==1\nd \\")
    assert [(d.name, d.requirement, d.line) for d in record.dependencies] == [
        ("a", ">=1", 1),
        ("c", None, 4),
        ("d", None, 7),
    ]
    assert [d.line for d in record.diagnostics] == [3, 6]  # `b#egg` is no comment, `==1` continues nothing


@pytest.mark.parametrize(
    ("text", "kind", "lines"),
    [
        ("", "manifest", []),
        (" \t\n# a\r# b\r\n\x0b# c\n\n", "manifest", []),
        ("# This file is autogenerated by pip-compile\n", "lockfile", []),
        ("#\n#    uv pip compile requirements.in\n", "lockfile", []),
        ("# a\rb\n\n\u3000c", "manifest", [2, 4]),
        ("# a \\\nb", "manifest", [2]),
    ],
)
def test_blanks_and_comments_are_nothing(text: str, kind: str, lines: list[int]) -> None:
    record = parse(text)
    assert (record.status, record.kind, [entry.line for entry in record.dependencies]) == ("ok", kind, lines)


def test_an_unreadable_marker_is_not_guessed_at() -> None:
    record = parse("./a.whl ; no marker")
    assert [(d.name, d.marker, d.scope) for d in record.dependencies] == [("a", None, "runtime")]
    extra = parse("./a.whl ; extra is what")
    assert [(d.name, d.marker, d.scope) for d in extra.dependencies] == [("a", None, "unknown")]
    assert record.status == "partial"


@pytest.mark.parametrize(
    "content", [b"a\xff", codecs.BOM_UTF16_LE + b"a", b"#" * 2_000_001], ids=["utf-8", "utf-16", "large"]
)
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidManifest):
        provider.parse_manifest("requirements.txt", content, {})


def test_a_file_of_another_name_is_refused() -> None:
    for path in ("setup.ini", "requirements", "docs/notes.txt", "requirements/sub/x.md"):
        with pytest.raises(InvalidManifest, match="no known format has this name"):
            parse("a", path)
    assert "requirements/*.txt" in GLOBS


HOSTILE = {
    "continued": "a \\\n" * 480_000,
    "blanks": " " * 1_450_000 + "a",
    "comments": "# x\n" * 450_000,
    "hashes": "a # " + "#" * 1_450_000,
    "options": "a " + "--hash=x " * 200_000,
    "bad": "!\n" * 950_000,
    "names": "".join(f"p{number}\n" for number in range(200_000)),
    "paths": "./a\n" * 450_000,
    "includes": "-r a\n" * 350_000,
    "brackets": "a[" * 950_000,
    "urls": "git+https://" + "a/" * 950_000,
    "selves": "-e .\n" * 350_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_two_hostile_megabytes_take_linear_time(kind: str) -> None:
    started = time.process_time()
    record = parse(HOSTILE[kind])
    assert len(record.dependencies) <= 20_000
    assert time.process_time() - started < 20


@given(
    st.binary(max_size=300) | st.text(alphabet="ab-1.=<>[](){};#\\ \n\r\t$/:@'\"+ére\x00", max_size=200).map(str.encode)
)
@settings(deadline=None, max_examples=400)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for path in ("requirements.txt", "pyproject.toml"):
        try:
            record = provider.parse_manifest(path, content, {"a": content, "b": content})
        except InvalidManifest:
            continue
        assert (record.status == "partial") == bool(record.diagnostics)


FORMS = (
    ("{}\n", 0), ("{}>=1 \\\n  ,<2\n", 0), ("# no\n\n{} # x\n", 2), ("  {} ; os_name == 'nt'\r\n", 0),
    ("--pre\n{} \\\n --hash=a:b\n", 1),
)  # fmt: skip


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.sampled_from(FORMS))))
@settings(deadline=None)
def test_a_line_is_the_very_line_of_its_entry(entries: list[tuple[str, tuple[str, int]]]) -> None:
    text, expected = "", []
    for name, (form, offset) in entries:
        expected.append((name, text.count("\n") + 1 + offset))
        text += form.format(name)
    assert [(d.name, d.line) for d in parse(text).dependencies] == expected
