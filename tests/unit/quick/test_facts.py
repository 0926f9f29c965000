from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway.quick.facts import Facts, named_tables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("paths", "default", "expected"),
    [
        ((), None, 1500),
        ((), 9000, 9000),
        ((1400,), 9000, 1400),
        ((9000, 1280, 1500), None, 1280),
        ((65536,), 1500, 65536),
    ],
)
def test_the_narrowest_path_decides_then_the_default_route_then_1500(
    paths: tuple[int, ...], default: int | None, expected: int
):
    assert Facts(paths=paths, default_path=default).path_mtu == expected


def test_tables_are_named_by_files_that_later_directories_override(tmp_path: Path):
    first, second = tmp_path / "usr", tmp_path / "etc"
    for directory in (first, second):
        (directory / "rt_tables.d").mkdir(parents=True)
    (first / "rt_tables").write_text("# reserved\n254 main\n\n100 vpn\n#101 off\nnonsense line\n")
    (second / "rt_tables").write_text("0x66\thex # comment\n200 vpn\n")
    (second / "rt_tables.d" / "more.conf").write_text("300 more\n")
    (second / "rt_tables.d" / "README").write_text("400 readme\n")
    assert named_tables([first, second, tmp_path / "none"]) == {
        "default": 253,
        "main": 254,
        "local": 255,
        "vpn": 200,
        "hex": 0x66,
        "more": 300,
    }
