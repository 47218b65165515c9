"""Noise: manifests that say nothing about the project they lie in.

A copied library, an example or a test's input states dependencies of somebody else, or of nobody. Such files are
read like all others and marked by their path; the marks are the words by which an answer excludes them.

Source: the conventions of npm, Bundler, Go and CocoaPods for copied code, and common names of folders.
"""

import re
from typing import Literal

Mark = Literal["vendored", "example"]
"""`vendored`: a copy of somebody else's code. `example`: an example, test data or documentation."""

_FOLDERS: dict[Mark, str] = {
    "vendored": "node_modules bower_components jspm_packages vendor vendors vendored third_party third-party "
    "thirdparty 3rdparty site-packages dist-packages .venv venv virtualenv .tox .nox .yarn pods deps externals",
    "example": "example examples sample samples demo demos tutorial tutorials fixture fixtures __fixtures__ "
    "test-fixtures test_fixtures testfixtures testdata test-data test_data __testdata__ testcases __mocks__ "
    "doc docs documentation cookbook playground playgrounds",
}
_MARKS: dict[str, Mark] = {folder: mark for mark, folders in _FOLDERS.items() for folder in folders.split()}
_RESOURCES_OF_TESTS = re.compile(r"(?:^|/)src/(?:test|it|integration-?test)/resources/", re.IGNORECASE)


def mark_path(path: str) -> Mark | None:
    """The mark of a file by the folders that it lies in; null for what counts. `vendored` wins over `example`."""
    folders = path.lower().split("/")[:-1]
    marks = {_MARKS[folder] for folder in folders if folder in _MARKS}
    if "vendored" in marks:
        return "vendored"
    return "example" if marks or _RESOURCES_OF_TESTS.search(path) else None
