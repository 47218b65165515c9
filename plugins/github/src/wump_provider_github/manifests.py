"""The formats that this plugin reads."""

from collections.abc import Mapping

from wump_core import Format, ManifestRecord, list_globs, parse_with

from wump_provider_github import funding, submodules, workflows

FORMATS = (
    Format(
        name="workflow",
        globs=(".github/workflows/*.yml", ".github/workflows/*.yaml"),
        kind="manifest",
        max_bytes=500_000,
        yields="Actions and reusable workflows with their ref, and the version that a comment gives to a pinned commit;"
        " local actions and images are kept without purl. References with expressions can't be read.",
        parse=workflows.parse_workflow,
    ),
    Format(
        name="action.yml",
        globs=("action.yml", "action.yaml"),
        kind="manifest",
        max_bytes=500_000,
        yields="What the steps of a composite action use, and the image or Dockerfile of a Docker action.",
        parse=workflows.parse_action,
    ),
    Format(
        name=".gitmodules",
        globs=(".gitmodules",),
        kind="manifest",
        max_bytes=500_000,
        yields="Submodules by name and address, kept as git and never counted.",
        parse=submodules.parse_gitmodules,
    ),
    Format(
        name="FUNDING.yml",
        globs=("FUNDING.yml", "FUNDING.yaml"),
        kind="manifest",
        max_bytes=funding.MAX_BYTES,
        yields="Where the project asks for money; no dependencies.",
        parse=funding.parse_funding_manifest,
    ),
    Format(
        name="funding.json",
        globs=("funding.json",),
        kind="manifest",
        max_bytes=funding.MAX_BYTES,
        yields="The channels of a FLOSS/fund manifest that have a web address, and its page; no dependencies.",
        parse=funding.parse_funding_json,
    ),
)
"""In the order in which they are tried."""

GLOBS = list_globs(FORMATS)
ECOSYSTEMS = (workflows.ECOSYSTEM, submodules.ECOSYSTEM)


def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file with the format that fits its path.

    Raises:
        InvalidManifest: None fits, or nothing of the file can be read.
    """
    return parse_with(FORMATS, path, content, siblings)
