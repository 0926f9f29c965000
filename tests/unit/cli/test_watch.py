from __future__ import annotations

from holloway.cli.wg.watch import screenful


def test_a_frame_begins_at_the_top_and_blanks_what_was_there_before() -> None:
    lines = screenful("a\nb\n", 5).split("\r\n")
    assert "\x1b[H\x1b[Ka" in lines[0]
    assert lines[1].startswith("\x1b[Kb")
    assert "\x1b[J" in lines[1]


def test_what_does_not_fit_is_counted_on_the_last_line() -> None:
    lines = screenful("\n".join("abcdef"), 4).split("\r\n")
    assert len(lines) == 4
    assert "... 3 more lines" in lines[3]
    assert "more lines" not in screenful("\n".join("abcd"), 4)
