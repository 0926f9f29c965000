"""What is built and installed is pinned: by a lock file, a hash or a version."""

from __future__ import annotations

import re
import subprocess

import pytest

from hosts import REPOSITORY

SCRIPTS = [
    path
    for path in (REPOSITORY / "Makefile", *sorted((REPOSITORY / "scripts").iterdir()))
    if path.is_file() and path.suffix != ".py"
]
BUILDS = re.compile(
    r"\b(?:cargo(?: \"\+\$nightly\")? (?:build|clippy|install|miri test|test|run)"
    r"|maturin (?:build|develop))\b"
)
REQUIREMENTS = {
    path: (REPOSITORY / f"{path}.txt").read_text()
    for path in ("requirements-dev", "bench/requirements")
}


def commands(text: str) -> list[str]:
    """Return the lines that are no comments, continued ones as one."""
    return [
        line
        for line in text.replace("\\\n", " ").splitlines()
        if not line.lstrip().startswith(("#", "@echo", "echo"))
    ]


def test_every_build_by_cargo_is_locked() -> None:
    builds = [
        line for path in SCRIPTS for line in commands(path.read_text()) if BUILDS.search(line)
    ]
    assert len(builds) > 10
    assert [line for line in builds if "--locked" not in line] == []


def test_every_program_that_is_installed_has_a_version() -> None:
    installs = [
        line
        for path in SCRIPTS
        for line in commands(path.read_text())
        if re.search(r"\b(cargo|go|pip) install\b", line)
    ]
    assert len(installs) > 5
    pinned = re.compile(r'--version "=\$\w+"|@\$\w+"|==\$\w+"|--require-hashes -r ')
    assert [line for line in installs if not pinned.search(line)] == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_has_a_version_and_hashes(name: str) -> None:
    requirements = [line for line in commands(REQUIREMENTS[name]) if line.strip()]
    pinned = re.compile(r"[A-Za-z0-9._-]+(\[\w+\])?==\S+( +--hash=sha256:[0-9a-f]{64})+( +#.*)?")
    assert [line for line in requirements if not pinned.fullmatch(line.strip())] == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_what_we_ask_for_is_pinned(name: str) -> None:
    asked = {
        normal(re.split(r"[\[=#]", line)[0])
        for line in commands((REPOSITORY / f"{name}.in").read_text())
        if line
    }
    pinned = {
        normal(found) for found in re.findall(r"^([\w.-]+)", REQUIREMENTS[name], re.MULTILINE)
    }
    assert asked
    assert asked <= pinned


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name.strip().lower())


@pytest.mark.parametrize("manifest", ["Cargo.toml", "fuzz/Cargo.toml"])
def test_the_lock_files_are_up_to_date(manifest: str) -> None:
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path",
         str(REPOSITORY / manifest)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
