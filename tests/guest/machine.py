"""A virtual machine with Debian's kernel, whose WireGuard is the one that ours is compared with.

QEMU emulates the processor in software, so that it runs where virtual machines cannot nest. It
runs in a `Host`, to which the guest has a cable: a TAP there, eth0 in the guest.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from guest.image import build
from holloway.lab import Host
from hosts import BIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BOOT_SECONDS = 300
BOOTS = 3
"""How often it is tried: emulated, a kernel now and then crashes before it runs any of our code."""
COMMAND_SECONDS = 240.0
"""The limit of a command: the emulated machine may share a processor with other tests."""
TAP = "tap0"
ORIGINAL = "/usr/sbin:/usr/bin:/sbin:/bin"
OURS = f"{BIN}:{ORIGINAL}"


@dataclass(frozen=True)
class Done:
    """What a command in the guest left behind."""

    status: int
    output: str
    errors: str


class Machine:
    """A guest that has booted; a context manager."""

    def __init__(self, kernel: Path, directory: Path) -> None:
        self._kernel, self._directory = kernel, directory
        self._console = directory / "console"
        self.host: Host
        self.release = ""

    def __enter__(self) -> Self:
        root = self._directory / "root.cpio"
        build(self._kernel, root)
        for attempt in range(1, BOOTS + 1):
            try:
                self._start(root)
                break
            except OSError:
                if attempt == BOOTS:
                    raise
        root.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        self._qemu.kill()
        self.host.stop()
        self._qemu.communicate()

    def run(
        self,
        *argv: str,
        stdin: str = "",
        seconds: float = COMMAND_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command in the guest to its end."""
        request = {"argv": argv, "stdin": stdin, "seconds": seconds,
                   "environment": dict(environment or {})}  # fmt: skip
        assert self._qemu.stdin is not None
        self._qemu.stdin.write(json.dumps(request).encode() + b"\n")
        self._qemu.stdin.flush()
        answer = self._line(seconds + 20)
        return Done(int(str(answer["status"])), str(answer["output"]), str(answer["errors"]))

    def must(self, *argv: str, stdin: str = "", seconds: float = COMMAND_SECONDS) -> str:
        """Run a command in the guest that has to succeed; returns its output."""
        done = self.run(*argv, stdin=stdin, seconds=seconds)
        assert done.status == 0, (argv, done)
        return done.output

    def write(self, path: str, text: str) -> None:
        """Write a file in the guest that only root can read."""
        self.must("sh", "-c", 'umask 077; mkdir -p "${1%/*}"; cat >"$1"', "write", path, stdin=text)

    def _start(self, root: Path) -> None:
        self.host = Host("outside")
        self.host.start()
        try:
            self._boot(root)
        except BaseException:
            self.host.stop()
            raise

    def _boot(self, root: Path) -> None:
        self.host.run("ip", "tuntap", "add", TAP, "mode", "tap")
        self.host.run("ip", "link", "set", TAP, "up")
        self._qemu = subprocess.Popen(
            self.host.argv(
                "qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1",
                "-m", "1536", "-nodefaults", "-display", "none", "-no-reboot",
                "-kernel", str(self._kernel), "-initrd", str(root),
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable",
                "-serial", f"file:{self._console}",
                "-device", "virtio-serial-pci", "-chardev", "stdio,id=agent,signal=off",
                "-device", "virtserialport,chardev=agent",
                "-netdev", f"tap,id=cable,ifname={TAP},script=no,downscript=no",
                "-device", "virtio-net-pci,netdev=cable", "-device", "virtio-rng-pci",
            ),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._buffered = b""
        try:
            self.release = str(self._line(BOOT_SECONDS)["ready"])
        except (TimeoutError, EOFError) as error:
            self.host.stop()  # to kill what entered the host would leave QEMU, which has the pipes
            _, errors = self._qemu.communicate()
            raise OSError(f"the guest did not start: {errors!r}") from error

    def _line(self, seconds: float) -> dict[str, object]:
        """Read the next line from the guest."""
        assert self._qemu.stdout is not None
        pipe = self._qemu.stdout.fileno()
        end = time.monotonic() + seconds
        while b"\n" not in self._buffered:
            ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the guest does not answer: {self._printed()}")
            piece = os.read(pipe, 1 << 16)
            if not piece:
                raise EOFError(f"the guest is gone: {self._printed()}")
            self._buffered += piece
        line, _, self._buffered = self._buffered.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer

    def _printed(self) -> str:
        """Return the end of what the guest's kernel has printed."""
        return self._console.read_text(errors="replace")[-2000:] if self._console.exists() else ""
