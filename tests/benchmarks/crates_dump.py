"""A made-up database dump of crates.io: all of its tables, the same for the same seed.

A real one has some 230,000 crates, eight versions of each, and nine dependencies of each version; readmes and features
make up most of its bytes. Most of what a version needs is popular: Zipf's law, as everywhere.
"""

import csv
import json
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

REAL_CRATES = 230_000
ORDER = (
    *("categories", "crate_downloads", "crates", "keywords", "metadata", "oauth_github", "reserved_crate_names"),
    *("reserved_usernames", "teams", "users", "crates_categories", "crates_keywords", "crate_owners"),
    *("deleted_crates", "versions", "default_versions", "dependencies", "version_downloads"),
)
"""The tables, each after those that it refers to."""

TOP = "2026-11-25-020005"
_MADE_AT = "2026-11-25T02:00:05.123456Z"
_TIME = "2026-01-02 03:04:05.678901+00"
_WORDS = (
    "fast small simple async safe typed portable complete reader writer of for with bindings parser wire time".split()
)
Rows = Iterable[list[Any]]


def write_folder(folder: Path, crates: int, seed: int = 1) -> Path:
    """Write a dump unpacked; returns its folder."""
    (folder / "data").mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps({"timestamp": _MADE_AT, "crates_io_commit": "0" * 40}))
    for name in ("schema.sql", "export.sql", "import.sql", "README.md"):
        (folder / name).write_text(f"-- {name} of a dump\n")
    made = _Made(crates, seed)
    for name in ORDER:
        header, rows = made.tables[name]
        with (folder / "data" / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header.split(","))
            writer.writerows(rows())
    return folder


