"""Manifests of Maven, Gradle, Ivy and sbt: which file name means which format."""

from collections.abc import Mapping

from wump_core import Format, ManifestRecord, list_globs, parse_with

from wump_provider_maven.manifests import (
    build_gradle,
    build_sbt,
    extensions_xml,
    gradle_lockfile,
    ivy_xml,
    pom_xml,
    verification_metadata,
    version_catalog,
)
from wump_provider_maven.manifests.gradle_variables import SCRIPTS

FORMATS: tuple[Format, ...] = (
    Format(
        name=pom_xml.FORMAT,
        globs=("pom.xml", "*.pom.xml", "*-pom.xml", "*_pom.xml", "*.pom"),
        kind="manifest",
        max_bytes=2_000_000,
        yields="Dependencies with what parents and imports in the tree manage, also of profiles; plugins, extensions, "
        "imports and the parent as build. What a POM outside of the tree decides is a diagnostic.",
        parse=pom_xml.parse_pom_xml,
    ),
    Format(
        name=extensions_xml.FORMAT,
        globs=(".mvn/extensions.xml",),
        kind="manifest",
        max_bytes=500_000,
        yields="What Maven itself is extended with, as build.",
        parse=extensions_xml.parse_extensions_xml,
    ),
    Format(
        name=build_gradle.FORMAT,
        globs=(*SCRIPTS, "*.gradle", "*.gradle.kts"),
        kind="manifest",
        max_bytes=500_000,
        yields="Dependencies in every notation with their configuration, plugins by id, tools that plugins run, and "
        "Spring's imports; versions from variables, gradle.properties, catalogs and the scripts around it. Read, never "
        "run: what is computed is a diagnostic.",
        parse=build_gradle.parse_build_gradle,
    ),
    Format(
        name=version_catalog.FORMAT,
        globs=("*.versions.toml",),
        kind="manifest",
        max_bytes=500_000,
        yields="The libraries and plugins of a catalog; who asks for them build scripts say, so scope is unknown.",
        parse=version_catalog.parse_version_catalog,
    ),
    Format(
        name=gradle_lockfile.FORMAT,
        globs=("gradle.lockfile", "buildscript-gradle.lockfile", "*.gradle.lockfile", "dependency-locks/*.lockfile"),
        kind="lockfile",
        max_bytes=2_000_000,
        yields="The locked versions, with the scope by their configurations; what is direct, and the ranges, by the "
        "build script beside it.",
        parse=gradle_lockfile.parse_gradle_lockfile,
    ),
    Format(
        name=verification_metadata.FORMAT,
        globs=("verification-metadata.xml",),
        kind="lockfile",
        max_bytes=4_000_000,
        yields="Every component that has a checksum; neither scope nor what is direct is told there.",
        parse=verification_metadata.parse_verification_metadata,
    ),
    Format(
        name=ivy_xml.FORMAT,
        globs=("ivy.xml", "ivy-*.xml", "*.ivy.xml"),
        kind="manifest",
        max_bytes=500_000,
        yields="Dependencies with their configurations; settings of the build that are used in a revision are a "
        "diagnostic.",
        parse=ivy_xml.parse_ivy_xml,
    ),
    Format(
        name=build_sbt.FORMAT,
        globs=("build.sbt", "project/*.sbt", "project/*.scala", "*.sbt"),
        kind="manifest",
        max_bytes=500_000,
        yields="Dependencies and plugins of sbt, where they are written, with the scope that settings and uses give "
        "them; the Scala version that is part of a name from build.sbt and build.properties. Read, never run.",
        parse=build_sbt.parse_build_sbt,
    ),
)
"""The formats, with the largest size of each."""

GLOBS = list_globs(FORMATS)


def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file, by its name.

    Raises:
        InvalidManifest: The name is none of `GLOBS`, or nothing of the file can be read.
    """
    return parse_with(FORMATS, path, content, siblings)
