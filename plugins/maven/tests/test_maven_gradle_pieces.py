"""Gradle: scripts that are applied, tools that plugins run, and pieces of scripts that stand alone."""

import pytest

APPLIED = {"app/more/v.gradle": "ext.v = '1.5'", "root.gradle": "ext.v = '1.5'", "app/gradle.properties": "place=more"}


@pytest.mark.parametrize(
    "written",
    [
        'apply from: "more/v.gradle"',
        'apply from: "${place}/v.gradle"',
        'def p = "more/v.gradle"\napply from: property("p")',
        'apply from: file("more/v.gradle")',
        "apply from: project.file('more/v.gradle'), to: project",
        'apply from: new File("more", "v.gradle")',
        "apply from: new File(projectDir, 'more/v.gradle')",
        "apply(from = File(place, 'v.gradle'))",
        'apply from: "$rootDir/root.gradle"',
        'apply from: rootProject.file("root.gradle")',
        'apply from: new File(rootDir, "root.gradle")',
    ],
)
def test_an_applied_script_sets_variables_however_its_path_is_written(written, read, rows):
    record = read("app/build.gradle", f'{written}\ndependencies {{ api "g:a:$v" }}', APPLIED)
    assert [row.partition(" ")[2] for row in rows(record)] == ["g:a 1.5 runtime api"]


@pytest.mark.parametrize(
    "place", ['"${nowhere}/v.gradle"', "file(compute())", '"https://h.example/v.gradle"', '"../../v.gradle"', "file()"]
)
def test_an_applied_script_elsewhere_is_not_looked_for(place, read, rows):
    record = read("app/build.gradle", f'apply from: {place}\ndependencies {{ api "g:a:$v" }}', APPLIED)
    assert rows(record) == ["2: g:a None runtime api"]
    assert not any("v.gradle" in need for need in record.needs)


def test_scripts_that_apply_each_other_end(read):
    record = read(
        "build.gradle",
        "apply from: 'a.gradle'\ndependencies { api \"g:a:$v\" }",
        {"a.gradle": "apply from: 'build.gradle'"},
    )
    assert record.dependencies[0].requirement is None


def test_tools_that_plugins_run(read, rows):
    text = """def checked = '10.1'
checkstyle { toolVersion = checked }
subprojects { pmd { toolVersion "7.0" } }
jacoco { toolVersion = unknown }
other { toolVersion = '1' }
lombok { version = '1.18' }"""
    record = read("build.gradle", text)
    assert rows(record) == [
        "2: com.puppycrawl.tools:checkstyle 10.1 build checkstyle",
        "3: net.sourceforge.pmd:pmd-java 7.0 build pmd",
        "4: org.jacoco:org.jacoco.agent None build jacoco",
        "6: org.projectlombok:lombok 1.18 build lombok",
    ]
    assert [note.line for note in record.diagnostics] == [4]


def test_pieces_of_scripts(read, rows):
    text = """v = "1"
id("x.p") version v
task("t", group: "build", name: "no")
exclude group: "g", name: "no", module: "no"
lib = [group: "g", name: "map", version: v]
implementation platform(group: "g", name: "bom", version: "2")
dependencySet(group: "s", version: v) { entry "one"; entry("two") }"""
    assert rows(read("build.gradle", text)) == [
        "2: x.p 1 build",
        "6: g:bom 2 runtime implementation",
        "5: g:map 1 unknown",
        "7: s:one 1 unknown",
        "7: s:two 1 unknown",
    ]


def test_maps_that_are_added_to(read, rows):
    text = """ext { versions = [:]; libs = [old: "g:old:0"] }
versions += [a: "1", b: "2"]
libs += [a: "g:a:$versions.a", b: [group: "g", name: "b", version: versions.b]]"""
    using = "apply from: 'gradle/dependencies.gradle'\ndependencies { api libs.a, libs.b, libs.old }"
    assert rows(read("build.gradle", using, {"gradle/dependencies.gradle": text})) == [
        "2: g:a 1 runtime api",
        "2: g:b 2 runtime api",
        "2: g:old 0 runtime api",
    ]
    assert rows(read("gradle/dependencies.gradle", text)) == [
        "1: g:old 0 unknown",
        "3: g:a 1 unknown",
        "3: g:b 2 unknown",
    ]


def test_packages_whose_names_are_put_together(read, rows):
    text = """v = "1.2"
all = "b:" + v
"g:a:" + v
"g:$all"
kotlin("test", v)
start = "10:30:00"
address = "https://h.example:8080/" + v"""
    assert rows(read("build.gradle", text)) == [
        "3: g:a 1.2 unknown",
        "4: g:b 1.2 unknown",
        "5: org.jetbrains.kotlin:kotlin-test 1.2 unknown",
    ]


