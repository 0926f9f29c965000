from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.errors import HollowayError
from holloway.quick import source

if TYPE_CHECKING:
    from pathlib import Path

NOT_A_NAME = "The config file must be a valid interface name, followed by .conf"


def written(path: Path, text: str = "[Interface]\n") -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_bare_name_names_a_file_in_etc_wireguard():
    with pytest.raises(HollowayError, match=r"^`/etc/wireguard/no-such\.conf' does not exist$"):
        source.read("no-such")


@pytest.mark.parametrize("argument", ["", "no/such.conf", "sixteen-letters-x", "a b"])
def test_anything_else_is_a_path(argument: str):
    with pytest.raises(HollowayError, match=f"^`{argument}' does not exist$"):
        source.read(argument)


@pytest.mark.parametrize("name", ["wg0.cnf", "wg 0.conf", "sixteen-letters-x.conf", "wg0.conf\n"])
def test_the_files_name_must_be_an_interface_name(tmp_path: Path, name: str):
    with pytest.raises(HollowayError, match=NOT_A_NAME):
        source.read(str(written(tmp_path / name)))


def test_the_interface_has_the_name_of_the_link_not_of_its_target(tmp_path: Path):
    real = written(tmp_path / "real.conf")
    (tmp_path / "office.conf").symlink_to(real)
    found = source.read(str(tmp_path / "office.conf"))
    assert (found.interface, found.path) == ("office", real.resolve())


@pytest.mark.parametrize(
    ("file", "directory", "warned"),
    [(0o604, 0o755, True), (0o600, 0o755, False), (0o604, 0o700, False), (0o601, 0o701, True)],
)
def test_a_world_accessible_file_causes_a_warning(
    tmp_path: Path, file: int, directory: int, warned: bool
):
    path = written(tmp_path / "wg0.conf")
    path.chmod(file)
    tmp_path.chmod(directory)
    warning = source.read(str(path)).warning
    assert warning == (f"Warning: `{path.resolve()}' is world accessible" if warned else None)


def test_bytes_that_are_not_utf8_and_carriage_returns_are_kept(tmp_path: Path):
    path = tmp_path / "wg0.conf"
    path.write_bytes(b"[Interface]\r\n# \xff\nPostUp = echo \xfe\n")
    found = source.read(str(path))
    assert found.text.encode(errors="surrogateescape") == path.read_bytes()


def test_the_line_of_a_value_is_found_past_comments_and_other_keys(tmp_path: Path):
    text = "[Interface]\n# Address = b\nDNS = b\nADDRESS= a,b # b\nAddress = b\n"
    found = source.read(str(written(tmp_path / "wg0.conf", text)))
    assert found.line("Address", "b") == 4
    assert found.line("Address", "c") is None


def test_a_locked_file_is_refused(tmp_path: Path):
    path = written(tmp_path / "wg0.conf")
    script = (
        "import sys; from holloway.quick import source\n"
        "with source.read(sys.argv[1]).locked(): pass"
    )
    with source.read(str(path)).locked():
        other = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
        )
        assert "is in use by another wg-quick" in other.stderr
    with source.read(str(path)).locked():
        pass
