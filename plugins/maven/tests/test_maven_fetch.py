"""How a repository is asked: as little as a package takes, and no address that a document could choose."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest
import wump_provider_maven as provider
from hypothesis import given
from hypothesis import strategies as st
from wump_core import Context, InvalidResponse, NotFound, PackageRecord, Unavailable, make_purl
from wump_provider_maven.repository import MAX_REQUESTS
from wump_provider_maven.search import MavenSettings, parse_page
from wump_provider_maven.versions import choose_latest, compare

BASE_URL = "https://registry.example/maven"


class Upstream:
    """A repository that holds these files, and remembers what was asked for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One file, or a page that says that it isn't there."""
        path = request.url.raw_path.decode().removeprefix("/maven")
        self.asked.append(path)
        text = self.files.get(path)
        return httpx.Response(404, text="<html/>") if text is None else httpx.Response(200, text=text)

    def fetch(self, name: str) -> PackageRecord:
        """What the hook makes of a package."""

        async def call() -> PackageRecord:
            async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as http:
                context = Context(http=http, settings=MavenSettings(base_url=BASE_URL), log=None)
                return await provider.fetch_package(context, make_purl("maven", name))

        return asyncio.run(call())


def metadata(*versions: str, group: str = "g", artifact: str = "a") -> str:
    listed = "".join(f"<version>{version}</version>" for version in versions)
    return f"""<metadata><groupId>{group}</groupId><artifactId>{artifact}</artifactId>
    <versioning><versions>{listed}</versions></versioning></metadata>"""


def pom(inside: str, artifact: str = "a", version: str = "1") -> str:
    return f"""<project><groupId>g</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
    {inside}</project>"""


def needs(group: str, artifact: str, rest: str = "") -> str:
    return f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>{rest}</dependency>"


def imports(*names: str) -> str:
    entries = "".join(needs("g", name, "<version>1</version><scope>import</scope><type>pom</type>") for name in names)
    return f"<dependencyManagement><dependencies>{entries}</dependencies></dependencyManagement>"


META, POM = "/g/a/maven-metadata.xml", "/g/a/1/a-1.pom"


def test_imports_are_fetched_while_versions_are_missing_and_no_longer():
    managed = "<dependencyManagement><dependencies>{}</dependencies></dependencyManagement>"
    found = managed.format(needs("x", "y", "<version>3</version><scope>test</scope>"))
    upstream = Upstream(
        {
            META: metadata("1"),
            POM: pom(imports("one", "two", "three") + f"<dependencies>{needs('x', 'y')}</dependencies>"),
            "/g/one/1/one-1.pom": pom("", "one"),
            "/g/two/1/two-1.pom": pom(found, "two"),
        }
    )
    record = upstream.fetch("g:a")
    assert [(item.name, item.requirement, item.scope) for item in record.dependencies or ()] == [("x:y", "3", "test")]
    assert upstream.asked == [META, POM, "/g/one/1/one-1.pom", "/g/two/1/two-1.pom"]
    lazy = Upstream({META: metadata("1"), POM: pom(imports("one"))})
    assert lazy.fetch("g:a").dependencies == ()
    assert lazy.asked == [META, POM]


def test_imports_that_import_one_another_end():
    names = [f"b{number}" for number in range(12)]
    files = {f"/g/{name}/1/{name}-1.pom": pom(imports(*names), name) for name in names}
    files |= {META: metadata("1"), POM: pom(imports(*names) + f"<dependencies>{needs('x', 'y')}</dependencies>")}
    upstream = Upstream(files)
    record = upstream.fetch("g:a")
    assert len(upstream.asked) == len(set(upstream.asked)) == 14
    assert [item.requirement for item in record.dependencies or ()] == [None]


