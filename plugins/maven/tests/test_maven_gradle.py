"""Gradle: scripts of both languages, catalogs, lockfiles, checksums; and the files around a script."""

import pytest
from wump_core import InvalidManifest, NoManifest

GROOVY = """
buildscript {
    ext.kotlin_version = '1.9'
    ext { springVersion = "5.${minor}"; minor = '1'
        deps = [ junit: 'junit:junit:4.13', mock: [ core: "org.mock:mock-core:$mockVersion" ] ]
    }
    dependencies { classpath "org.jetbrains.kotlin:kotlin-gradle-plugin:$kotlin_version" }
}
plugins {
    id 'java'
    id 'com.example.boot' version '2.1'
    id "com.example.late" version "$springVersion" apply false
}
apply from: "gradle/more.gradle"
def v = "9"
String w = '10' // "not closed
def given(name, fallback) { ext.has(name) ? ext.get(name) : fallback }
dependencies {
    implementation 'g:a:1.0', "g:b:$v"
    implementation("g:c:${v}@aar") { exclude group: 'no', module: 'no' }
    compile group: 'g', name: 'd', version: v
    testCompile(group: 'g', name: 'e', version: '1')
    testImplementation deps.junit, deps.mock.core
    compileOnly project(':core')
    runtime files('libs/x.jar')
    api platform('g:bom:3')
    implementation 'g:unversioned'
    implementation([group: 'g', name: 'f', version: '1'], [group: 'g', name: 'g', version: '2'])
    kapt "g:h:" + w
    implementation "g:i:$nowhere"
    implementation more.foo
    implementation("g:j") { version { strictly '[1,2[' } because 'of it' }
    constraints { implementation 'g:unversioned:7' }
    if (x) { debugImplementation "g:k:${safeGet('absent', '3')}" }
    /* implementation 'g:no:1' */
    implementation (
        'g:l:1'
    )
    def later = '4'
    providedCompile "g:m:${later}"
    annotationProcessor computeIt()
    implementation gradleApi()
}
dependencyManagement {
    imports { mavenBom "g:spring-bom:${springVersion}" }
    dependencies { dependency 'g:managed:5' }
}
configurations.all { resolutionStrategy { force 'g:forced:1' } }
"""


def test_a_groovy_script(read, rows):
    more = {
        "gradle.properties": "mockVersion: 2.0",
        "gradle/more.gradle": "ext.more = [foo: 'g:foo:1.1', bar: 'g:bar:1']",
    }
    record = read("build.gradle", GROOVY, more)
    assert rows(record) == [
        "7: org.jetbrains.kotlin:kotlin-gradle-plugin 1.9 build classpath",
        "11: com.example.boot 2.1 build",
        "12: com.example.late 5.1 build",
        "19: g:a 1.0 runtime implementation",
        "19: g:b 9 runtime implementation",
        "20: g:c 9 runtime implementation",
        "21: g:d 9 runtime compile",
        "22: g:e 1 test testCompile",
        "23: junit:junit 4.13 test testImplementation",
        "23: org.mock:mock-core 2.0 test testImplementation",
        "24: :core None build workspace compileOnly",
        "25: libs/x.jar None runtime path runtime",
        "26: g:bom 3 runtime api",
        "27: g:unversioned 7 runtime implementation",
        "28: g:f 1 runtime implementation",
        "28: g:g 2 runtime implementation",
        "29: g:h 10 build kapt",
        "30: g:i None runtime implementation",
        "31: g:foo 1.1 runtime implementation",
        "32: g:j [1,2[ runtime implementation",
        "34: g:k 3 runtime debugImplementation",
        "37: g:l 1 runtime implementation",
        "40: g:m 4 peer providedCompile",
        "45: g:spring-bom 5.1 build mavenBom",
    ]
    assert [(note.line, note.message) for note in record.diagnostics] == [
        (30, "the version of g:i, ${nowhere}, is not told by the files at hand"),
        (41, "a dependency that is computed was left out"),
    ]
    purls = {found.name: found.purl for found in record.dependencies}
    assert purls["com.example.boot"] == "pkg:maven/com.example.boot/com.example.boot.gradle.plugin"
    assert "gradle/more.gradle" in record.needs


