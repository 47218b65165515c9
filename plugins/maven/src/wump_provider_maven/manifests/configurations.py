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

_TEST = re.compile(r"^test|Test|^jmh|[sS]pec(?=Impl|Comp|Runt)")
_ENDINGS: tuple[tuple[str, Scope], ...] = (
    ("annotationprocessor", "build"),
    ("compileonlyapi", "build"),
    ("compileonly", "build"),
    ("compileclasspath", "build"),
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
    ("debugging", "development"),
)
_BUILD = frozenset(
    "classpath kapt ksp apt annotation detekt detektplugins ktlint checkstyle pmd spotbugs spotbugsplugins findbugs"
    " findbugsplugins codenarc jacocoagent jacocoant errorprone antlr protobuf jooqgenerator lintchecks lintpublish"
    " corelibrarydesugaring kotlincompilerpluginclasspath kotlincompilerclasspath rewrite asciidoctor asciidoctorext"
    " annotations signature zinc scalacompilerplugins scalacompilerplugin wsdl2java xjc jaxb openapi liquibaseruntime"
    " baselineprofile minecraft mappings dokkaplugin dokkahtmlplugin ktlintruleset pitest".split()
)
_RUNTIME = frozenset(
    "bundle shadow shade modimplementation modapi implementation default archives war earlib"
    " natives deploy minecraftlibrary".split()
)


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
    if _TEST.search(configuration):
        return "test"
    if name in _BUILD or name.startswith(("kapt", "ksp")):
        return "build"
    if name in _RUNTIME:
        return "runtime"
    return next((scope for ending, scope in _ENDINGS if name.endswith(ending)), "unknown")
