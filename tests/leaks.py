"""Searches what the programs under test print for the secret keys that the tests use.

A pytest plugin (`conftest` loads it). It takes note of each secret key: of those that Python makes,
of what `genkey` and `genpsk` print, and of `PrivateKey` and `PresharedKey` lines in what is written
to a program or a host. It collects what the programs print on standard error, what those print on
standard output that are not there to show keys, what commands print within a test, and the logs of
lab hosts. A test in which both meet fails.
"""

from __future__ import annotations

import asyncio.subprocess
import os
import re
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from holloway.key import Key
from holloway.lab import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 20
"""So many characters of a key in one place are a leak: a cut key is found too."""
SECRET_LINE = re.compile(
    r"(?:private|preshared)_?key\s*=\s*([A-Za-z0-9+/]{43}=|[0-9a-fA-F]{64})", re.IGNORECASE
)
WORD = re.compile(rf"[A-Za-z0-9+/]{{{PIECE},}}")
MAKES_KEYS = {"genkey", "genpsk"}
PRINTS_NO_KEYS = re.compile(
    r"holloway-device|wg-quick|wg_quick|holloway (log|run|proxy|demo|lab)\b"
)
SHOWS_KEYS = re.compile(r"\bstrip\b|show|\bcat\b|\bqr\b|setconf|\bset\b")
ORIGINALS = re.compile(r"/usr/bin/wg|PATH=/usr/sbin:|/\.peers/|wireguard-go|boringtun")
"""They print lines that they do not understand, keys and all."""


class Leaks:
    """The pieces of all secret keys so far, and what was found in outputs since the last look."""

    def __init__(self) -> None:
        self.pieces: set[str] = set()
        self.found: list[str] = []
        self.counts: Counter[str] = Counter()

    def note_key(self, raw: bytes) -> None:
        """Search for this secret from now on."""
        if len(set(raw)) < 4:
            return  # a key of equal bytes, which is a placeholder, and public in other tests
        key = Key(raw)
        self.counts["keys"] += 1
        for text in (key.base64, key.hex):
            self.pieces |= {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}

    def note_input(self, text: str) -> None:
        """Take note of the keys in a configuration or a request."""
        for (written,) in map(re.Match.groups, SECRET_LINE.finditer(text)):
            with suppress(ValueError):
                read = Key.from_hex if len(written) == 64 else Key.from_base64
                self.note_key(read(written).raw)

    def note_made(self, text: str) -> None:
        """Take note of a key that was printed alone."""
        with suppress(ValueError):
            self.note_key(Key.from_base64(text.strip()).raw)

    def search(self, source: str, text: str) -> None:
        """Search an output."""
        if not text:
            return
        self.counts["outputs"] += 1
        for word in WORD.findall(text):
            pieces = {word[at : at + PIECE] for at in range(len(word) - PIECE + 1)}
            if not self.pieces.isdisjoint(pieces):
                self.found.append(f"{source}: {word}")

    def search_process(self, arguments: Any, output: object, errors: object) -> None:
        """Search what a process printed; `arguments` say what it was there for."""
        words = arguments if isinstance(arguments, list | tuple) else [arguments]
        command = " ".join(map(os.fsdecode, words))
        if MAKES_KEYS & set(command.split()):
            self.note_made(as_text(output))
        if ORIGINALS.search(command):
            return
        self.search(f"standard error of {command}", as_text(errors))
        if PRINTS_NO_KEYS.search(command) and not SHOWS_KEYS.search(command):
            self.search(f"standard output of {command}", as_text(output))

    def search_host(self, host: Host) -> None:
        """Search the logs that are in the /run of a lab host, if it still runs."""
        with suppress(OSError, AssertionError, IndexError):
            for log in Path(f"/proc/{host.pid}/root/run").glob("*.log"):
                self.search(f"{log.name} of {host.name}", log.read_text(errors="replace"))

    def take(self) -> list[str]:
        """Return what was found, and forget it."""
        found, self.found = self.found, []
        return found


def as_text(data: object) -> str:
    if isinstance(data, bytes | bytearray):
        return data.decode(errors="replace")
    return data if isinstance(data, str) else ""


LEAKS = Leaks()


def pytest_configure() -> None:
    """Look on where keys are made, and where processes and tests read outputs."""
    after(Key, "public", lambda key, _: LEAKS.note_key(key.raw))
    after(Key, "clamped", lambda _, made: LEAKS.note_key(made.raw))
    after(pytest.CaptureFixture, "readouterr", lambda _, read: LEAKS.search("stderr", read.err))
    around_communicate()
    around_stop()


def after(owner: Any, name: str, look: Callable[[Any, Any], None]) -> None:
    """Call `look` with the object and the result after each call of a method."""
    method = getattr(owner, name)

    def looked_on(self: Any, *arguments: Any, **more: Any) -> Any:
        result = method(self, *arguments, **more)
        look(self, result)
        return result

    setattr(owner, name, looked_on)


def around_communicate() -> None:
    communicate = subprocess.Popen.communicate

    def looked_on(self: Any, input: Any = None, timeout: Any = None) -> Any:  # noqa: A002
        LEAKS.note_input(as_text(input))
        output, errors = communicate(self, input, timeout)
        LEAKS.search_process(self.args, output, errors)
        return output, errors

    subprocess.Popen.communicate = looked_on  # type: ignore[method-assign]
    communicate_async = asyncio.subprocess.Process.communicate

    async def looked_on_async(self: Any, input: Any = None) -> Any:  # noqa: A002
        output, errors = await communicate_async(self, input)
        LEAKS.search_process([], output, errors)
        return output, errors

    asyncio.subprocess.Process.communicate = looked_on_async  # type: ignore[method-assign]


def around_stop() -> None:
    stop = Host.stop

    def looked_on(self: Host) -> None:
        LEAKS.search_host(self)
        stop(self)

    Host.stop = looked_on  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    result = yield
    if found := LEAKS.take():
        pytest.fail("a secret key was printed: " + "; ".join(found), pytrace=False)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was counted to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["leaks"] = dict(LEAKS.counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    LEAKS.counts.update(getattr(node, "workeroutput", {}).get("leaks", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    keys, outputs = LEAKS.counts["keys"], LEAKS.counts["outputs"]
    terminalreporter.write_line(f"{outputs} outputs were searched for {keys} secret keys")
