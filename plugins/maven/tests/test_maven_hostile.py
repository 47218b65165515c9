"""What nobody means well with: junk and bombs are read or refused, within bounds, and lines stay true.

A longer run: `FUZZ_EXAMPLES=5000 uv run pytest plugins/maven/tests/test_maven_hostile.py`.
"""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import Format, InvalidManifest, ManifestRecord
from wump_provider_maven.manifests import FORMATS, parse_manifest
from wump_provider_maven.manifests.gradle_notations import MAX_LISTED

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
PATHS = {item.name: item.globs[0].replace("*", "x") for item in FORMATS}
XML = (
    *("<project>", "</project>", "<parent>", "</parent>", "<dependencies>", "</dependencies>", "<dependency>"),
    *("</dependency>", "<groupId>g</groupId>", "<artifactId>a</artifactId>", "<version>${a}</version>", "<properties>"),
    *(
        "</properties>",
        "<a>${b}</a>",
        "<b>${a}</b>",
        "<build>",
        "<plugins>",
        "<plugin>",
        "<ivy-module>",
        "<components>",
    ),
    *("<component/>", "<!DOCTYPE", "<!--", "-->", "&x;", "<![CDATA[", "]]>", "<relativePath>..</relativePath>"),
)
SCRIPT = (
    *("dependencies", "implementation", "libs.a.b", "{", "}", "(", ")", "[", "]", "'g:a:1'", '"g:a:$b"', '"${b}"'),
    *("def b =", "val b by extra", "=", "+", "%", "%%", ",", ":", ".", "?:", "?", "plugins", "id", "version", "ext"),
    *(
        "object A",
        "group:",
        "name:",
        "libraryDependencies",
        "+=",
        "++=",
        "scalaVersion :=",
        '"""',
        "'",
        '"',
        "/*",
        "//",
    ),
    *("\\", "$", "project(':x')", "platform", "[libraries]", "[versions]", 'a = "1"', "g:a:1=b,c", "#", "empty="),
)
CONTENTS = (
    st.binary(max_size=120)
    | st.lists(st.sampled_from(XML) | st.text(max_size=6), max_size=25).map("".join).map(str.encode)
    | st.lists(st.sampled_from(SCRIPT) | st.text(max_size=6), max_size=25).map(" ".join).map(str.encode)
    | st.lists(st.sampled_from(SCRIPT), max_size=25).map("\n".join).map(str.encode)
)
SIBLINGS = ("pom.xml", "gradle.properties", "build.gradle", "gradle/libs.versions.toml", "project/x.scala", "build.sbt")


def parsed(path: str, content: bytes, siblings: dict[str, bytes]) -> ManifestRecord | None:
    try:
        return parse_manifest(path, content, siblings)
    except InvalidManifest:
        return None


@pytest.mark.parametrize("item", FORMATS, ids=[item.name for item in FORMATS])
@given(data=st.data())
@settings(deadline=None, max_examples=EXAMPLES)
def test_junk_is_read_or_refused(item: Format, data: st.DataObject) -> None:
    content = data.draw(CONTENTS)
    siblings = data.draw(st.dictionaries(st.sampled_from(SIBLINGS), CONTENTS, max_size=2))
    record = parsed(PATHS[item.name], content, siblings)
    if record is None:
        return
    assert (record.status == "partial") == bool(record.diagnostics)
    assert ManifestRecord.model_validate(record.model_dump()) == record
    lines = content.count(b"\n") + content.count(b"\r") + 1
    assert all(found.line is None or found.line <= lines for found in record.dependencies)
    assert all(found.purl is None or found.source == "registry" for found in record.dependencies)


NAMES = st.lists(st.from_regex(r"[a-z]{2,6}(-[a-z]{2,4})?", fullmatch=True), max_size=8, unique=True)
WRITERS = {
    "pom.xml": (
        "<project><dependencies>\n",
        "<dependency><groupId>g</groupId><artifactId>{}</artifactId></dependency>",
        "</dependencies></project>",
    ),
    "build.gradle": ("dependencies {\n", "    implementation 'g:{}:1' // a comment", "}\n"),
    "gradle/libs.versions.toml": ("[libraries]\n", '{} = "g:{}:1"', ""),
    "gradle.lockfile": ("# a comment\n", "g:{}:1=runtimeClasspath", "empty="),
    "ivy.xml": ("<ivy-module><dependencies>\n", '<dependency org="g" name="{}"/>', "</dependencies></ivy-module>"),
    "build.sbt": ("libraryDependencies ++= Seq(\n", '  "g" % "{}" % "1",', ")\n"),
}


