"""The systemd units: the commands that they run, and their verification by systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "units"


def read(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
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
    shutil.copy(UNITS / "wg-quick@.service", tmp_path / "wg-quick@wg0.service")
    # This test must not depend on whether systemd finds a wg-quick.
    service = tmp_path / "wg-quick@wg0.service"
    service.write_text(service.read_text().replace("=wg-quick ", "=/bin/true "))
    done = subprocess.run(
        ["systemd-analyze", "verify", service, tmp_path / "wg-quick.target"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "wg-quick" in line]
    assert (done.returncode, ours) == (0, [])