def test_a_package_has_a_budget():
    parent = "<parent><groupId>g</groupId><artifactId>p{}</artifactId><version>1</version></parent>"
    chain = {f"/g/p{n}/1/p{n}-1.pom": pom(parent.format(n + 1) + imports(f"i{n}"), f"p{n}") for n in range(100)}
    chain |= {f"/g/i{n}/1/i{n}-1.pom": pom(parent.format(n + 50), f"i{n}") for n in range(50)}
    dependencies = f"<dependencies>{needs('x', 'y')}</dependencies>"
    upstream = Upstream({META: metadata("1"), POM: pom(parent.format(0) + dependencies)} | chain)
    record = upstream.fetch("g:a")
    assert len(upstream.asked) == MAX_REQUESTS + 1
    assert any("more than 30 POMs" in note.message for note in record.diagnostics)


@pytest.mark.parametrize(
    "parent",
    [
        "<groupId>g</groupId><artifactId>a</artifactId><version>1</version>",
        "<groupId>g</groupId><artifactId>b</artifactId><version>[1,2)</version>",
        "<groupId>g</groupId><artifactId>b</artifactId><version>${version}</version>",
        "<groupId>g</groupId><artifactId>b</artifactId><version>1-SNAPSHOT</version>",
        "<groupId>..</groupId><artifactId>b</artifactId><version>1</version>",
        "<groupId>g</groupId><artifactId>../b</artifactId><version>1</version>",
        "<groupId>g</groupId><artifactId>b</artifactId><version>../../1</version>",
        "<groupId>g</groupId><artifactId>b?x</artifactId><version>1</version>",
        "<artifactId>b</artifactId>",
    ],
)
def test_a_parent_that_is_no_place_is_not_asked_for(parent):
    upstream = Upstream({META: metadata("1"), POM: pom(f"<parent>{parent}</parent>")})
    record = upstream.fetch("g:a")
    assert upstream.asked == [META, POM]
    assert (record.dependencies, record.diagnostics[0].field) == ((), "parent")


SCM = "<scm><url>{}</url></scm>"
PARENT = """<parent><groupId>{group}</groupId><artifactId>p</artifactId><version>{version}</version></parent>"""


@pytest.mark.parametrize(
    ("own", "group", "version", "inherited", "path"),
    [
        (SCM.format("https://github.com/x/own/tree/main/dir"), "g", "9", SCM.format("https://github.com/x/p"), "x/own"),
        ("", "g", "9", SCM.format("https://github.com/x/${project.artifactId}"), "x/p"),
        ("", "other", "1", SCM.format("scm:git:git@github.com:x/p.git"), "x/p"),
        ("", "other", "9", SCM.format("https://github.com/x/foundation"), None),
        ("", "other", "9", SCM.format("https://git.example/repos/x?p=${project.artifactId}.git;a=tree"), "repos/x/a"),
        ("<properties><r>mine</r></properties>", "other", "9", SCM.format("https://github.com/x/${r}"), "x/mine"),
        ("<scm><connection>scm:svn:https://svn.example/x/y</connection></scm>", "g", "9", "", None),
        ("<scm><connection>scm:git|https://git.example/x/y.git</connection></scm>", "g", "9", "", "x/y"),
        ("<scm><url>git:git@github.com:x/y.git</url></scm>", "g", "9", "", "x/y"),
        ("<url>https://github.com/x/home</url>", "g", "9", SCM.format("https://github.com/x/p"), "x/home"),
        ("<issueManagement><url>https://github.com/x/y/issues</url></issueManagement>", "g", "9", "", "x/y"),
        (SCM.format(""), "g", "9", "", None),
    ],
)
def test_the_repository_is_the_projects_own(own, group, version, inherited, path):
    place = f"/{group}/p/{version}/p-{version}.pom"
    above = pom(inherited, "p", version).replace("<groupId>g<", f"<groupId>{group}<")
    record = Upstream(
        {META: metadata("1"), POM: pom(PARENT.format(group=group, version=version) + own), place: above}
    ).fetch("g:a")
    assert (record.repository.path if record.repository else None) == path