KOTLIN = """
import org.example.*
val ktor: String by project
val own by extra("4.4")
plugins { kotlin("jvm") version "1.9.0"; id("a.b") version libs.versions.ab.get(); alias(libs.plugins.lint) }
object Versions { const val x = "1.2" }
dependencies {
    implementation(kotlin("stdlib"))
    implementation("io.ktor:ktor:$ktor")
    implementation("g:a:${own}")
    implementation("g:b:${Versions.x}")
    implementation("g:c:${Deps.Inner.y}")
    implementation(libs.foo.bar)
    testImplementation(libs.bundles.tests)
    "custom"("g:d:1")
    add("ksp", "g:e:1")
    implementation(group = "g", name = "f", version = "1")
    implementation("g", "h", "2")
    implementation(projects.my.lib)
    implementation(libs.missing)
}
kotlin { sourceSets {
    val commonTest by getting { dependencies { implementation("g:j:1") } }
    named("jsMain") { dependencies { implementation("g:k:1"); implementation(npm("x", "1")) } }
} }
"""
CATALOG = """[versions]
ab = "3"
foo = { strictly = "1.1" }
[libraries]
foo-bar = { module = "g:foobar", version.ref = "foo" }
t_1 = "g:t1:1"
odd = 3
[libraries.t2]
group = "g"
name = "t2"
[bundles]
tests = ["t_1", "t2"]
[plugins]
lint = { id = "io.lint", version.ref = "ab" }
"""
AROUND = {
    "gradle.properties": "# a comment\nktor=2.2\n",
    "gradle/libs.versions.toml": CATALOG,
    "buildSrc/src/main/kotlin/Deps.kt": 'object Deps {\n  object Inner { val y = "7" }\n}',
}


def test_a_kotlin_script_in_its_tree(read, rows):
    record = read("app/build.gradle.kts", KOTLIN, AROUND)
    assert rows(record) == [
        "5: org.jetbrains.kotlin.jvm 1.9.0 build",
        "5: a.b 3 build",
        "5: io.lint 3 build",
        "8: org.jetbrains.kotlin:kotlin-stdlib None runtime implementation",
        "9: io.ktor:ktor 2.2 runtime implementation",
        "10: g:a 4.4 runtime implementation",
        "11: g:b 1.2 runtime implementation",
        "12: g:c 7 runtime implementation",
        "13: g:foobar 1.1 runtime implementation",
        "14: g:t1 1 test testImplementation",
        "14: g:t2 None test testImplementation",
        "15: g:d 1 unknown custom",
        "16: g:e 1 build ksp",
        "17: g:f 1 runtime implementation",
        "18: g:h 2 runtime implementation",
        "19: :my:lib None runtime workspace implementation",
        "23: g:j 1 test commonTestImplementation",
        "24: g:k 1 runtime jsMainImplementation",
    ]
    assert [note.message for note in record.diagnostics] == ["a dependency that is computed was left out"]
    assert {"gradle.properties", "gradle/libs.versions.toml", "buildSrc/src/main/**/*.kt"} <= set(record.needs)


def test_odd_entries(read, rows):
    text = """dependencies {
        api fileTree(include: ['*.jar'], dir: 'libs')
        compile 'g:a:1', { force = true }
        kapt(AndroidTest "g:b:2")
        api(name: 'local-file', ext: 'aar')
    }"""
    assert rows(read("build.gradle", text)) == [
        "2: libs None runtime path api",
        "3: g:a 1 runtime compile",
        "4: g:b 2 build kapt",
        "5: local-file None runtime path api",
    ]


def test_what_nothing_is_missing_for_needs_nothing(read):
    assert read("a/build.gradle", "dependencies { api 'g:a:1' }").needs == ()


def test_variables_that_hold_packages_are_told_once(read, rows):
    text = 'ext.deps = [x: "g:x:1", y: [z: "g:z:2"]]\ndependencies { api deps.x }\nurl = "https://h:80/a"'
    assert rows(read("deps.gradle", text)) == ["2: g:x 1 runtime api", "1: g:z 2 unknown"]


def test_other_scripts_without_packages_are_none(read):
    assert read("build.gradle", "apply plugin: 'java'").dependencies == ()
    for path in ("other.gradle", "project/Util.scala", "other.sbt"):
        with pytest.raises(NoManifest):
            read(path, "val x = 1")


