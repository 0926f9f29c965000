"""Rules that import-linter cannot check: who imports the extension, and what a command loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import holloway
from holloway._native_types import noise as noise_types

SOURCES = Path(holloway.__file__).parent
EVENT_LOOP = {"device/tunnel.py"}
"""Within a program it takes asyncio's loop; the device process has its own."""
EXTENSION = {
    "device/confinement.py",
    "device/monitor.py",
    "device/privileged.py",
    "device/session_record.py",
    "device/tunnel.py",
    "device/daemon.py",
    "cli/device.py",
    "core/noise.py",
    "text/native.py",
    "key.py",
}
PEER_WITHIN_A_PROGRAM = ("net/", "proxy/", "cli/proxy", "cli/run.py", "cli/job.py")
"""This is a separate shell, with an event loop and a plane."""
STUBS = "_native_types/"
"""They exist for the type checker."""


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def users(module: str) -> set[str]:
    """Return the files that import a module, except those of the peer within a program."""
    paths = [path for path in SOURCES.rglob("*.py") if module in imported(path)]
    names = {str(path.relative_to(SOURCES)) for path in paths}
    return {name for name in names if not name.startswith((*PEER_WITHIN_A_PROGRAM, STUBS))}


def test_only_the_shell_touches_the_event_loop() -> None:
    assert users("asyncio") == EVENT_LOOP


def test_only_the_shell_the_codec_and_one_file_of_the_core_touch_the_extension() -> None:
    assert users("holloway._native") == EXTENSION


def test_the_core_takes_only_cryptography_from_the_extension() -> None:
    prefix = "holloway._native."
    names = {
        name.removeprefix(prefix)
        for name in imported(SOURCES / "core/noise.py")
        if name.startswith(prefix)
    }
    assert names == set(noise_types.__all__)


@pytest.mark.parametrize("arguments", [["show", "interfaces"], ["genkey"], ["show", "nope"]])
def test_wg_starts_without_what_it_does_not_need(arguments: list[str]) -> None:
    script = (
        "import sys; from holloway.cli.wg import main; status = main(sys.argv[1:]);"
        "heavy = {'asyncio', 'cryptography', 'holloway._native', 'argparse',"
        " 'prometheus_client', 'rich'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


UNNEEDED = {
    "argparse", "asyncio", "cryptography", "hashlib", "logging", "prometheus_client", "pyroute2",
    "random", "rich", "segno", "shutil", "sqlite3", "ssl", "subprocess", "tempfile", "threading",
    "traceback", "unittest",
}  # fmt: skip
"""Modules that neither a plain `up` nor a plain `down` needs: first others', then ours."""
UNNEEDED_OF_QUICK = {
    "holloway.quick.address_steps", "holloway.quick.comments", "holloway.quick.default_route",
    "holloway.quick.dns", "holloway.quick.policy_steps", "holloway.quick.reload",
    "holloway.quick.resolv_conf", "holloway.quick.save",
}  # fmt: skip


def test_wg_quick_up_loads_what_a_plain_file_needs(tmp_path: Path) -> None:
    path = tmp_path / "nosuch.conf"
    path.write_text(
        "[Interface]\nAddress = 10.0.0.1/24\n"
        "[Peer]\nPublicKey = BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\n"
        "AllowedIPs = 10.1.0.0/16\n"
    )
    script = (
        "import os, sys; os.geteuid = lambda: 0\n"
        "from holloway.cli.wg_quick import main\n"
        f"assert main(['up', '--dry-run', {str(path)!r}]) == 0\n"
        f"print(sorted({UNNEEDED | UNNEEDED_OF_QUICK!r} & set(sys.modules)))"
    )
    assert last_line(script) == "[]"


def test_wg_quick_down_loads_what_a_plain_file_needs() -> None:
    script = (
        "import sys, holloway.cli.wg_quick, holloway.quick.source, holloway.quick.down\n"
        "import holloway.control.kernel\n"
        f"print(sorted({UNNEEDED | UNNEEDED_OF_QUICK!r} & set(sys.modules)))"
    )
    assert last_line(script) == "[]"


def test_the_device_loads_no_client_and_nothing_for_display() -> None:
    unneeded = {
        "argparse", "ast", "asyncio", "concurrent.futures", "dis", "holloway.control",
        "holloway.net", "holloway.quick", "holloway.text.convert", "json", "multiprocessing",
        "pathlib", "prometheus_client", "pyroute2", "rich", "segno", "sqlite3", "ssl", "subprocess",
        "tempfile", "unittest", "urllib",
    }  # fmt: skip
    script = (
        "import sys; from holloway.put_off import put_off; put_off()\n"
        "import holloway.cli.device, holloway.device.daemon, holloway.device.log\n"
        "from holloway.device.daemon import load_all; load_all()\n"
        f"print(sorted({unneeded!r} & set(sys.modules)))"
    )
    assert last_line(script) == "[]"


def test_a_device_has_loaded_next_to_nothing_when_it_forks_its_monitor() -> None:
    """What is loaded by then is in memory twice."""
    unneeded = {
        "collections", "contextlib", "cryptography", "dataclasses", "enum", "logging", "pathlib",
        "re", "select", "socket", "threading", "traceback", "typing",
    }  # fmt: skip
    script = (
        "import sys, holloway.cli.device, holloway.device.monitor, holloway.device.uapi_listener\n"
        f"print(sorted({unneeded!r} & set(sys.modules)))"
    )
    assert last_line(script) == "[]"


def test_a_module_that_is_put_off_is_loaded_when_it_is_used() -> None:
    script = """
import sys
from holloway.put_off import put_off
put_off()
from dataclasses import dataclass
@dataclass
class WithText:
    'A docstring.'
    number: int
assert 'ast' not in sys.modules
@dataclass
class Without:
    number: int
assert Without.__doc__ == 'Without(number: int)'
import inspect
from inspect import isfunction
assert inspect.ismodule(sys.modules['inspect']) and inspect.__file__.endswith('inspect.py')
print(isfunction(put_off))
"""
    assert last_line(script) == "True"


def last_line(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", ["holloway", "holloway.cli.proxy", "holloway.cli.run"])
def test_modules_for_some_options_are_loaded_only_with_them(module: str) -> None:
    script = (
        f"import sys, {module}; print(sorted({{'prometheus_client', 'rich'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
