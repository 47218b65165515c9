"""yarn.lock, of Yarn Classic and of Yarn Berry.

Source: the lockfiles of yarnpkg/yarn (`src/lockfile/`) and yarnpkg/berry (`packages/yarnpkg-parsers/sources/syml.ts`
and `packages/yarnpkg-core/sources/Project.ts`). Berry's are YAML and have a `__metadata` entry; Classic's are not.

One dependency per package, version and alias. Both fix versions and don't tell scopes, which the package.json files
beside them do: for Classic that of the same folder, for Berry those of its workspaces, which it lists. Without these
scope is unknown, and with Classic only those are called direct that no other package needs. `requirement` is what a
project declares, and null for what only other packages need; what stands in an entry's key is theirs.
"""

import re
from collections.abc import Mapping

from wump_core import ManifestRecord

from wump_provider_npm.manifests.yarn_berry import parse_berry
from wump_provider_npm.manifests.yarn_classic import parse_classic

_BERRY = re.compile(rb"(?:^|[\r\n]|\xef\xbb\xbf)__metadata:")


def parse_yarn_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a yarn.lock.

    Raises:
        InvalidManifest: It is no lockfile of either kind, or no UTF-8.
    """
    return (parse_berry if _BERRY.search(content) else parse_classic)(path, content, siblings)
