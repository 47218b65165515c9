"""pom.xml: what it states, what its tree adds, and what only others know."""

import pytest
import wump_provider_maven as provider
from wump_core import InvalidManifest

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <groupId>org.example</groupId>
  <artifactId>app</artifactId>
  <version>1.0</version>
  <properties>
    <a.version>1.${b}</a.version>
    <b>2</b>
    <loop>${loop2}</loop><loop2>${loop}</loop2>
  </properties>
  <dependencies>
    <dependency><groupId>g</groupId><artifactId>a</artifactId><version>${a.version}</version></dependency>
    <dependency><groupId>${project.groupId}</groupId><artifactId>b-${b}</artifactId><version>${pom.version}</version></dependency>
    <dependency><groupId>g</groupId><artifactId>c</artifactId><version>[1,2)</version><scope>provided</scope></dependency>
    <dependency><groupId>g</groupId><artifactId>t</artifactId><version>1</version><scope>test</scope></dependency>
    <dependency><groupId>g</groupId><artifactId>o</artifactId><version>1</version><optional>true</optional></dependency>
    <dependency><groupId>g</groupId><artifactId>s</artifactId><version>1</version><scope>system</scope></dependency>
    <dependency><groupId>g</groupId><artifactId>m</artifactId></dependency>
    <dependency><groupId>g</groupId><artifactId>n</artifactId><version>${nowhere}</version></dependency>
    <dependency><groupId>g</groupId><artifactId>l</artifactId><version>${loop}</version></dependency>
    <dependency><groupId>g</groupId><artifactId>${nowhere}</artifactId><version>1</version></dependency>
    <dependency><artifactId>half</artifactId></dependency>
    <dependency><groupId>g</groupId><artifactId>none</artifactId></dependency>
    <dependency><groupId>g</groupId><artifactId>x</artifactId><version>1</version><exclusions><exclusion>
      <groupId>no</groupId><artifactId>no</artifactId></exclusion></exclusions></dependency>
  </dependencies>
  <dependencyManagement><dependencies>
    <dependency><groupId>g</groupId><artifactId>m</artifactId><version>7</version><scope>runtime</scope></dependency>
    <dependency><groupId>g</groupId><artifactId>unused</artifactId><version>8</version></dependency>
    <dependency><groupId>g</groupId><artifactId>bom</artifactId><version>9</version><type>pom</type><scope>import</scope></dependency>
  </dependencies></dependencyManagement>
  <build>
    <pluginManagement><plugins>
      <plugin><artifactId>maven-jar-plugin</artifactId><version>3.3</version></plugin>
      <plugin><artifactId>unused-plugin</artifactId><version>1</version></plugin>
    </plugins></pluginManagement>
    <plugins>
      <plugin><artifactId>maven-jar-plugin</artifactId></plugin>
      <plugin><groupId>p</groupId><artifactId>q</artifactId><version>1</version>
        <dependencies><dependency><groupId>g</groupId><artifactId>inner</artifactId><version>2</version></dependency></dependencies>
        <configuration><items><item><groupId>g</groupId><artifactId>copied</artifactId><version>3</version></item></items>
          <annotationProcessorPaths><path><groupId>g</groupId><artifactId>m</artifactId></path></annotationProcessorPaths>
        </configuration></plugin>
    </plugins>
    <extensions><extension><groupId>g</groupId><artifactId>wagon</artifactId><version>4</version></extension></extensions>
  </build>
  <profiles><profile><id>fast</id>
    <properties><b>5</b></properties>
    <dependencies><dependency><groupId>g</groupId><artifactId>p</artifactId><version>${b}</version></dependency></dependencies>
  </profile></profiles>
