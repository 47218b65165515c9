"""Ivy files and sbt's build definitions."""

import pytest
from wump_core import InvalidManifest


def test_an_ivy_file(read, rows):
    text = """<ivy-module version="2.0"><info organisation="org.example" module="m" revision="1"/>
<dependencies defaultconf="compile->default">
<dependency org="g" name="a" rev="1"/>
<dependency name="b" rev="${x}" conf="test->default"/>
<dependency org="g" name="c" rev="latest.integration" conf="compile,test->*; docs->x"/>
<dependency org="g" name="d" rev="2"><conf name="provided" mapped="default"/></dependency>
<dependency org="g"/><exclude org="no"/></dependencies></ivy-module>"""
    record = read("ivy.xml", text)
    assert record.project.name == "org.example:m"
    assert rows(record) == [
        "3: g:a 1 runtime compile",
        "4: org.example:b None test test",
        "5: g:c latest.integration runtime compile test docs",
        "6: g:d 2 runtime compile provided",
    ]
    assert [note.line for note in record.diagnostics] == [4, 7]
    with pytest.raises(InvalidManifest):
        read("ivy.xml", "<project/>")


SBT = """
val akkaVersion = "2.6.1"
ThisBuild / scalaVersion := sv
lazy val sv = "2.13.8"
object V { val q = "9" }
libraryDependencies += "g" % "a" % "1"
lazy val deps = Seq(
  "g" %% "b" % akkaVersion, // comment
  "g" %% "c" % akkaVersion % Test,
  "g" % "d" % "1.7" % "provided->default" exclude("no", "no"),
  "g" % s"e_$sv" % Versions.e % "it,test" classifier "x"
)
libraryDependencies += "g" %%% "f" % V.q % IntegrationTest
libraryDependencies += ("g" % "h" % "2" classifier "sources") % Test
libraryDependencies ++= Seq("g" %% "i", "g" %% "j").map(_ % akkaVersion)
lazy val root = (project in file(".")).settings(
  libraryDependencies ++= deps ++ Seq("g" % "k" % "(,8.4.0]" withSources()),
  dependencyOverrides += "g" % "no" % "1",
  addCompilerPlugin("g" % "l" % "0.13" cross CrossVersion.full)
)
val m = 10 % 3
"""


def test_an_sbt_build(read, rows):
    versions = {"project/Versions.scala": 'object Versions {\n  val e = "5"\n}'}
    record = read("build.sbt", SBT, versions)
    assert rows(record) == [
        "3: org.scala-lang:scala-library 2.13.8 runtime",
        "6: g:a 1 runtime",
        "8: g:b 2.6.1 runtime",
        "9: g:c 2.6.1 test Test",
        "10: g:d 1.7 peer provided",
        "11: g:e_2.13.8 5 test it",
        "13: g:f 9 test IntegrationTest",
        "14: g:h 2 test Test",
        "15: g:i 2.6.1 runtime",
        "15: g:j 2.6.1 runtime",
        "17: g:k (,8.4.0] runtime",
        "19: g:l 0.13 build",
    ]
    purls = {found.name: found.purl for found in record.dependencies}
    assert (purls["g:a"], purls["g:b"]) == ("pkg:maven/g/a", "pkg:maven/g/b_2.13")
    assert record.status == "ok"


def test_names_need_the_version_of_scala_or_sbt(read):
    plugin = 'addSbtPlugin("g" % "p" % "1")'
    known = read("project/plugins.sbt", plugin, {"project/build.properties": "sbt.version=1.9.0\n"})
    assert known.dependencies[0].purl == "pkg:maven/g/p_2.12_1.0"
    unknown = read("project/plugins.sbt", plugin)
    assert (unknown.dependencies[0].purl, unknown.needs) == (None, ("project/build.properties",))
    assert "is not told by the files at hand" in unknown.diagnostics[0].message
    scala = read("project/Deps.scala", 'val x = "g" %% "a" % "1"', {"build.sbt": 'scalaVersion := "3.3.1"'})
    assert scala.dependencies[0].purl == "pkg:maven/g/a_3"


@pytest.mark.parametrize(
    ("scala", "suffix"),
    [("2.9.10", "_2.9.10"), ("2.12.10", "_2.12"), ("2.13.0-RC5", "_2.13.0-RC5"), ("2.13.1-bin-x", "_2.13"),
     ("3.3.1", "_3"), ("3.0.0-RC1", "_3.0.0-RC1"), ("3.4.0-RC1", "_3"), ("nonsense", None)],
)  # fmt: skip
def test_a_library_is_bound_to_what_its_scala_version_promises(scala, suffix, read):
    record = read("build.sbt", f'scalaVersion := "{scala}"\nlibraryDependencies += "g" %% "a" % "1"')
    assert record.dependencies[-1].purl == (f"pkg:maven/g/a{suffix}" if suffix else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('scalaVersion := "2.13.8"', ["1: org.scala-lang:scala-library 2.13.8 runtime"]),
        ('val v = "3.3.1"\nscalaVersion := v', ["2: org.scala-lang:scala3-library_3 3.3.1 runtime"]),
        ('scalaVersion := "2.13.8"\nautoScalaLibrary := false', []),
        ("scalaVersion := compute()", []),
        ('crossScalaVersions := Seq("2.13.8")', []),
    ],
)
def test_the_library_of_the_language(text, expected, read, rows):
    assert rows(read("build.sbt", text)) == expected


def test_what_is_no_module_is_passed_over(read):
    assert read("build.sbt", 'libraryDependencies += "g" % "a" %% "1"').dependencies == ()


def test_scopes_of_settings_lists_and_values(read, rows):
    text = """val v = new { val m = "1" }
val used = "g" % "a" % v.m
val both = "g" % "b" % "1"
val several = Seq("g" % "c" % "1", "g" % "d" % "1" % Provided)
Test / libraryDependencies ++= Seq("g" % "e" % "1")
libraryDependencies in IntegrationTest += "g" % "f" % "1"
libraryDependencies ++= Seq(used % "it,test", both % Test, both) ++ several.map(_ % Test)
libraryDependencies ++= Seq("g" % "h" % "1").map(_ % Provided) ++ Seq("g" % "i").map(_ % "2" % Test)
libraryDependencies ++= Seq("j", "k").map("g" % _ % "3" % Test)
libraryDependencies += ("g" % "l" % "1").exclude("x", "y") % Test"""
    assert rows(read("build.sbt", text)) == [
        "2: g:a 1 test it",
        "3: g:b 1 runtime",
        "4: g:c 1 test Test",
        "4: g:d 1 peer Provided",
        "5: g:e 1 test Test",
        "6: g:f 1 test IntegrationTest",
        "8: g:h 1 peer Provided",
        "8: g:i 2 test Test",
        "9: g:j 3 test Test",
        "9: g:k 3 test Test",
        "10: g:l 1 test Test",
    ]


def test_a_value_of_another_file_has_the_scope_of_its_use(read, rows):
    text = 'object Deps {\n  val a = "g" % "a" % "1"\n  val b = "g" % "b" % "1"\n}'
    around = {"build.sbt": "libraryDependencies ++= Seq(Deps.a % Test, Deps.b)"}
    assert rows(read("project/Deps.scala", text, around)) == ["2: g:a 1 test Test", "3: g:b 1 runtime"]
    assert rows(read("project/build.sbt", 'libraryDependencies += "g" % "a" % "1"')) == ["1: g:a 1 build"]
    mixed = 'libraryDependencies += "g" % "a" % "1" % "compile;test->test"'
    assert rows(read("build.sbt", mixed)) == ["1: g:a 1 runtime compile"]
