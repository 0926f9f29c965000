"""The systemd units: the commands that they run, and their verification by systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "units"
PROGRAMS = {
    "wg-quick": r"`systemd-analyze security` rates it {level} ",
    "holloway-device": r"`holloway-device@\.service`, [^.]*, is rated {level}\.",
}
"""Those that have a unit, and what SECURITY.md says of it."""


def read(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


def test_the_service_runs_up_down_and_reload():
    service = read("wg-quick@.service")["Service"]
    commands = [service[key] for key in ("ExecStart", "ExecStop", "ExecReload")]
    assert commands == [f"wg-quick {verb} %i" for verb in ("up", "down", "reload")]
    assert (service["Type"], service["RemainAfterExit"]) == ("oneshot", "yes")
    assert service["Environment"] == "WG_ENDPOINT_RESOLUTION_RETRIES=infinity"


def test_the_service_waits_for_network_and_names_and_stops_with_the_target():
    unit = read("wg-quick@.service")["Unit"]
    assert unit["After"].split() == ["network-online.target", "nss-lookup.target"]
    assert unit["PartOf"] == "wg-quick.target"


def test_systemd_reports_no_error(tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd is not installed")
    for unit in UNITS.iterdir():
        shutil.copy(unit, tmp_path)
    services = [instance(name, tmp_path) for name in PROGRAMS]
    done = subprocess.run(
        ["systemd-analyze", "verify", *services, tmp_path / "wg-quick.target"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "wg-quick" in line or "holloway" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("program", PROGRAMS)
def test_its_exposure_is_the_one_that_the_page_states(program: str, tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd is not installed")
    analyze = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    command = [*analyze, str(instance(program, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (level,) = re.findall(r"Overall exposure level for .*: ([0-9.]+) ", done.stdout)
    page = " ".join((UNITS.parent / "SECURITY.md").read_text().split())
    assert re.search(PROGRAMS[program].format(level=re.escape(level)), page), level


def instance(program: str, directory: Path) -> Path:
    """Write an instance of a template that does not depend on whether systemd finds its program."""
    service = directory / f"{program}@wg0.service"
    text = (UNITS / f"{program}@.service").read_text()
    service.write_text(text.replace(f"={program} ", "=/bin/true "))
    return service
