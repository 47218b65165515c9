"""Gradle's configurations in wump's words.

Source: Gradle's documentation of the Java, Java Library and War plugins, Android's of dependency configurations,
Kotlin's of `kapt`, `ksp` and source sets, Spring Boot's of `developmentOnly`; of the plugins of code quality, Gradle's
and theirs.

What is only compiled against and not there at run time is "build"; what the environment brings is "peer", as with
Maven's `provided`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from wump_core import Scope

_TEST = re.compile(
    r"^test|^i[Tt]est|^e2e|Test|^jmh|^gatling|^benchmark|^cucumber|^spock$|-test-|[sS]pec(?=Impl|Comp|Runt)"
)
_ENDINGS: tuple[tuple[str, Scope], ...] = (
    ("annotationprocessor", "build"),
    ("compileonlyapi", "build"),
    ("compileonly", "build"),
    ("compileclasspath", "build"),
    ("dependenciesmetadata", "runtime"),
    ("developmentonly", "development"),
    ("providedcompile", "peer"),
    ("providedruntime", "peer"),
    ("provided", "peer"),
    ("implementation", "runtime"),
    ("runtimeonly", "runtime"),
    ("runtimeclasspath", "runtime"),
    ("testedapks", "test"),
    ("api", "runtime"),
    ("compile", "runtime"),
    ("runtime", "runtime"),
    ("apk", "runtime"),
    ("wearapp", "runtime"),
    ("elements", "runtime"),
    ("debugging", "development"),
)
_BUILD_PREFIX = re.compile(
    "kapt|ksp|detekt|dokka|ktlint|kover|spotless|asciidoctor|jacoco|protoc$|protobuftools|incrementalscalaanalysis"
    "|kotlinnative|kotlin.*classpath|lintclasspath|swiftexport"
)
"""Of what is loaded by plugins, which add a configuration for each task or source set."""

_BUILD = (
    "classpath apt annotation checkstyle pmd spotbugs spotbugsplugins findbugs findbugsplugins codenarc errorprone"
    " errorpronejavac antlr protobuf jooqgenerator jooqcodegen lintchecks lintpublish corelibrarydesugaring rewrite"
    " annotations signature zinc scalacompilerplugins scalacompilerplugin wsdl2java xjc jaxb openapi swaggercodegen"
    " liquibaseruntime flyway baselineprofile minecraft mappings forge neoforge paperweightdevelopmentbundle pitest"
    " pmdaux proguard r8"
)
_RUNTIME = (
    "bundle shadow shade embed embedded include jarjar compileinclude modimplementation modapi implementation default"
    " archives war earlib natives deploy minecraftlibrary nativeimageclasspath play agent javaagent webjars"
)
_EXACT: Mapping[str, Scope] = {
    **dict.fromkeys(_BUILD.split(), "build"),
    **dict.fromkeys(_RUNTIME.split(), "runtime"),
    "optional": "optional",
    "quarkusdev": "development",
    "testanddevelopmentonly": "development",
}


TOOLS: Mapping[tuple[tuple[str, ...], str], tuple[str, str]] = {
    ((block,), setting): (group, artifact)
    for block, setting, group, artifact in (
        ("checkstyle", "toolVersion", "com.puppycrawl.tools", "checkstyle"),
        ("codenarc", "toolVersion", "org.codenarc", "CodeNarc"),
        ("detekt", "toolVersion", "io.gitlab.arturbosch.detekt", "detekt-cli"),
        ("findbugs", "toolVersion", "com.google.code.findbugs", "findbugs"),
        ("googleJavaFormat", "toolVersion", "com.google.googlejavaformat", "google-java-format"),
        ("jacoco", "toolVersion", "org.jacoco", "org.jacoco.agent"),
        ("lombok", "version", "org.projectlombok", "lombok"),
        ("pmd", "toolVersion", "net.sourceforge.pmd", "pmd-java"),
        ("spotbugs", "toolVersion", "com.github.spotbugs", "spotbugs"),
    )
}
"""What plugins take as a dependency of their own when a script sets this in their block."""

_STRENGTH: tuple[Scope, ...] = ("runtime", "peer", "optional", "build", "development", "test", "unknown")


def choose_strongest(scopes: Iterable[Scope], default: Scope) -> Scope:
    """Of several scopes the one that says most: what is there at run time, then what it is built with, then tests."""
    return min(scopes, key=_STRENGTH.index, default=default)


@lru_cache(maxsize=1_024)
def scope_of(configuration: str) -> Scope:
    """What a configuration's dependencies are needed for."""
    name = configuration.lower()
    if exact := _EXACT.get(name):
        return exact
    if _TEST.search(configuration):
        return "test"
    if _BUILD_PREFIX.match(name):
        return "build"
    return next((scope for ending, scope in _ENDINGS if name.endswith(ending)), "unknown")
