"""Plugins of tests, installed into a folder as pip would have done it."""

from pathlib import Path


def install_plugin(site: Path, name: str, source: str, *, version: str = "1") -> None:
    """Install the provider `name`, whose module has this source."""
    (site / f"plugin_{name}.py").write_text(source)
    info = site / f"wump_provider_{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: wump-provider-{name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[wump.providers.v1]\n{name} = plugin_{name}\n")
