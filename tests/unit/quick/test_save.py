from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING

import pytest

from holloway.errors import HollowayError
from holloway.netlink.route import Address
from holloway.quick.save import compose, ordered, replace
from holloway.text.quick import parse_quick

if TYPE_CHECKING:
    from pathlib import Path


def test_wg_quicks_settings_come_first_in_the_interface_section():
    config = parse_quick(
        "[Interface]\nPostDown = d\nPreUp = a # b\nSaveConfig = true\nTable = 7\nMTU=1\n"
        "PreDown = c\nPostUp = b1\nPostUp = b2\n"
    )
    wg_text = "[Interface]\nListenPort = 1\n\n[Peer]\nPublicKey = [Interface]\n"
    addresses = [ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64")]
    assert compose(config, addresses, 1300, wg_text) == (
        "[Interface]\nAddress = 10.0.0.1/24\nAddress = fd00::1/64\nMTU = 1300\nTable = 7\n"
        "SaveConfig = true\nPreUp = a # b\nPostUp = b1\nPostUp = b2\nPreDown = c\nPostDown = d\n"
        "ListenPort = 1\n\n[Peer]\nPublicKey = [Interface]\n"
    )


def test_unset_settings_are_not_written():
    assert compose(parse_quick(""), [], None, "[Interface]\n") == "[Interface]\n"


def test_addresses_keep_the_files_order_and_automatic_ones_are_omitted():
    found = [
        Address(ip_interface(text), automatic=text.startswith("fe80"))
        for text in ("10.9.0.1/24", "10.0.0.1/32", "fe80::1/64", "fd00::2/64", "fd00::1/64")
    ]
    written = ["FD00::1/64", "10.0.0.1", "spoiled", "fd00::2/64"]
    kept = [str(each) for each in ordered(found, written)]
    assert kept == ["fd00::1/64", "10.0.0.1/32", "fd00::2/64", "10.9.0.1/24"]


def test_a_file_is_replaced_and_readable_only_by_its_owner(tmp_path: Path):
    path = tmp_path / "wg0.conf"
    path.write_text("old")
    path.chmod(0o644)
    replace(path, "new \udcff")
    assert path.read_bytes() == b"new \xff"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_leftover_symbolic_link_is_not_followed(tmp_path: Path):
    path, left, other = tmp_path / "wg0.conf", tmp_path / "wg0.conf.tmp", tmp_path / "other"
    other.write_text("other")
    left.symlink_to(other)
    replace(path, "new")
    assert (path.read_text(), other.read_text(), left.exists()) == ("new", "other", False)


def test_a_file_that_cannot_be_replaced_stays_and_the_reason_is_reported(tmp_path: Path):
    path = tmp_path / "wg0.conf"
    path.mkdir()
    with pytest.raises(HollowayError, match=r"Could not write configuration file: .*wg0\.conf: "):
        replace(path, "new")
    assert list(tmp_path.iterdir()) == [path]
