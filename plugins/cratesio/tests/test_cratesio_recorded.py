"""Recorded answers, where the checkout has them beside it."""

import json
from pathlib import Path

import pytest
from wump_core import DependentRecord, InvalidResponse, collect_items, make_purl
from wump_provider_cratesio import crates, dependents, index, packages

RECORDED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "payloads" / "cratesio").is_dir()),
    Path("nowhere"),
)


def load(name: str) -> bytes:
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("file", "name", "version", "licence", "repository"),
    [
        ("crate-bitflags-trimmed", "bitflags", "1.0.1", "MIT/Apache-2.0", "rust-lang-nursery/bitflags"),
        ("crate-cld2", "cld2", "1.0.2", "Unlicense", "emk/rust-cld2"),
        ("crate-libc-2023-trimmed", "libc", "0.2.147", "MIT OR Apache-2.0", "rust-lang/libc"),
        ("crate-libc-include-empty", "libc", None, None, "rust-lang/libc"),
        ("crate-parameters_lib", "parameters_lib", "0.2.2", "MIT", "thefox/parameters-rust"),
        ("crate-shape-2026", "foo_show", "1.0.0", None, None),
        ("crate-utf8-ranges", "utf8-ranges", "1.0.0", "Unlicense/MIT", "burntsushi/utf8-ranges"),
    ],
)
def test_a_recorded_crate(
    file: str, name: str, version: str | None, licence: str | None, repository: str | None
) -> None:
    purl = make_purl("cargo", name)
    crate, versions = crates.parse_crate(purl, load(f"{file}.json"))
    number = crates.find_default(crate, versions)
    described = next((item for item in versions if item["num"] == number), {})
    record = crates.make_record(purl, crate, described, number=number, yanked=None, dependencies=(), diagnostics=())
    assert (record.latest_version, record.licences) == (version, (licence,) if licence else None)
    assert (record.repository and record.repository.path) == repository
    assert record.diagnostics == ()


@pytest.mark.parametrize(
    ("file", "name", "version", "scopes"),
    [
        ("2-cc", "cc", "1.0.72", {"optional": 1, "development": 1}),
        ("3-r-rsa", "rsa", "0.5.0", {"runtime": 12, "optional": 1, "development": 8}),
        ("au-to-autocfg", "autocfg", "1.1.0", {}),
        ("bz-ip-bzip2-sys", "bzip2-sys", "0.1.11+1.0.8", {"runtime": 1, "build": 2}),
        ("cr-at-crates-index-last8", "crates-index", "0.19.11", {"runtime": 11, "optional": 1, "development": 2}),
        ("li-bc-libc", "libc", "0.2.51+metadata", {"optional": 1}),
        ("se-nt-sentry", "sentry", "0.1.2", {"runtime": 3}),
        ("se-rd-serde", "serde", "1.0.134", {"optional": 1, "development": 1}),
    ],
)
def test_a_recorded_file_of_the_index(file: str, name: str, version: str, scopes: dict[str, int]) -> None:
    chosen = index.choose_version(index.parse_versions(make_purl("cargo", name), load(f"index-{file}.txt")))
    dependencies, diagnostics = index.parse_dependencies(chosen)
    found = [item.scope for item in dependencies]
    assert (chosen.number, {scope: found.count(scope) for scope in set(found)}, diagnostics) == (version, scopes, ())


def test_recorded_reverse_dependencies() -> None:
    page = dependents.parse_page(load("reverse-dependencies-shape.json"))
    expected = DependentRecord(purl="pkg:cargo/c2", requirement=">= 0", scope="runtime", direct=True, revision="1.1.0")
    assert (page.items, page.total, page.next_cursor) == ((expected,), 1, None)
    with pytest.raises(InvalidResponse, match="`versions`"):
        dependents.parse_page(load("reverse-dependencies-hyper-native-tls-2017-partial.json"))


def test_recorded_lists() -> None:
    (dependency,), _ = packages.parse_api_dependencies(load("version-dependencies.json"))
    assert (dependency.purl, dependency.requirement) == ("pkg:cargo/regex", "^1.5.0")
    listed = json.loads(load("crates-list-page.json"))["crates"]
    records, diagnostics = collect_items(listed, crates.parse_listed)
    assert [record.purl for record in records][:2] == ["pkg:cargo/a", "pkg:cargo/a-"]
    assert diagnostics == ()
