"""How a run of floods is shown."""

from __future__ import annotations

import pytest
from floods_report import ROWS, Row, page, picture, table
from results import Report, Run

MANY, FEW = "initiation max", "wrong-mac1 100000"
ABOUT = {
    "machine": {"processor": "P", "processors": 3, "kernel": "K"},
    "date": "today",
    "command": "python bench/floods.py",
    "versions": {"ours": "1", "theirs": "2"},
    "seconds": 20.0,
    "clients": 20,
    "load": 0.31,
}


def figures(kept: float, entered: int, *times: float) -> dict[str, float]:
    return {
        "TCP kept %": kept,
        "clients in": entered,
        **dict(zip(("median s", "longest s"), times, strict=False)),
    }


def run() -> Run:
    return Run(["ours", "theirs"], [
        {"device": "ours", "results": {MANY: figures(41.4, 20, 0.04, 5.06)}},
        {"device": "theirs", "results": {MANY: figures(0.2, 0), FEW: figures(50, 20, 1, 2)}},
    ])  # fmt: skip


def test_the_table_has_a_row_of_each_flood_and_a_cell_of_each_device() -> None:
    assert table(run(), 20).splitlines()[2:] == [
        "| initiations, as fast as one processor sends"
        " | 41 %, 20 of 20 in 0.04 s, longest 5.1 s | 0 %, 0 of 20 |",
        "| initiations with a wrong mac1, 100,000 a second"
        " | - | 50 %, 20 of 20 in 1 s, longest 2 s |",
    ]


def test_the_page_has_the_table_and_all_figures() -> None:
    text = page(Report(run(), ABOUT))
    assert table(run(), 20) in text
    assert run().table() in text
    assert "3 processors of P" in text
    assert "load average before the run was 0.3." in text


def test_a_flood_has_three_panels_in_the_chart_even_if_no_client_got_in() -> None:
    text = picture(Report(run(), ABOUT))
    assert text.count('class="line"') == 3 * 2
    assert "initiations, as fast as one processor sends" in text


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
def test_a_row_is_known_by_its_name(row: Row) -> None:
    assert ROWS[row.name] == row