def test_a_catalog(read, rows):
    record = read("gradle/libs.versions.toml", CATALOG)
    assert rows(record) == [
        "5: g:foobar 1.1 unknown",
        "6: g:t1 1 unknown",
        "8: g:t2 None unknown",
        "14: io.lint 3 build",
    ]
    assert [(note.field, note.line) for note in record.diagnostics] == [("odd", 7)]
    lost = read("libs.versions.toml", '[libraries]\na = { module = "g:a", version.ref = "x" }')
    assert (rows(lost), len(lost.diagnostics)) == (["2: g:a None unknown"], 1)
    settings = """dependencyResolutionManagement { versionCatalogs { create("libs") {
        version("a", "1"); library("foo", "g:foo:2"); library("bar", "g", "bar").versionRef("a")
        plugin("p", "x.p").version("9") } } }"""
    assert rows(read("settings.gradle.kts", settings)) == [
        "2: g:foo 2 unknown",
        "2: g:bar 1 unknown",
        "3: x.p 9 build",
    ]
    named = 'dependencyResolutionManagement { versionCatalogs { create("own") { from(files("tools/own.toml")) } } }'
    elsewhere = {"settings.gradle.kts": named, "tools/own.toml": CATALOG}
    using = read("build.gradle.kts", "dependencies { api(own.foo.bar) }", elsewhere)
    assert (rows(using), "tools/own.toml" in using.needs) == (["1: g:foobar 1.1 runtime api"], True)
    script = {"settings.gradle.kts": settings}
    assert rows(read("build.gradle.kts", "dependencies { api(libs.bar) }", script)) == ["1: g:bar 1 runtime api"]


def test_a_lockfile(read, rows):
    text = """# This is a Gradle generated file for dependency locking.
g:a:1.0=compileClasspath,runtimeClasspath
g:b:2.0=testRuntimeClasspath
g:c:3.0=annotationProcessor
nonsense
empty=kapt
"""
    record = read("app/gradle.lockfile", text, {"app/build.gradle": "dependencies { api 'g:a:1.+' }"})
    assert record.kind == "lockfile"
    assert rows(record) == [
        "2: g:a 1.+ runtime =1.0 compileClasspath runtimeClasspath",
        "3: g:b None test =2.0 transitive testRuntimeClasspath",
        "4: g:c None build =3.0 transitive annotationProcessor",
    ]
    assert [(note.line, note.message) for note in record.diagnostics] == [
        (5, "a line that is no `group:artifact:version` was left out")
    ]
    alone = read("gradle/dependency-locks/runtimeClasspath.lockfile", "g:a:1.0\n")
    assert rows(alone) == ["1: g:a None runtime =1.0 transitive runtimeClasspath"]
    assert (alone.needs, len(alone.diagnostics)) == (("build.gradle", "build.gradle.kts"), 1)
    with pytest.raises(InvalidManifest):
        read("gradle.lockfile", "nonsense\n")


def test_checksums(read, rows):
    text = """<verification-metadata xmlns="https://schema.example"><components>
<component group="g" name="a" version="1"><artifact name="a.jar"/></component>
<component name="a"/></components></verification-metadata>"""
    record = read("gradle/verification-metadata.xml", text)
    assert rows(record) == ["2: g:a None unknown =1 transitive"]
    assert [note.line for note in record.diagnostics] == [3]
    with pytest.raises(InvalidManifest):
        read("gradle/verification-metadata.xml", "<project/>")


@pytest.mark.parametrize(
    ("configuration", "scope"),
    [
        ("implementation", "runtime"),
        ("androidTestImplementation", "test"),
        ("compileOnlyApi", "build"),
        ("kspTest", "test"),
        ("latestRelease", "unknown"),
        ("developmentOnly", "development"),
        ("providedRuntime", "peer"),
        ("checkstyle", "build"),
        ("gatlingImplementation", "test"),
        ("dokkaGfmPlugin", "build"),
        ("testAndDevelopmentOnly", "development"),
        ("kotlinBuildToolsApiClasspath", "build"),
        ("devWearApp", "runtime"),
    ],
)
def test_scopes_of_configurations(configuration, scope, read):
    record = read("build.gradle", f"dependencies {{ {configuration} 'g:a:1' }}")
    assert [found.scope for found in record.dependencies] == [scope]
