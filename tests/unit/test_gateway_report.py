"""How runs of a gateway and of active peers are shown."""

from __future__ import annotations

import active_report
import gateway_report
from gateway_report import FAST, Setting, scaling
from results import Report, Run

ABOUT = {
    "machine": {"processor": "P", "processors": 3, "kernel": "K"},
    "date": "today",
    "command": "python bench/gateway.py",
    "versions": {"ours": "1", "theirs": "2"},
    "seconds": 3.0,
    "peers": 10_000,
    "load": 0.31,
}
ONE, TWO = (Setting("to", 8, processors, 10).name for processors in (1, 2))
FAST_LOAD = Setting("through", 1).name


def run() -> Run:
    return Run(["ours", "theirs"], [
        {"device": "ours", "results": {
            FAST_LOAD: {FAST: 5000}, ONE: {FAST: 800}, TWO: {FAST: 1520}}},
        {"device": "theirs", "results": {FAST_LOAD: {FAST: 2000}, ONE: {FAST: 0}}},
    ])  # fmt: skip


def test_a_setting_is_named_by_its_load_and_its_processors() -> None:
    assert FAST_LOAD == "through the hub, 1 client"
    assert TWO == "2 processors of 10 %: to the hub, 8 clients"


def test_the_scaling_has_multiples_of_the_fewest_processors_and_no_fast_load() -> None:
    assert scaling(run()).splitlines()[2:] == [
        "| to the hub, 8 clients, ours, Mbit/s | 800 (1.00) | 1520 (1.90) |",
        "| to the hub, 8 clients, theirs, Mbit/s | - | - |",
    ]


def test_the_pages_name_machine_versions_and_command() -> None:
    for page in (gateway_report.page, active_report.page):
        text = page(Report(run(), ABOUT))
        assert "3 processors of P" in text
        assert "- theirs: 2" in text
        assert f"    {ABOUT['command']}" in text
        assert f"| {FAST_LOAD}: {FAST} | 5000" in text
