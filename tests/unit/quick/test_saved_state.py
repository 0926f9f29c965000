"""The saved state of an interface: all of it is loaded again, none of it is secret."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from holloway.netlink.route import Route
from holloway.quick import runtime, saved_state
from holloway.quick.saved_state import SavedPeer, SavedSettings, SavedState
from holloway.text.quick import parse_quick

if TYPE_CHECKING:
    from pathlib import Path

STATE = SavedState(
    settings=SavedSettings(private_key=True, peers={"key": SavedPeer("192.0.2.1:1", True, False)}),
    addresses=("10.0.0.1/24",),
    mtu=1420,
    dns=("10.0.0.53", "home"),
    table="vpn",
    routes=(Route(ip_network("10.0.0.0/8"), 77), Route(ip_network("fd00::/8"))),
    mark=7,
    chosen_mark=7,
    defaults=(6, 4),
    hooks=saved_state.hook_digests(parse_quick("[Interface]\nPostUp = s3cret")),
)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runtime, "DIRECTORY", tmp_path / "wg-quick")
    return tmp_path


def test_a_saved_state_is_loaded_for_this_interface_only():
    saved_state.save("wg0", 3, STATE)
    assert saved_state.load("wg0", 3) == STATE
    assert saved_state.load("wg0", 4) is None
    assert saved_state.load("wg1", 3) is None


def test_the_file_is_private_and_has_no_hook(directory: Path):
    saved_state.save("wg0", 3, STATE)
    (file,) = (directory / "wg-quick" / "wg0").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in file.read_text()


def test_removing_a_state_removes_its_files(directory: Path):
    saved_state.save("wg0", 3, STATE)
    saved_state.remove("wg0")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"place": 1}', '{"place": {}, "x": 1}'])
def test_a_corrupt_file_is_ignored(directory: Path, text: str):
    saved_state.save("wg0", 3, STATE)
    (file,) = (directory / "wg-quick" / "wg0").iterdir()
    file.write_text(text)
    assert saved_state.load("wg0", 3) is None
