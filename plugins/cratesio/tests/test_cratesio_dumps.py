"""Dumps: packed in any order, damaged in any place, and made to do harm."""

import csv
import gzip
import io
import random
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from wump_core import DumpInfo, InvalidDump, PackageRecord
from wump_core import dumps as bounds
from wump_provider_cratesio.dumps import read_dump

DUMP = Path(__file__).parent / "recordings" / "dumps" / "db-dump"
TABLES = ("crates", "default_versions", "dependencies", "versions")


def pack(path: Path, names: Iterable[str], folder: Path = DUMP, mode: Any = "w:gz") -> Path:
    """Pack files of a dump in that order."""
    with tarfile.open(path, mode) as tar:
        for name in names:
            tar.add(folder / name, f"2026-11-25-020005/{name}")
    return path


def read(path: Path) -> list[DumpInfo | PackageRecord]:
    return list(read_dump(path))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DUMP, tmp_path / "dump"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_the_order_in_an_archive_makes_no_difference(tmp_path: Path, seed: int, mode: str) -> None:
    names = ["metadata.json", *(f"data/{name}.csv" for name in TABLES)]
    random.Random(seed).shuffle(names)
    assert read(pack(tmp_path / "dump.tar", names, mode=mode)) == read(DUMP)


def test_columns_come_and_go(copy: Path) -> None:
    expected = read(DUMP)
    for name in TABLES:
        path = copy / "data" / f"{name}.csv"
        rows = [list(reversed([*row, "new"])) for row in csv.reader(path.open(newline=""))]
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    (copy / "metadata.json").unlink()
    found = read(copy)
    assert found == [DumpInfo(packages=4), *expected[1:]]


def change(file: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "data" / f"{file}.csv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return apply


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change("versions", ",num,", ",number,"), "data/versions.csv, row 0 (the header): the column num is missing"),
        (change("crates", ",,7,,,widget", ",,seven,,,widget"), "data/crates.csv, row 1 (line 5), column id: 'seven'"),
        (change("crates", ",,,widget", ",,,wid get"), "column name: 'wid get' is not a crate's name"),
        (change("crates", ",3,,,Gizmo", ",7,,,Gizmo"), "data/crates.csv, row 2 (line 6), column id: 7 was there"),
        (
            change("default_versions", "3,1,40", "99,1,40"),
            "data/default_versions.csv, row 2 (line 3), column crate_id: 99",
        ),
        (
            change("default_versions", "3,1,40", "3,1,77"),
            "data/default_versions.csv, row 2, column version_id: 77 names no",
        ),
        (
            change("versions", "{},{},3,100", "{},{},98,100"),
            "row 3 (line 4), column crate_id: 98 names no row of data/cr",
        ),
        (change("versions", '"": []}"', '"": []"'), "data/versions.csv, row 1 (line 2), column features: is no JSON"),
        (
            change("dependencies", "12,t,json", "97,t,json"),
            "data/dependencies.csv, row 1 (line 2), column crate_id: 97",
        ),
        (
            change("dependencies", ",^1,,41", ",^1,,"),
            "data/dependencies.csv, row 1 (line 2), column version_id: '' is no id",
        ),
        (change("dependencies", ",^0,,39", ",^0,,96"), "data/dependencies.csv, row 4 (line 5), column version_id: 96"),
        (change("dependencies", "502,2,f", "502,3,f"), "column kind: '3' is none of 0 (normal), 1 (build) and 2 (dev)"),
        (change("dependencies", "501,0,t", "501,0,yes"), "row 1 (line 2), column optional: 'yes' is neither t nor f"),
        (
            change("dependencies", ",^0,,39", ",^0"),
            "row 4 (line 5), column target: the row has 8 columns, and the header 10",
        ),
        (change("dependencies", "f,*,,30\n", "f,*,,30"), "row 5 (line 6), column target: the file ends in the middle"),
        (
            change("dependencies", "502,2,f", "501,2,f"),
            "data/dependencies.csv, row 2 (line 3), column id: it was there before",
        ),
        (change("versions", '"{""full""', '"{"full""'), "data/versions.csv, row 1 (line 2): this is no CSV"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(copy: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(copy)
    with pytest.raises(InvalidDump) as error:
        read(copy)
    assert words in str(error.value)


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_table_is_named(copy: Path, name: str) -> None:
    (copy / "data" / f"{name}.csv").unlink()
    with pytest.raises(InvalidDump, match=rf"has no data/{name}\.csv"):
        read(copy)


def test_a_truncated_archive_ends_in_a_row(tmp_path: Path) -> None:
    whole = pack(tmp_path / "whole.tar", [f"data/{name}.csv" for name in TABLES], mode="w").read_bytes()
    plain = tmp_path / "cut.tar"
    plain.write_bytes(whole[: whole.index(b"serde_json,,")])
    with pytest.raises(InvalidDump, match=r"data/crates\.csv, row \d+ .*the archive"):
        read(plain)
    packed = tmp_path / "cut.tar.gz"
    packed.write_bytes(gzip.compress(whole)[:-200])
    with pytest.raises(InvalidDump, match="the archive"):
        read(packed)


def test_no_archive_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<html>")
    with pytest.raises(InvalidDump, match=r"page\.html: the archive can't be read"):
        read(path)


def test_paths_links_and_devices_in_an_archive_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("../../data/crates.csv", "/etc/data/crates.csv", "a/b/c/d/data/crates.csv"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"id\n"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("dump/data/crates.csv")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for name in ("metadata.json", *(f"data/{name}.csv" for name in TABLES)):
            tar.add(DUMP / name, f"dump/{name}")
    assert read(path) == read(DUMP)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["hostile.tar"], "nothing was unpacked"


def test_a_bomb_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "FREE_BYTES", 1_000_000)
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("dump/data/readme.csv")
        info.size = 5_000_000
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(InvalidDump, match="grows more than 200 times"):
        read(path)


def test_headers_and_lines_without_end_are_not_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("x" * (bounds.MAX_HEADER_BYTES + 10)))
    with pytest.raises(InvalidDump, match=r"a header of"):
        read(path)
    monkeypatch.setattr(bounds, "MAX_FIELD", 3_000_000)
    for line in (b"a" * 5_000_000, b'7,"' + b"a\n" * 2_500_000, b"," * 5_000_000):
        folder = tmp_path / f"dump-{len(line)}-{line[:1].decode()}"
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "crates.csv").write_bytes((DUMP / "data" / "crates.csv").read_bytes() + line)
        with pytest.raises(InvalidDump, match=r"data/crates\.csv, row 5 .*(no CSV|columns)"):
            read(folder)


def test_a_large_readme_is_no_fault(copy: Path) -> None:
    change("crates", "several lines", "several lines " * 100_000)(copy)
    limit = csv.field_size_limit()
    assert read(copy) == read(DUMP)
    assert csv.field_size_limit() == limit
