"""The open data: in any order, with fewer columns, and damaged."""

import shutil
import tarfile
from pathlib import Path

import pytest
from wump_core import DumpInfo, InvalidDump, InventoryRecord, PackageRecord
from wump_provider_librariesio import inventories
from wump_provider_librariesio.dumps import read_dump

DUMP = Path(__file__).parent / "recordings" / "dumps" / "open-data"
NAMES = ("projects", "dependencies", "repositories", "repository_dependencies")
PROJECTS, DEPENDENCIES, REPOSITORIES, MANIFESTS = (f"{name}-1.6.0-2020-01-12.csv" for name in NAMES)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DUMP, tmp_path / "dump"))


def test_files_may_stand_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "open-data.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in (MANIFESTS, DEPENDENCIES, REPOSITORIES, PROJECTS):
            tar.add(DUMP / name, f"data/{name}")
    assert list(read_dump(path)) == list(read_dump(DUMP))


def test_without_a_latest_version_dependencies_are_unknown(copy: Path) -> None:
    (copy / PROJECTS).write_text("ID,Platform,Name,Repository URL\n7,NPM,left-pad,\n6,CPAN,X,\n")
    for name in (REPOSITORIES, MANIFESTS):
        (copy / name).unlink()
    info, record = read_dump(copy)
    assert isinstance(info, DumpInfo)
    assert isinstance(record, PackageRecord)
    assert (info.packages, record.dependencies, record.latest_version) == (1, None, None)
    assert info.repositories is None


def test_what_one_project_says_does_not_end_the_reading(copy: Path) -> None:
    text = (copy / PROJECTS).read_text()
    (copy / PROJECTS).write_text(text.replace("https://github.com/Acme/Widget", "https://ho_st/" + "a" * 300))
    assert len(list(read_dump(copy))) == 8


def test_a_byte_order_mark_is_passed_over(copy: Path) -> None:
    before = list(read_dump(copy))
    for name in (PROJECTS, MANIFESTS):
        (copy / name).write_text("\ufeff" + (copy / name).read_text())
    assert list(read_dump(copy)) == before


def test_rows_of_a_repository_may_stand_apart(copy: Path) -> None:
    before = list(read_dump(copy))
    header, *rows = (copy / MANIFESTS).read_text().splitlines(keepends=True)
    rows.sort(key=lambda row: row.split(",")[9])
    (copy / MANIFESTS).write_text("".join([header, *rows]))
    assert {_said(record) for record in before} == {_said(record) for record in read_dump(copy)}


def _said(record: object) -> tuple[str, frozenset[object]]:
    if not isinstance(record, InventoryRecord):
        return repr(record), frozenset()
    told = {(file.path, item) for file in record.manifests or () for item in file.dependencies}
    return record.repository.path, frozenset(told)


def test_without_manifests_what_repositories_need_is_unknown(copy: Path) -> None:
    (copy / MANIFESTS).unlink()
    info, *records = read_dump(copy)
    (found,) = (record for record in records if isinstance(record, InventoryRecord))
    assert isinstance(info, DumpInfo)
    assert (info.repositories, found.repository.path, found.manifests) == (1, "Acme/Widget", None)


def test_what_is_too_much_of_a_repository_is_counted(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventories, "MAX_DEPENDENCIES", 2)
    (shop,) = (
        record
        for record in read_dump(copy)
        if isinstance(record, InventoryRecord) and record.repository.path == "Beta/shop"
    )
    assert [
        (file.path, len(file.dependencies), [note.message for note in file.diagnostics])
        for file in shop.manifests or ()
    ] == [
        ("package-lock.json", 1, []),
        ("package.json", 1, ["3 more dependencies were left out"]),
        ("examples/requirements.txt", 0, ["1 more dependencies were left out"]),
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (PROJECTS, "ID,Platform,Name,", "ID,Platform,Title,", r"row 0 \(the header\): the column Name is missing"),
        (PROJECTS, "3,Pypi", "7,Pypi", r"row 2 \(line 4\), column ID: 7 was there before"),
        (DEPENDENCIES, "23,CPAN,Acme::Widget,6", "23,CPAN,Acme::Widget,99", r"row 5 \(line 6\), column Project ID: 99"),
        (REPOSITORIES, "\n3,GitHub", "\n2,GitHub", r"row 3 \(line 5\), column ID: it was there before"),
        (REPOSITORIES, "Host Type,", "Host,", r"row 0 \(the header\): the column Host Type is missing"),
        (MANIFESTS, "delta/ruby,4", "delta/ruby,99", r"row 9 \(line 10\), column Repository ID: 99 names no row"),
        (MANIFESTS, "delta/ruby,4", "delta/ruby,", r"row 9 \(line 10\), column Repository ID: '' is no id"),
        (
            MANIFESTS,
            "pom.xml,master",
            "pom.x\udcffml,master",
            r"row 10 \(line 11\), column Manifest Filepath: .* no UTF-8",
        ),
        (PROJECTS, "widgets", "w\udce4dgets", r"row 1 \(line 3\), column Description: this is no UTF-8"),
        (DEPENDENCIES, "22,NPM", "21,NPM", r"row 4 \(line 5\), column ID: it was there before"),
        (DEPENDENCIES, "false,0,\n", "false,0", r"row 5 \(line 6\), column Dependency Project ID: the row has"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(copy: Path, file: str, old: str, new: str, words: str) -> None:
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1), errors="surrogateescape")
    with pytest.raises(InvalidDump, match=rf"{file}, {words}"):
        list(read_dump(copy))


@pytest.mark.parametrize("file", [PROJECTS, DEPENDENCIES, REPOSITORIES])
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(InvalidDump, match=r" no (projects|dependencies|repositories)-\*\.csv"):
        list(read_dump(copy))
