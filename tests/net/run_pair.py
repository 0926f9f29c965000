"""Two configuration files, each the other's peer, and programs that run inside them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from net.pair import FIRST, SECOND, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLLOWAY = (sys.executable, "-m", "holloway")
PYTHON = sys.executable
DNS = f"DNS = {FIRST[0]}, home.test"


@dataclass(frozen=True)
class Files:
    """`laptop` knows where `office` is, and asks it for names."""

    office: Path
    laptop: Path

    def run(
        self, *words: str, stdin: bytes | None = None, timeout: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """`holloway run` with these words, to its end."""
        done = subprocess.run(
            [*HOLLOWAY, "run", *words],
            input=stdin, capture_output=True, check=False, timeout=timeout,
        )  # fmt: skip
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def in_laptop(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.run("-q", str(self.laptop), "--", *command)

    @contextlib.contextmanager
    def serving(self, *words: str, script: str) -> Iterator[subprocess.Popen[str]]:
        """A Python program inside the office, once it has printed a line; killed in the end."""
        command = [*HOLLOWAY, "run", "-q", *words, str(self.office), "--", PYTHON, "-c", script]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
            # Ours may be orphaned, and then the kernel stops nobody in it (setpgid(2)).
            process_group=0,
        ) as started:  # fmt: skip
            assert started.stdout is not None
            if not started.stdout.readline():
                raise AssertionError(started.communicate()[1])
            try:
                yield started
            finally:
                started.terminate()
                started.communicate(timeout=30)


def write_files(directory: Path) -> Files:
    keys = new_key(), new_key()
    port = free_port(socket.SOCK_DGRAM)
    files = Files(directory / "office.conf", directory / "laptop.conf")
    for file in (files.office, files.laptop):
        file.touch(0o600)
    files.office.write_text(
        f"[Interface]\nPrivateKey = {keys[0].base64}\nListenPort = {port}\n"
        f"Address = {FIRST[0]}/24, {FIRST[1]}/64\n"
        f"[Peer]\nPublicKey = {keys[1].public().base64}\n"
        f"AllowedIPs = {SECOND[0]}, {SECOND[1]}\n"
    )
    files.laptop.write_text(
        f"[Interface]\nPrivateKey = {keys[1].base64}\n{DNS}\n"
        f"Address = {SECOND[0]}/24, {SECOND[1]}/64\n"
        f"[Peer]\nPublicKey = {keys[0].public().base64}\nEndpoint = 127.0.0.1:{port}\n"
        f"AllowedIPs = {FIRST[0]}, {FIRST[1]}\n"
    )
    return files


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of this host that nobody uses."""
    with socket.socket(socket.AF_INET, kind) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
    return port
