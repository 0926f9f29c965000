"""The pictures agree with their texts, the core and the demo."""

from __future__ import annotations

import inspect
import re
from html import unescape

import pytest

from docs import pictures
from docs.handshake import STATES, transitions
from docs.ladder import Ladder
from docs.pages import read
from holloway.cli import demo


def test_every_picture_is_up_to_date() -> None:
    stale = [path.name for path, svg in pictures.pictures().items() if path.read_text() != svg]
    assert not stale, "make pictures"


def test_the_core_reaches_every_state_and_leaves_it_again() -> None:
    names = {state.__name__ for state in STATES}
    found = transitions()
    assert {one.before for one in found if one.before != one.after} == names
    assert {one.after for one in found if one.before != one.after} == names


def test_an_invalid_line_is_refused() -> None:
    with pytest.raises(ValueError, match="no line of a ladder"):
        Ladder.parse("a: A\na -> b: to a column that is not there")


def test_the_picture_of_the_demo_shows_commands_and_steps_of_the_demo() -> None:
    source = inspect.getsource(demo)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", read("docs/pictures/demo.svg"))
    lines = [unescape(text).replace("\N{NO-BREAK SPACE}", " ").strip() for text in texts]
    commands = [line.partition("$ ")[2] for line in lines if re.match(r"(laptop|office)\$ ", line)]
    titles = [line[1:].strip() for line in lines if re.match(r"[0-9]  \w", line)]
    assert commands
    assert titles
    for words in commands + titles:
        assert f'"{words}"' in source
