"""The published figures are those of the committed run."""

from __future__ import annotations

import re

import pytest
import report as benchmarks
from chart import draw, style
from results import Report, Run, Summary

FIVE_ROUNDS = 5


def test_every_benchmark_page_equals_the_committed_run() -> None:
    stale = [path.name for path, text in benchmarks.pages().items() if path.read_text() != text]
    assert not stale, "make report"


def test_the_readme_claims_no_speed() -> None:
    claims = r"\d[.,\d]* ?(?:times|fold|\N{MULTIPLICATION SIGN}|Gbit|Mbit|% (?:faster|less))"
    assert re.findall(claims, (benchmarks.REPOSITORY / "README.md").read_text()) == []


def test_the_committed_run_names_machine_and_versions_and_has_five_rounds() -> None:
    report = Report.read(benchmarks.RESULTS)
    for implementation in report.run.implementations:
        of_one = [one for one in report.run.rounds if one["device"] == implementation]
        assert len(of_one) >= FIVE_ROUNDS
        assert report.about["versions"][implementation]
    assert report.about["machine"]["processor"] in benchmarks.PAGE.read_text()
    assert "wireguard-go" in report.run.implementations


def rounds(device: str, *figures: float) -> list[dict[str, object]]:
    return [{"device": device, "results": {"TCP, 1 stream": {"Mbit/s": one}}} for one in figures]


def test_a_summary_has_median_least_and_greatest() -> None:
    run = Run(["a"], rounds("a", 5, 1, 3, 100))
    assert run.summary("a", "TCP, 1 stream", "Mbit/s") == Summary(4, 1, 100)
    assert run.summary("b", "TCP, 1 stream", "Mbit/s") is None


def test_a_ratio_divides_medians_and_is_none_without_a_divisor() -> None:
    run = Run(["a", "b", "c"], rounds("a", 4, 6, 8) + rounds("b", 3, 2, 90) + rounds("c", 0))
    assert run.ratio("b", "TCP, 1 stream", "Mbit/s") == pytest.approx(2)
    assert run.ratio("c", "TCP, 1 stream", "Mbit/s") is None
    assert run.ratio("b", "latency", "Mbit/s") is None


def test_a_report_is_read_as_it_was_written(tmp_path) -> None:
    report = Report(Run(["a", "b"], rounds("a", 1, 2) + rounds("b", 3)), {"date": "today"})
    report.write(tmp_path / "run.json")
    assert Report.read(tmp_path / "run.json") == report


def test_the_chart_has_a_bar_a_spread_and_a_ratio_of_each_other_implementation() -> None:
    machine = {"processor": "P", "processors": 3, "kernel": "K"}
    run = Run(["a", "<b>"], rounds("a", 4, 6, 8) + rounds("<b>", 3, 2, 90))
    picture = draw(Report(run, {"machine": machine, "date": "today"}))
    assert picture.count("<rect") == 1 + 2
    assert picture.count('class="spread"') == 2
    assert "2.0\N{MULTIPLICATION SIGN}" in picture
    assert "3 processors of P" in picture
    assert "<b>" not in picture
    assert style() in picture