def pack(folder: Path, archive: Path, order: Iterable[str] = ORDER) -> Path:
    """Pack a dump as crates.io does, its tables in that order."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in ("README.md", "export.sql", "import.sql", "metadata.json", "schema.sql"):
            tar.add(folder / name, f"{TOP}/{name}")
        for name in order:
            tar.add(folder / "data" / f"{name}.csv", f"{TOP}/data/{name}.csv")
    return archive


class _Made:
    """The tables with their headers, made one row after another."""

    def __init__(self, crates: int, seed: int) -> None:
        self._crates = crates
        self._dice = random.Random(seed)
        self._versions: list[tuple[int, int, int, bool]] = []  # id, crate, number, yanked
        self._defaults: dict[int, tuple[int, int]] = {}
        nothing: Callable[[], Rows] = lambda: ()  # noqa: E731
        people = max(3, crates // 5)
        self.tables: dict[str, tuple[str, Callable[[], Rows]]] = {
            "categories": ("category,crates_cnt,created_at,description,id,path,slug", self._categories),
            "crate_downloads": ("crate_id,downloads", self._downloads),
            "crates": (
                "created_at,description,documentation,homepage,id,max_features,max_upload_size,name,readme,repository,"
                "trustpub_only,updated_at",
                self._make_crates,
            ),
            "keywords": ("crates_cnt,created_at,id,keyword", nothing),
            "metadata": ("total_downloads", lambda: [[123_456_789]]),
            "oauth_github": (
                "account_id,avatar,login,user_id",
                lambda: ([n, f"https://avatars.example/u/{n}", f"dev-{n}", n] for n in range(1, people)),
            ),
            "reserved_crate_names": ("name", lambda: [["std"], ["core"]]),
            "reserved_usernames": ("username", lambda: [["admin"]]),
            "teams": ("avatar,github_id,id,login,name,org_id", lambda: [["", 1, 1, "github:acme:core", "Core", 1]]),
            "users": (
                "created_at,gh_id,gh_login,id,name,username",
                lambda: ([_TIME, n, f"dev-{n}", n, f"Dev {n}", f"dev-{n}"] for n in range(1, people)),
            ),
            "crates_categories": ("category_id,crate_id", lambda: ([1 + n % 7, self._id(n)] for n in self._all())),
            "crates_keywords": ("crate_id,keyword_id", nothing),
            "crate_owners": (
                "crate_id,created_at,created_by,owner_id,owner_kind",
                lambda: ([self._id(n), _TIME, 1, 1 + n % (people - 1), 0] for n in self._all()),
            ),
            "deleted_crates": ("available_at,created_at,deleted_at,deleted_by,id,message,name", nothing),
            "versions": (
                "bin_names,categories,crate_id,crate_size,created_at,description,documentation,downloads,edition,"
                "features,has_lib,homepage,id,keywords,license,links,num,num_no_build,published_by,repository,"
                "rust_version,tar_sha256,updated_at,yanked,zip_json_sha256,zip_sha256",
                self._make_versions,
            ),
            "default_versions": (
                "crate_id,num_versions,version_id",
                lambda: ([crate, many, version] for crate, (version, many) in self._defaults.items()),
            ),
            "dependencies": (
                "crate_id,default_features,explicit_name,features,id,kind,optional,req,target,version_id",
                self._dependencies,
            ),
            "version_downloads": (
                "date,downloads,version_id",
                lambda: (
                    [f"2026-11-{day:02}", 7, version]
                    for version, _, number, _ in self._versions
                    if number == 1
                    for day in range(1, 25)
                ),
            ),
        }

    def _all(self) -> range:
        return range(1, self._crates + 1)

    @staticmethod
    def _id(number: int) -> int:
        return 10 + 3 * number

    @staticmethod
    def _name(number: int) -> str:
        return f"crate_{number}" if number % 3 else f"Crate-{number}"

    def _categories(self) -> Rows:
        return [[f"Category {n}", 5, _TIME, f"All of {n},\nand more", n, f"root.c{n}", f"c-{n}"] for n in range(1, 8)]

    def _downloads(self) -> Rows:
        return ([self._id(n), 1_000_000 // n] for n in self._all())

    def _repository(self, number: int) -> str:
        if number % 11 == 0:
            return ""
        owner = 1 + int(self._crates ** ((number * 7919 % 1_000) / 1_000))
        return f"https://github.com/Org-{owner}/repo-{number // 2}" + ("/tree/main/sub" if number % 5 == 0 else "")

    def _text(self, words: int) -> str:
        return " ".join(self._dice.choices(_WORDS, k=words))

    def _make_crates(self) -> Iterator[list[Any]]:
        for n in self._all():
            readme = f"# {self._name(n)}\n\n" + "\n".join(
                f'{self._text(12)}, "{self._text(3)}"' for _ in range(self._dice.randrange(1, 70))
            )
            yield [
                *(_TIME, self._text(9), f"https://docs.example/{n}", "", self._id(n), "", "", self._name(n), readme),
                *(self._repository(n), "f", _TIME),
            ]

    def _make_versions(self) -> Iterator[list[Any]]:
        key = 0
        for n in self._all():
            many = min(200, 1 + int(self._dice.expovariate(1 / 7)))
            for number in range(1, many + 1):
                key += 1
                yanked = self._dice.random() < 0.03
                self._versions.append((key, n, number, yanked))
                features = json.dumps(
                    {"default": ["std"], "std": [], "full": [f"dep:{self._name(n % 20 + 1)}", "x?/std"]}
                    | {f"feature-{k}": [f"f-{k}/std"] for k in range(self._dice.randrange(12))}
                )
                if not yanked or self._id(n) not in self._defaults or number == 1:
                    self._defaults[self._id(n)] = (key, many)
                yield [
                    *("{}", "{}", self._id(n), 12_345, _TIME, self._text(9), f"https://docs.example/{n}", 99, "2021"),
                    *(features, "t", "", key, "{}", "MIT OR Apache-2.0", "", f"1.{number}.0", f"1.{number}.0", 1),
                    *(self._repository(n), "1.60", f"{key:064x}", _TIME, "t" if yanked else "f", "", ""),
                ]

    def _dependencies(self) -> Iterator[list[Any]]:
        key, dice = 0, self._dice
        for version, crate, _, _ in self._versions:
            for _ in range(min(60, int(dice.expovariate(1 / 9)))):
                key += 1
                target = min(self._crates, int(self._crates ** dice.random()))
                if target == crate:
                    continue
                chance = dice.random()
                kind = 0 if chance < 0.7 else 2 if chance < 0.94 else 1
                yield [
                    *(self._id(target), "t", "renamed" if chance > 0.99 else "", "{derive}" if chance < 0.2 else "{}"),
                    *(key, kind, "t" if chance < 0.1 else "f", f"^{dice.randrange(5)}.{dice.randrange(20)}"),
                    *("cfg(windows)" if 0.6 < chance < 0.65 else "", version),
                ]
