"""A package built from the source distribution alone has all files that are not Python.

Only the content matters here, so the build is without optimization, in a directory of its own where
the dependencies stay built.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from hosts import BIN, REPOSITORY
from net.pair import new_key

if TYPE_CHECKING:
    from pathlib import Path

# Cargo names its output after the path of the crates: a fixed path keeps it from piling up.
BUILD_DIRECTORY = REPOSITORY / "target" / "wheel"
FAST_BUILD = {
    "CARGO_TARGET_DIR": str(BUILD_DIRECTORY / "target"),
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "256",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
}
# Root may test a clone that another user owns.
ANY_OWNER = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
OPEN = """
import sys
import holloway
from holloway.net.namespace import PROGRAM
with holloway.open(sys.argv[1], stack="kernel"):
    print(PROGRAM)
"""

pytestmark = pytest.mark.slow


def run(*command: str | Path, **environment: str) -> str:
    path = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        command, env=os.environ | {"PATH": path} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _build(distribution: Path, made: Path) -> None:
    source = BUILD_DIRECTORY / "source"
    run("rm", "-rf", source)
    source.mkdir()
    # Cargo compares times, and all files of a distribution have the same one: make all of them new.
    run("tar", "-xzmf", distribution, "-C", source, "--strip-components", "1")
    run("pip", "wheel", "--no-deps", "--no-build-isolation", "--check-build-dependencies",
        "-w", made, source, **FAST_BUILD)  # fmt: skip


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which the wheel of a source distribution is installed."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("a source distribution is made of a clone")
    made = tmp_path_factory.mktemp("made")
    installed = tmp_path_factory.mktemp("installed")
    crate = REPOSITORY / "crates/native/Cargo.toml"
    run("maturin", "sdist", "--manifest-path", crate, "-o", made, **ANY_OWNER)
    (distribution,) = made.iterdir()
    BUILD_DIRECTORY.mkdir(parents=True, exist_ok=True)
    with open(BUILD_DIRECTORY / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may build here too
        _build(distribution, made)
    (wheel,) = made.glob("*.whl")
    run(sys.executable, REPOSITORY / "scripts/sbom.py", wheel, installed / "sbom.json")
    run("pip", "install", "--no-deps", "--target", installed, wheel)
    return installed


@pytest.mark.timeout(900)  # the first time, all dependencies are built too
def test_its_helper_program_opens_a_namespace(package: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "peer.conf"
    key = new_key().base64
    configuration.write_text(f"[Interface]\nPrivateKey = {key}\nAddress = 10.10.10.1/24\n")
    program = run(sys.executable, "-c", OPEN, configuration, PYTHONPATH=str(package))
    assert program.strip() == str(package / "holloway/net/holloway-namespace")


@pytest.mark.timeout(900)
def test_it_has_the_completions_of_every_shell(package: Path) -> None:
    for file in ("bash-completion/completions/wg", "zsh/site-functions/_wg",
                 "fish/vendor_completions.d/wg.fish"):  # fmt: skip
        assert (package / "share" / file).is_file()


@pytest.mark.timeout(900)
def test_its_sbom_names_what_we_depend_on(package: Path) -> None:
    """All crates of the workspace that are no tools of tests, and all packages."""
    sbom = json.loads((package / "sbom.json").read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    named = {component["name"] for component in sbom["components"]}
    wanted = set()
    for manifest in REPOSITORY.glob("crates/*/Cargo.toml"):
        wanted |= set(tomllib.loads(manifest.read_text()).get("dependencies", {})) - {"loom"}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted |= {requirement.partition(">")[0] for requirement in project["dependencies"]}
    assert {"ring", "rich"} < wanted <= named
