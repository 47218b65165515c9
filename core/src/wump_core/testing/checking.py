"""A pytest plugin for `wump providers check`: it records where it is asked to, and sees that no standard test was
left out.
"""

from typing import Any

import pytest

from wump_core.testing.conformance import ProviderConformance

STANDARD_TESTS = frozenset(name for name in vars(ProviderConformance) if name.startswith("test_"))
NO_CASE = "got empty parameter set"
"""How pytest's own reason begins, where a test has nothing to be spread over."""


class Checking:
    """Notes what became of the standard tests."""

    def __init__(self) -> None:
        self.excuses: dict[str, str] = {}
        self.left_out: list[str] = []
        self.ran: set[str] = set()
        self.providers: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note whose standard tests there are."""
        for item in items:
            owner = getattr(item, "cls", None)
            if isinstance(owner, type) and issubclass(owner, ProviderConformance):
                self.providers.add(owner.provider)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Note the outcome of a standard test."""
        outcome = yield
        report = outcome.get_result()
        name = getattr(item, "originalname", "")
        owner = getattr(item, "cls", None)
        if name not in STANDARD_TESTS or not (isinstance(owner, type) and issubclass(owner, ProviderConformance)):
            return
        reason = str(getattr(report, "wasxfail", "")) or (report.longrepr[2] if report.skipped else "")
        if report.skipped and getattr(report, "wasxfail", None):
            self.excuses[item.name] = reason
        elif report.skipped and NO_CASE not in reason:
            self.left_out.append(f"{item.name} was skipped: {reason}")
        if report.when == "call" or report.skipped:
            self.ran.add(name)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn a good end into a bad one where standard tests were left out."""
        if not self.providers:
            self.left_out.append("there is no subclass of wump_core.testing.ProviderConformance")
        self.left_out += [f"{name} did not run" for name in sorted(STANDARD_TESTS - self.ran)]
        if self.left_out and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was excused and what was left out."""
        for name, reason in self.excuses.items():
            terminalreporter.write_line(f"excused: {name}: {reason}")
        for line in self.left_out:
            terminalreporter.write_line(f"left out: {line}", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that lets cases be recorded."""
    parser.addoption(
        "--wump-record",
        dest="wump_record",
        action="store_true",
        help="Ask the upstreams for recordings that are missing.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Look over the session."""
    config.pluginmanager.register(Checking(), "wump-checking")
