"""The shortest run of `make bench` measures every figure of its pages; no value is asserted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import compare
import pytest
from chart import PANELS
from results import Report

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

MEASURES = (
    "idle", "first handshake", "latency", "TCP, 1 stream", "UDP, 64 bytes", "memory after traffic",
    "handshakes", "1000 peers",
)  # fmt: skip


def test_a_run_finds_every_figure_and_names_what_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.json"
    monkeypatch.setattr(sys, "argv", [
        "compare.py", "--quick", "--devices", "holloway", "--also", "ring",
        "--measures", ";".join(MEASURES), "--out", str(out),
    ])  # fmt: skip
    assert compare.main() == 0
    shown = capsys.readouterr()
    assert "about 0:00 to go: round 1 of 1, holloway with ring done" in shown.err
    report = Report.read(out)
    assert report.run.implementations == ["holloway", "holloway with ring"]
    assert report.about["versions"]["holloway"]
    found = report.run.figures()
    assert found
    for measure, figure in found:
        assert all(report.run.summary(name, measure, figure) for name in report.run.implementations)
        assert f"| {measure}: {figure} |" in shown.out
    drawn = {(panel.measure, panel.figure) for panel in PANELS if panel.measure in MEASURES}
    assert drawn <= set(found)
