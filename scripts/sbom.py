"""Write an SBOM (CycloneDX, JSON): the crates that are in a wheel, and the packages that it needs.

    .venv/bin/python scripts/sbom.py WHEEL OUTPUT

maturin has listed the crates in the wheel. The packages are those of this environment, which the
tests use; a user's may be newer, within the ranges of `pyproject.toml`.
"""

from __future__ import annotations

import json
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parent.parent.resolve()


def crates(wheel: Path) -> Bom:
    """Return the SBOM that maturin put into a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".cyclonedx.json"))
        text = archive.read(name).decode()
    # Crates of this repository are named by their path; the reader's is another.
    text = text.replace(f"path+file://{REPOSITORY}/", "path:")
    return Bom.from_json(json.loads(text))  # type: ignore[attr-defined, no-any-return]


def needed(name: str) -> set[str]:
    """Return the names of the packages that a package needs here, without its extras."""
    requirements = map(Requirement, metadata.requires(name) or [])
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


def add_package(bom: Bom, name: str, known: dict[str, Component]) -> Component:
    """Add a package and all that it needs, once each."""
    if name in known:
        return known[name]
    version = metadata.version(name)
    url = PackageURL("pypi", name=name, version=version)
    known[name] = package = Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=str(url)
    )
    bom.components.add(package)
    bom.register_dependency(package, [add_package(bom, one, known) for one in sorted(needed(name))])
    return package


def main(wheel: Path, output: Path) -> None:
    """Join both halves under one root, the package itself."""
    bom = crates(wheel)
    extension = bom.metadata.component
    assert extension is not None
    bom.components.add(extension)
    root = add_package(bom, "holloway", {})
    bom.components.remove(root)
    bom.metadata.component = root
    bom.register_dependency(root, [extension])
    output.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