</project>
"""


def test_a_whole_pom(read, rows):
    record = read("pom.xml", POM)
    assert (record.project.name, record.project.version) == ("org.example:app", "1.0")
    assert rows(record) == [
        "11: g:a 1.2 runtime",
        "12: org.example:b-2 1.0 runtime",
        "13: g:c [1,2) peer",
        "14: g:t 1 test",
        "15: g:o 1 runtime optional",
        "16: g:s 1 runtime path",
        "17: g:m 7 runtime",
        "18: g:n None runtime",
        "19: g:l None runtime",
        "22: g:none None runtime",
        "23: g:x 1 runtime",
        "29: g:bom 9 build",
        "37: org.apache.maven.plugins:maven-jar-plugin 3.3 build",
        "38: p:q 1 build",
        "39: g:inner 2 build",
        "40: g:copied 3 build",
        "41: g:m 7 build",
        "44: g:wagon 4 build",
        "48: g:p 5 runtime fast",
    ]
    assert [(note.line, note.message) for note in record.diagnostics] == [
        (21, "an entry without groupId or artifactId was left out"),
        (18, "the version of g:n, ${nowhere}, is not known here, it may come from the import g:bom"),
        (19, "the version of g:l, ${loop}, is not known here, it may come from the import g:bom"),
        (20, "'g:${nowhere}' is no name of a package"),
        (22, "the version of g:none is managed outside of this tree: by the import g:bom"),
    ]


CHILD = """<project><parent><groupId>org.example</groupId><artifactId>top</artifactId><version>1</version>
{path}</parent><artifactId>child</artifactId><dependencies>
<dependency><groupId>g</groupId><artifactId>managed</artifactId></dependency>
<dependency><groupId>org.example</groupId><artifactId>sister</artifactId><version>${{project.version}}</version></dependency>
<dependency><groupId>g</groupId><artifactId>imported</artifactId></dependency>
</dependencies></project>"""
TOP = """<project><groupId>org.example</groupId><artifactId>top</artifactId><version>1</version>
<modules><module>child</module><module>sister</module><module>bom/pom.xml</module><module>../../etc</module></modules>
<properties><v>3</v></properties><dependencyManagement><dependencies>
<dependency><groupId>g</groupId><artifactId>managed</artifactId><version>${v}</version><scope>test</scope></dependency>
<dependency><groupId>org.example</groupId><artifactId>bom</artifactId><version>1</version><type>pom</type><scope>import</scope></dependency>
</dependencies></dependencyManagement><dependencies>
<dependency><groupId>g</groupId><artifactId>for-all</artifactId><version>${v}</version></dependency></dependencies></project>"""
SISTER = "<project><groupId>org.example</groupId><artifactId>sister</artifactId><version>1</version></project>"
BOM = """<project><groupId>org.example</groupId><artifactId>bom</artifactId><version>1</version>
<dependencyManagement><dependencies><dependency><groupId>org.example</groupId><artifactId>bom</artifactId><version>1</version>
<type>pom</type><scope>import</scope></dependency>
<dependency><groupId>g</groupId><artifactId>imported</artifactId><version>6</version></dependency>
</dependencies></dependencyManagement></project>"""
TREE = {"pom.xml": TOP, "sister/pom.xml": SISTER, "bom/pom.xml": BOM}


def test_the_tree_tells_what_it_knows(read, rows):
    text = CHILD.format(path="")
    assert read("child/pom.xml", text).needs == ("pom.xml",)
    partly = read("child/pom.xml", text, {"pom.xml": TOP})
    assert partly.needs == ("sister/pom.xml", "bom/pom.xml")
    record = read("child/pom.xml", text, TREE)
    assert (record.needs, record.status, record.project.version) == ((), "ok", "1")
    assert rows(record) == [
        "1: org.example:top 1 build workspace",
        "3: g:managed 3 test",
        "4: org.example:sister 1 runtime workspace",
        "5: g:imported 6 runtime",
        "None: g:for-all 3 runtime",
    ]


def test_a_module_may_have_a_group_below_the_one_of_its_parent(read, rows):
    named, below = (
        "<groupId>org.example</groupId><artifactId>sister",
        "<groupId>org.example.s</groupId><artifactId>sister",
    )
    text = CHILD.format(path="").replace(named, below)
    tree = TREE | {"sister/pom.xml": SISTER.replace(named, below)}
    tree["pom.xml"] = TOP.replace("<type>pom</type><scope>import</scope>", "")
    assert "4: org.example.s:sister 1 runtime workspace" in rows(read("child/pom.xml", text, tree))


@pytest.mark.parametrize(
    ("path", "siblings"),
    [
        ("<relativePath/>", TREE),
        ("<relativePath>../../pom.xml</relativePath>", {"pom.xml": TOP}),
        ("<relativePath>/etc</relativePath>", TREE),
        ("", {"pom.xml": TOP.replace("<artifactId>top", "<artifactId>other")}),
        ("", {"pom.xml": TOP.replace("<version>1<", "<version>2<", 1)}),
        ("", {"pom.xml": "<project"}),
    ],
)
def test_a_parent_elsewhere_is_named(path, siblings, read, rows):
    record = read("child/pom.xml", CHILD.format(path=path), siblings)
    assert rows(record)[:2] == ["1: org.example:top 1 build", "3: g:managed None runtime"]
    assert record.diagnostics[0].message == (
        "the version of g:managed is managed outside of this tree: by the parent org.example:top:1"
    )


def test_parents_that_loop_end(read):
    pom = """<project><parent><groupId>g</groupId><artifactId>{}</artifactId><version>1</version>
    <relativePath>{}</relativePath></parent><artifactId>{}</artifactId><version>1</version></project>"""
    poms = {"a/pom.xml": pom.format("b", "..", "a"), "pom.xml": pom.format("a", "a", "b")}
    assert read("a/pom.xml", poms["a/pom.xml"], poms).project.name == "g:a"


@pytest.mark.parametrize("text", ["", "no", "<a/>", "<html><project/></html>", '{"project": 1}', "\0"])
def test_no_pom_is_refused(text, read):
    with pytest.raises(InvalidManifest):
        read("pom.xml", text)


def test_damaged_poms_are_read_as_far_as_they_go(read, rows):
    old = """<project xsi:x="1"><name>&copy;</name><dependencies><dependency><groupId> g
</groupId><artifactId>
 a </artifactId><version>1</version></dependency></dependencies></project>"""
    record = read("x.pom", old)
    assert rows(record) == ["3: g:a 1 runtime"]
    assert record.diagnostics[0].message.startswith("not well-formed XML: ")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1"])
def test_encodings(encoding):
    declared = {"utf-16": "UTF-16", "utf-8-sig": "ISO-8859-1"}.get(encoding, encoding)
    text = (
        f"<?xml version='1.0' encoding='{declared}'?><project><artifactId>é</artifactId><version>1</version></project>"
    )
    record = provider.parse_manifest("pom.xml", text.encode(encoding), {})
    assert record.project is not None
    assert record.project.name == "é"


def test_extensions_of_maven(read, rows):
    text = """<extensions xmlns="http://maven.apache.org/EXTENSIONS/1.0.0">
<extension><groupId>g</groupId><artifactId>a</artifactId><version>1</version></extension>
<extension><groupId>g</groupId></extension></extensions>"""
    record = read(".mvn/extensions.xml", text)
    assert (rows(record), len(record.diagnostics)) == (["2: g:a 1 build"], 1)
    with pytest.raises(InvalidManifest):
        read(".mvn/extensions.xml", "<project/>")
