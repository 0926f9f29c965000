"""The shortest runs of `make bench-gateway` measure every figure; no rate or time is asserted."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import active_peers
import active_report
import gateway
import gateway_report
import pytest
from gateway_report import FAST, Setting
from results import Report
from slow_processors import PREFIX, SlowProcessors, cpu_cgroup, unavailable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

PEERS = 50


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a benchmark's `main` with options, and return its report."""

    def run(module, *options: str) -> Report:
        out = tmp_path / "run.json"
        words = [module.__name__, "--quick", "--devices", "holloway", *options, "--out", str(out)]
        monkeypatch.setattr(sys, "argv", words)
        assert module.main() == 0
        return Report.read(out)

    return run


def figure(report: Report, measure: str, name: str) -> float:
    found = report.run.summary("holloway", measure, name)
    assert found is not None, (measure, name)
    return found.median


def test_a_gateway_carries_traffic_to_itself_and_from_client_to_client(run) -> None:
    report = run(gateway, "--clients", "1,3", "--processors", "")
    for way in ("to", "through"):
        for clients in (1, 3):
            measure = Setting(way, clients).name
            assert figure(report, measure, FAST) > 0
            assert 0 < figure(report, measure, gateway_report.FAIR) <= 100
    assert report.about["versions"]["holloway"]


@pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
def test_a_gateway_on_slow_processors_carries_traffic_and_leaves_no_cgroup(run) -> None:
    report = run(gateway, "--clients", "2", "--processors", "1,2", "--percent", "20")
    for processors in (1, 2):
        for way in ("to", "through"):
            assert figure(report, Setting(way, 2, processors, 20).name, FAST) > 0
    page = gateway_report.page(report)
    assert "| to the hub, 2 clients, holloway, Mbit/s |" in page
    place = cpu_cgroup()
    assert place is not None
    assert not list(place.glob(f"{PREFIX}{os.getpid()}-*"))


@pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
def test_the_cgroup_that_a_killed_run_left_behind_is_removed() -> None:
    place = cpu_cgroup()
    assert place is not None
    left = place / f"{PREFIX}{2**30}-1"  # no process has such a number
    left.mkdir()
    with SlowProcessors(10):
        assert not left.exists()


def test_all_peers_send_and_receive_and_none_loses_a_packet_while_others_come_and_go(run) -> None:
    report = run(active_peers, "--peers", str(PEERS))
    assert figure(report, active_report.SESSIONS, "without a session") == 0
    assert figure(report, active_report.EXCHANGE, "active peers") == PEERS
    assert figure(report, active_report.EXCHANGE, "Mbit/s, both ways") > 0
    assert figure(report, active_report.CHURN, "peers added/s") > 0
    assert figure(report, active_report.CHURN, "datagrams") > 0
    # A busy machine may fill a queue; the device itself loses none.
    dropped = figure(report, active_report.CHURN, "dropped before a device")
    assert figure(report, active_report.CHURN, "lost") <= dropped
    assert figure(report, active_report.CHURN, "twice") == 0
    assert f"# {PEERS} active peers, measured" in active_report.page(report)