def test_a_catalog_of_gradle_7_and_one_in_pieces(read, rows):
    settings = """dependencyResolutionManagement { versionCatalogs { libs {
        version("a", "1")
        alias("foo").to("g", "foo").versionRef("a")
        alias("bar").to("g:bar:2")
        alias("p").toPluginId("x.p").version("3") } } }"""
    assert rows(read("settings.gradle", settings)) == ["3: g:foo 1 unknown", "4: g:bar 2 unknown", "5: x.p 3 build"]
    using = read("build.gradle", "dependencies { api libs.foo }", {"settings.gradle": settings})
    assert rows(using) == ["1: g:foo 1 runtime api"]
    assert rows(read("settings.gradle", 'version("a", "1")\nlibrary("foo", "g", "foo").versionRef("a")')) == [
        "2: g:foo 1 unknown"
    ]


def test_source_sets_and_suites_of_tests_give_configurations_their_names(read, rows):
    text = """kotlin.sourceSets {
    commonMain.dependencies { implementation("g:a:1") }
    commonTest.dependencies { implementation("g:b:1") }
    getByName("iosMain").dependencies { api(project.dependencies.platform("g:c:1")) }
    val jsTest by getting { dependencies { implementation("g:d:1") } }
    all { dependencies { compileOnly("g:e:1") } }
}
testing { suites {
    test { dependencies { implementation("g:f:1") } }
    register<JvmTestSuite>("load") { dependencies { runtimeOnly("g:g:1") } }
    withType(JvmTestSuite).configureEach { dependencies { implementation("g:h:1") } }
} }"""
    assert rows(read("build.gradle.kts", text)) == [
        "2: g:a 1 runtime commonMainImplementation",
        "3: g:b 1 test commonTestImplementation",
        "4: g:c 1 runtime iosMainApi",
        "5: g:d 1 test jsTestImplementation",
        "6: g:e 1 build compileOnly",
        "9: g:f 1 test testImplementation",
        "10: g:g 1 test loadRuntimeOnly",
        "11: g:h 1 test testImplementation",
    ]


def test_a_platform_in_a_variable_and_a_configuration_in_another(read, rows):
    text = """val bom = platform(libs.bom)
val other = enforcedPlatform("g:b:2")
val loop = platform(loop)
dependencies {
    implementation(bom)
    androidTestImplementation(bom)
    api(other)
    api(loop)
    include(modImplementation("g:c:3"))
}"""
    record = read("build.gradle.kts", text, {"gradle/libs.versions.toml": '[libraries]\nbom = "g:a:1"'})
    assert rows(record) == [
        "5: g:a 1 runtime implementation",
        "6: g:a 1 test androidTestImplementation",
        "7: g:b 2 runtime api",
        "9: g:c 3 runtime include",
    ]
    assert [note.line for note in record.diagnostics] == [8]


def test_checksums_and_substitutes_are_no_dependencies(read, rows):
    text = """dependencies {
    api 'g:a:1'; substitute module('g:a') using module('g:b:1')
    api 'g:c'
}
dependencyManagement { dependencies { dependencySet("g:2") { entry("c") } } }
dependencyVerification { verify = ['g:d:297f3c1f667e'] }"""
    assert rows(read("build.gradle", text)) == ["2: g:a 1 runtime api", "3: g:c 2 runtime api"]


def test_loops_over_lists(read, rows):
    text = """def names = ['a', 'b']
dependencies {
    names.each { api "g:$it:1" }
    ['g:c:1', 'g:d:2'].each { module -> testImplementation module }
    for (name in names) { compileOnly("h:$name:3") { transitive = false } }
    unknown.each { api "i:$it:4" }
}"""
    assert rows(read("build.gradle", text)) == [
        "3: g:a 1 runtime api",
        "3: g:b 1 runtime api",
        "4: g:c 1 test testImplementation",
        "4: g:d 2 test testImplementation",
        "5: h:a 3 build compileOnly",
        "5: h:b 3 build compileOnly",
    ]


@pytest.mark.parametrize("unfinished", ["_=", "val x =", "def x = \n", "ext.a = ", "x = ()"])
def test_a_variable_without_a_value_is_none(unfinished, read, rows):
    record = read("app/build.gradle", f'dependencies {{ api "g:a:1" }}\n{unfinished}')
    assert rows(record) == ["1: g:a 1 runtime api"]
