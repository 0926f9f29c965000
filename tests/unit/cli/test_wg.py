from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holloway import __version__
from holloway.cli.wg import SUBCOMMANDS, main
from holloway.control import uapi
from scripted_device import ScriptedDevice

if TYPE_CHECKING:
    from pathlib import Path

PA = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU="


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uapi, "DIRECTORY", ".")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"holloway v{__version__}\n"


def test_help_names_every_subcommand_and_each_exists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    text = capsys.readouterr().out
    for name in SUBCOMMANDS:
        assert f"  {name}: " in text
        assert main([name, "a", "b", "c", "d"]) == 1
        assert "Invalid subcommand" not in capsys.readouterr().err


def test_nothing_is_sent_if_one_option_is_bad(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedDevice("wg0.sock") as device:
        options = ["listen-port", "5", "peer", PA, "persistent-keepalive", "x"]
        assert main(["set", "wg0", *options]) == 1
    assert device.requests == []
    assert capsys.readouterr().err.startswith("Persistent keepalive interval is neither")


def test_a_change_is_one_request() -> None:
    with ScriptedDevice("wg0.sock") as device:
        assert main(["set", "wg0", "fwmark", "0x10", "peer", PA, "remove"]) == 0
    assert device.requests == [f"set=1\nfwmark=16\npublic_key={'05' * 32}\nremove=true\n\n"]


@pytest.mark.parametrize("arguments", [["show", "wg0", "dump"], ["syncconf", "wg0", "wg0.conf"]])
def test_commands_for_many_peers_load_few_modules(tmp_path: Path, arguments: list[str]) -> None:
    heavy = ["cryptography", "typing", "re", "enum", "dataclasses", "contextlib",
             "socket", "holloway.model", "holloway.key"]  # fmt: skip
    (tmp_path / "wg0.conf").write_text(
        f"[Interface]\nListenPort = 5\n[Peer]\nPublicKey = {PA}\nEndpoint = 192.0.2.1:5\n"
    )
    program = (
        "import sys; from holloway.control import uapi; uapi.DIRECTORY = '.'\n"
        f"from holloway.cli.wg import main; status = main({arguments})\n"
        f"print([name for name in {heavy} if name in sys.modules], status)"
    )
    answer = f"private_key={'06' * 32}\npublic_key={'05' * 32}\nerrno=0\n\n"
    with ScriptedDevice("wg0.sock", answer):
        done = subprocess.run(
            [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
    assert done.stdout.endswith("[] 0\n")


def test_a_closed_output_pipe_prints_no_error() -> None:
    with ScriptedDevice("wg0.sock", f"public_key={'05' * 32}\n" * 3000 + "errno=0\n\n"):
        program = (
            "import sys; from holloway.control import uapi; uapi.DIRECTORY = '.'\n"
            "from holloway.cli.wg import main; sys.exit(main(['show', 'wg0', 'peers']))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path)},
        ) as child:  # fmt: skip
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.read(10)
            child.stdout.close()
            assert child.stderr.read() == b""
    assert child.returncode == 141
