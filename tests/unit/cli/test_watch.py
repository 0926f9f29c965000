from __future__ import annotations

from holloway.cli.wg.watch import screenful


def test_a_frame_begins_at_the_top_and_clears_the_previous_one() -> None:
    lines = screenful("a\nb\n", 5).split("\r\n")
    assert "\x1b[H\x1b[Ka" in lines[0]
    assert lines[1].startswith("\x1b[Kb")
    assert "\x1b[J" in lines[1]


def test_the_last_line_counts_the_lines_that_do_not_fit() -> None:
    lines = screenful("\n".join("abcdef"), 4).split("\r\n")
    assert len(lines) == 4
    assert "... 3 more lines" in lines[3]
    assert "more lines" not in screenful("\n".join("abcd"), 4)
