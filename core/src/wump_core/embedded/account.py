"""Root only: the system user that Postgres runs as, since it refuses to run as root, and what it can reach.

Nobody's permissions are loosened for it. What lies behind folders that this user can't enter, such as a home
folder of mode 0700, gets another place below `SYSTEM_FOLDER`.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wump_core.embedded.machine import OWN_SERVERS
from wump_core.errors import ServerUnavailable

if sys.platform != "win32":
    import pwd

USER_NAME = "wump-postgres"
SYSTEM_FOLDER = Path("/var/lib/wump")


@dataclass(frozen=True)
class Account:
    """A user of this machine, by number."""

    uid: int
    gid: int


def find_account() -> Account | None:
    """The user to run Postgres as: None for ourselves; for root a system user, which is created if missing.

    Raises:
        ServerUnavailable: We are root and the user can't be created.
    """
    if os.geteuid() != 0:
        return None
    account = _look_up_account()
    if account is not None:
        return account
    reason = _create_account()
    account = _look_up_account()  # also if another process was faster
    if account is None:
        raise ServerUnavailable(
            f"Postgres refuses to run as root, and a system user {USER_NAME} for it could not be created: {reason}. "
            f"Run wump as an ordinary user, create that user yourself, or {OWN_SERVERS}"
        )
    return account


def _look_up_account() -> Account | None:
    try:
        entry = pwd.getpwnam(USER_NAME)
    except KeyError:
        return None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _create_account() -> str:
    """Returns why it failed, or an empty text."""
    # A root shell made by a plain `su` has no sbin folders on its PATH.
    program = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        return "the program useradd is missing (on Debian it is in the package passwd)"
    command = [
        program,
        "--system",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/bin/false",
        USER_NAME,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - constants only
    return "" if result.returncode == 0 else result.stderr.strip() or f"useradd ended with {result.returncode}"


def can_others_enter(path: Path) -> bool:
    """Whether users other than the owner can enter the folder, through all its parents."""
    path = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def choose_folder(wanted: Path, account: Account | None) -> Path:
    """Return the server's folder, made for this account. It is `wanted` itself or where that links to.

    Raises:
        OSError: A folder can't be made.
    """
    if wanted.is_symlink() and not wanted.exists():
        wanted.unlink()  # what it pointed to has been removed
    if account is not None and not wanted.exists() and not can_others_enter(wanted.parent):
        # A link, so that whoever looks for the data finds it, and so do we, even if permissions change.
        wanted.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=_make_system_folder()))
    folder = wanted.resolve()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    if account is not None:
        _give_to(folder, account)
    return folder


def _make_system_folder() -> Path:
    SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
    SYSTEM_FOLDER.chmod(0o755)  # whatever root's umask is
    return SYSTEM_FOLDER


def _give_to(folder: Path, account: Account) -> None:
    """The account's number changes when a container is built anew while its volume stays."""
    if folder.stat().st_uid == account.uid:
        return
    for parent, _, names in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def reachable_package(package: Path, version: str, account: Account | None) -> Path:
    """Return the package's folder, or a copy of it that the account can read and run.

    Raises:
        OSError: The copy can't be made.
    """
    if account is None or can_others_enter(package / "pginstall" / "bin"):
        return package
    copy = _make_system_folder() / f"programs-{version}"
    if not copy.exists():
        # Renamed when complete: a copy that was interrupted is never used.
        temporary = Path(tempfile.mkdtemp(prefix="copy-", dir=SYSTEM_FOLDER))
        try:
            _copy_readable(package, temporary)
            temporary.rename(copy)
        except FileExistsError:
            return copy / package.name  # another process was faster
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return copy / package.name


def _copy_readable(package: Path, target: Path) -> None:
    # The programs find their libraries by the relative path of the wheel, in a folder beside the package.
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            ignored = shutil.ignore_patterns("include", "__pycache__", "*.py")
            shutil.copytree(folder, target / folder.name, symlinks=True, ignore=ignored)
    for parent, _, names in os.walk(target):
        os.chmod(parent, 0o755)  # noqa: S103 - programs, for everyone to run
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