@pytest.mark.parametrize("path", WRITERS)
@given(found=NAMES, gap=st.sampled_from(["\n", "\n\n"]), end=st.sampled_from(["\n", "\r\n"]))
@settings(deadline=None, max_examples=20)
def test_every_package_is_found_on_its_line(path: str, found: list[str], gap: str, end: str) -> None:
    before, entry, after = WRITERS[path]
    text = (before + "".join(entry.replace("{}", name) + gap for name in found) + after).replace("\n", end)
    record = parse_manifest(path, text.encode(), {})
    assert [dependency.name for dependency in record.dependencies] == [f"g:{name}" for name in found]
    rows = text.split(end)
    for dependency in record.dependencies:
        assert dependency.line is not None
        assert dependency.name.removeprefix("g:") in rows[dependency.line - 1]


def properties(count: int, value: str) -> str:
    return "".join(f"<p{n}>{value.format(n + 1)}</p{n}>" for n in range(count))


def using(count: int) -> str:
    entry = "<dependency><groupId>g</groupId><artifactId>a{0}</artifactId><version>${{p{0}}}</version></dependency>"
    return f"<dependencies>{''.join(entry.format(n) for n in range(count))}</dependencies>"


def project(inside: str) -> str:
    return f"<project>{inside}</project>"


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
LOOP = properties(3_000, "${{p{0}}}") + "<p3000>${p0}</p3000>"
DOUBLING = properties(3_000, "${{p{0}}}${{p{0}}}") + "<p3000>x</p3000>"
HOSTILE: dict[str, dict[str, str]] = {
    "pom.xml": {
        "entities": f'<!DOCTYPE p [<!ENTITY e0 "lol">{ENTITIES}]>' + project("<name>&e11;</name>"),
        "external": '<!DOCTYPE p [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + project("<version>&e;</version>"),
        "loop": project(f"<properties>{LOOP}</properties>{using(300)}"),
        "doubling": project(f"<properties>{DOUBLING}</properties>{using(300)}"),
        "comments": project("<!-- x -->" * 50_000),
        "endless comment": f"<project><!--{'- -' * 200_000}",
        "depth": "<project>" * 50_000,
        "empty": project("<a/>" * 100_000),
    },
    "build.gradle": {
        "braces": "{" * 50_000,
        "quotes": '"' * 50_000,
        "dollars": '"' + "${" * 25_000,
        "comments": "/*" * 50_000,
        "doubling": "".join(f'def a{n} = "$a{n + 1}$a{n + 1}"\n' for n in range(2_000)) + "dependencies { api a0 }",
        "sums": "".join(f"def a{n} = a{n + 1} + a{n + 1}\n" for n in range(2_000)) + "dependencies { api a0 }",
        "itself": "ext.a = a + a\n" * 1_000 + "dependencies { api a }",
        "commas": "dependencies { api " + "," * 50_000,
        "path": "dependencies { api a" + ".a" * 25_000 + " }",
    },
    "gradle/libs.versions.toml": {"dots": "a" + ".a" * 200_000 + " = 1", "brackets": "a = " + "[" * 200_000},
    "gradle.lockfile": {"commas": "g:a:1=" + "," * 200_000, "bad": "x\n" * 50_000},
    "build.sbt": {"signs": "%" * 50_000, "chain": '"a" % ' * 8_000, "maps": "x ++= Seq()" + ".map(_ % a)" * 8_000},
}


@pytest.mark.parametrize(("path", "kind"), [(path, kind) for path, kinds in HOSTILE.items() for kind in kinds])
def test_hostile_files_are_refused_or_cost_little(path: str, kind: str) -> None:
    record = parsed(path, HOSTILE[path][kind].encode(), {})
    assert record is None or (len(record.dependencies) <= 1_000 and "root:" not in record.model_dump_json())
    if record is not None:
        assert all(len(found.requirement or "") <= 1_000 for found in record.dependencies)


@pytest.mark.parametrize("use", ["packages", "several"])
def test_a_list_that_is_named_again_and_again_ends(use: str) -> None:
    packages = "def packages = [" + '"g:a:1",' * 900 + "]\ndef several = platform(packages)\n"
    text = packages + "dependencies {" + f" api {use}\n" * 100 + "}"
    record = parse_manifest("build.gradle", text.encode(), {})
    assert len(record.dependencies) <= MAX_LISTED
    assert "computed" in record.diagnostics[0].message


def test_every_format_states_its_bounds() -> None:
    assert all(0 < item.max_bytes <= 4_000_000 and item.yields.endswith(".") for item in FORMATS)
    assert len({item.name for item in FORMATS}) == len(FORMATS)
