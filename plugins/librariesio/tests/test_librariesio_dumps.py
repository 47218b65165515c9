"""The open data: in any order, with fewer columns, and damaged."""

import shutil
import tarfile
from pathlib import Path

import pytest
from wump_core import DumpInfo, InvalidDump, PackageRecord
from wump_provider_librariesio.dumps import read_dump

DUMP = Path(__file__).parent / "recordings" / "dumps" / "open-data"
PROJECTS, DEPENDENCIES = "projects-1.6.0-2020-01-12.csv", "dependencies-1.6.0-2020-01-12.csv"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DUMP, tmp_path / "dump"))


def test_dependencies_may_stand_before_projects(tmp_path: Path) -> None:
    path = tmp_path / "open-data.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in (DEPENDENCIES, PROJECTS):
            tar.add(DUMP / name, f"data/{name}")
    assert list(read_dump(path)) == list(read_dump(DUMP))


def test_without_a_latest_version_dependencies_are_unknown(copy: Path) -> None:
    (copy / PROJECTS).write_text("ID,Platform,Name,Repository URL\n7,NPM,left-pad,\n6,CPAN,X,\n")
    info, record = read_dump(copy)
    assert isinstance(info, DumpInfo)
    assert isinstance(record, PackageRecord)
    assert (info.packages, record.dependencies, record.latest_version) == (1, None, None)


def test_what_one_project_says_does_not_end_the_reading(copy: Path) -> None:
    text = (copy / PROJECTS).read_text()
    (copy / PROJECTS).write_text(text.replace("https://github.com/Acme/Widget", "https://ho_st/" + "a" * 300))
    assert len(list(read_dump(copy))) == 4


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (PROJECTS, "ID,Platform,Name,", "ID,Platform,Title,", r"row 0 \(the header\): the column Name is missing"),
        (PROJECTS, "3,Pypi", "7,Pypi", r"row 2 \(line 4\), column ID: 7 was there before"),
        (DEPENDENCIES, "23,CPAN,Acme::Widget,6", "23,CPAN,Acme::Widget,99", r"row 5 \(line 6\), column Project ID: 99"),
        (DEPENDENCIES, "false,0,\n", "false,0", r"row 5 \(line 6\), column Dependency Project ID: the row has"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(copy: Path, file: str, old: str, new: str, words: str) -> None:
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    with pytest.raises(InvalidDump, match=rf"{file}, {words}"):
        list(read_dump(copy))


@pytest.mark.parametrize("file", [PROJECTS, DEPENDENCIES])
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(InvalidDump, match=r"has no (projects|dependencies)-\*\.csv"):
        list(read_dump(copy))