def test_licences_come_as_a_whole_from_the_nearest_pom():
    licences = (
        "<licenses><license><name>{}</name></license><license><url>https://l.example/{}</url></license></licenses>"
    )
    above = pom(licences.format("MIT", "x"), "p", "9")
    files = {META: metadata("1"), "/g/p/9/p-9.pom": above, POM: pom(PARENT.format(group="g", version="9"))}
    assert Upstream(files).fetch("g:a").licences == ("MIT", "https://l.example/x")
    files[POM] = pom(PARENT.format(group="g", version="9") + licences.format("BSD", "y"))
    assert Upstream(files).fetch("g:a").licences == ("BSD", "https://l.example/y")
    assert Upstream({META: metadata("1"), POM: pom("")}).fetch("g:a").licences is None


def test_what_is_no_pom_is_told_and_what_breaks_off_is_not_believed():
    record = Upstream({META: metadata("1"), POM: "<html><body/></html>"}).fetch("g:a")
    assert (record.latest_version, record.dependencies) == ("1", None)
    assert record.dependencies_unknown == "the POM of the latest version can't be read"
    with pytest.raises(InvalidResponse, match="breaks off"):
        Upstream({META: metadata("1"), POM: pom(f"<dependencies>{needs('x', 'y')}")[:-20]}).fetch("g:a")
    for wrong in ("<html/>", metadata("1", artifact="b"), metadata("1")[:-5], ""):
        with pytest.raises(InvalidResponse):
            Upstream({META: wrong}).fetch("g:a")
    with pytest.raises(NotFound):
        Upstream({META: metadata()}).fetch("g:a")


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        (("1.9", "1.10", "1.10-rc1"), "1.10"),
        (("1.0-alpha-1", "1.0-beta1", "1.0-M2"), "1.0-M2"),
        (("20040616", "3.2.2", "3.2"), "3.2.2"),
        (("20040616", "20030418.083655"), "20040616"),
        (("23.6-android", "23.6-jre", "r09"), "23.6-jre"),
        (("2.2.10-b140310.1920", "2.2.9"), "2.2.9"),
        (("1.0", "2.0-SNAPSHOT"), "1.0"),
        (("1.0.Final", "1.0.SP1"), "1.0.SP1"),
    ],
)
def test_the_latest_version(versions, latest):
    assert choose_latest(versions)[0] == latest


ORDER = "1-alpha 1-beta 1-m1 1-rc1 1-SNAPSHOT 1 1-sp 1-abc 1-1 1.0.1 1.1 1.2 1.10 2".split()
VERSIONS = st.sampled_from(ORDER) | st.text("01a.-rcM", max_size=8)


def test_versions_are_ordered_as_maven_orders_them():
    for at, version in enumerate(ORDER):
        assert [compare(version, other) for other in ORDER] == [(at > n) - (at < n) for n in range(len(ORDER))]
    assert compare("1.0.0-ga", "1") == compare("1-a1", "1-alpha-1") == compare("1-cr1", "1-rc1") == 0


@given(VERSIONS, VERSIONS)
def test_the_order_of_two_is_the_same_from_both_sides(one, other):
    assert compare(one, other) == -compare(other, one)


def test_a_search_needs_its_setting_and_ends():
    async def call():
        async with httpx.AsyncClient() as http:
            context = Context(http=http, settings=MavenSettings(base_url=BASE_URL), log=None)
            await provider.search_packages(context, "x", None)

    with pytest.raises(Unavailable, match="WUMP_PROVIDER_MAVEN_SEARCH_URL"):
        asyncio.run(call())
    found = [{"g": "g", "a": f"a{number}"} for number in range(3)]
    assert parse_page({"response": {"numFound": 9, "docs": found}}, 3).next_cursor == "6"
    last = parse_page({"response": {"numFound": 9_999, "docs": found}}, 4_999)
    assert (last.next_cursor, last.complete) == (None, False)
    assert parse_page({"response": {"numFound": 9, "docs": []}}, 3).next_cursor is None
    for wrong in (None, [], {}, {"response": {"docs": {}}}, {"response": {"docs": [], "numFound": True}}):
        with pytest.raises(InvalidResponse):
            parse_page(wrong, 0)


def test_the_provider_describes_itself():
    info = provider.describe_provider()
    assert (info.title, info.provider_type, info.ecosystems) == ("Maven Central", "registry", ("maven",))
    assert info.needs == {"search_packages": "search_url"}
    assert "pom.xml" in info.manifests
