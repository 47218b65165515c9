"""Recorded answers, where the checkout has them beside it."""

from pathlib import Path

import pytest
from wump_core import make_purl
from wump_provider_maven.manifests import parse_manifest
from wump_provider_maven.models import Model
from wump_provider_maven.parse import parse_package
from wump_provider_maven.poms import Pom, parse_pom
from wump_provider_maven.repository import parse_metadata
from wump_provider_maven.versions import choose_latest

PLACES = [folder / "shared" / "payloads" / "maven" for folder in Path(__file__).parents]
RECORDED = next((place for place in PLACES if place.is_dir()), PLACES[0])
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded answers beside the checkout")


def load(name: str) -> Pom:
    return parse_pom((RECORDED / f"{name}.pom").read_bytes())[0]


def test_a_chain_of_six():
    names = "runtime-2.3.1 runtime-parent-2.3.1 parent-2.3.1 bom-ext-2.3.1 bom-2.3.1".split()
    lineage = [*(load(f"jaxb-{name}") for name in names), load("jvnet-parent-5")]
    purl = make_purl("maven", "org.glassfish.jaxb:jaxb-runtime")
    record = parse_package(purl, "2.3.1", Model(lineage), (), ())
    assert record.diagnostics == ()
    found = {item.name: (item.requirement, item.scope) for item in record.dependencies or ()}
    assert found["javax.xml.bind:jaxb-api"] == ("2.3.1", "runtime")
    assert found["org.glassfish.jaxb:txw2"] == ("2.3.1", "runtime")
    assert found["org.jvnet.staxex:stax-ex"] == ("1.8", "runtime")
    assert record.licences == ("CDDL+GPL License",)
    assert record.description == "JAXB (JSR 222) Reference Implementation"
    assert record.repository is None or record.repository.host != "github.com"


def test_the_parents_repository():
    model = Model([load("okhttp-3.10.0"), load("parent-3.10.0")])
    record = parse_package(make_purl("maven", "com.squareup.okhttp3:okhttp"), "3.10.0", model, (), ())
    assert record.repository is not None
    assert (record.repository.path, record.licences) == ("square/okhttp", ("Apache 2.0",))


@pytest.mark.parametrize(
    ("name", "group", "artifact", "latest"),
    [
        ("jaxb-runtime--maven-metadata", "org.glassfish.jaxb", "jaxb-runtime", "4.0.5"),
        ("metadata-with_date_releases", "commons-collections", "commons-collections", "3.2.2"),
        ("metadata-with_release", "com.google.guava", "guava", "23.6-jre"),
        ("lambda-tracer--maven-metadata", "com.appdynamics", "lambda-tracer", "20.11.1400"),
    ],
)
def test_recorded_metadata(name, group, artifact, latest):
    metadata = parse_metadata((RECORDED / f"{name}.xml").read_bytes(), group, artifact)
    assert choose_latest(metadata.versions)[0] == latest


def test_every_recorded_pom_is_read():
    for path in sorted(RECORDED.glob("*.pom")):
        record = parse_manifest("pom.xml", path.read_bytes(), {})
        text = path.read_bytes().decode("utf-8", "replace").split("\n")
        for found in record.dependencies:
            assert found.line is not None
            assert found.name.rpartition(":")[2] in text[found.line - 1] or "$" in text[found.line - 1]
