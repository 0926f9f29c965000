"""A private /etc/resolv.conf while an interface is up, where no program manages that file.

Each interface's file is mounted over the one before. Where mounting is not allowed, as in many
containers, the file is overwritten and restored later. Interfaces may go down in any order.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holloway.errors import HollowayError
from holloway.quick import programs, runtime
from holloway.quick.steps import Host, Step, print_message


@dataclass(frozen=True, slots=True)
class ReplaceResolvConf:
    """Replace /etc/resolv.conf, or what this interface replaced it by before."""

    name: str
    content: str

    @property
    def text(self) -> str:
        return f"mount --bind {_own(self.name)} {RESOLV_CONF}"

    def apply(self, host: Host) -> None:
        last = _own(self.name).read_text() if is_replaced_for(self.name) else None
        runtime.make_directory(self.name)
        # Written in place: a mount stays with the file that it was made of.
        runtime.write(_own(self.name), self.content, READABLE)
        if _has_backup(self.name):
            if _content() == last:
                RESOLV_CONF.write_text(self.content)
        # An interface that ended without a `down` has left its mount behind.
        elif self.name not in _mounted() and not self._mount(host):
            _back_up(self.name)
            RESOLV_CONF.write_text(self.content)

    def _mount(self, host: Host) -> bool:
        if not RESOLV_CONF.exists():
            return False
        try:
            programs.run_program(self.text.split(), host.interrupts)
        except programs.ProgramFailed:
            print_message(
                f"[!] {RESOLV_CONF} cannot be mounted over. It is overwritten, and restored later."
            )
            return False
        return True

    def inverse(self, host: Host) -> Step | None:
        return RestoreResolvConf(self.name) if is_replaced_for(self.name) else None


@dataclass(frozen=True, slots=True)
class RestoreResolvConf:
    """Restore what `ReplaceResolvConf` found, and leave the files of other interfaces alone."""

    name: str

    @property
    def text(self) -> str:
        if _has_backup(self.name):
            return f"cp {_backup(self.name)} {RESOLV_CONF}"
        return f"umount {RESOLV_CONF}"

    def apply(self, host: Host) -> None:
        if _has_backup(self.name):
            _restore(self.name)
        else:
            self._unmount(host)
        for path in (_own(self.name), _backup(self.name), _absence_marker(self.name)):
            path.unlink(missing_ok=True)
        runtime.remove_directory(self.name)

    def _unmount(self, host: Host) -> None:
        mounted = _mounted()
        if self.name not in mounted:
            return
        above = mounted[mounted.index(self.name) + 1 :]
        if None in above:
            raise HollowayError(f"{RESOLV_CONF} has been mounted over by somebody else")
        for _ in (self.name, *above):
            # Lazily: a program that has it open may read on.
            programs.run_program(["umount", "--lazy", str(RESOLV_CONF)], host.interrupts)
        for name in filter(None, above):
            again = ["mount", "--bind", str(_own(name)), str(RESOLV_CONF)]
            programs.run_program(again, host.interrupts)


def is_replaced_for(name: str) -> bool:
    """Whether there is a private file of an interface."""
    return _own(name).is_file()


def _back_up(name: str) -> None:
    """Save what is to be restored: a text, a dangling link, or that there was no file."""
    if RESOLV_CONF.exists():
        shutil.copyfile(RESOLV_CONF, _backup(name))
    elif RESOLV_CONF.is_symlink():
        _backup(name).symlink_to(os.readlink(RESOLV_CONF))
        RESOLV_CONF.unlink()
    else:
        _absence_marker(name).touch()


def _restore(name: str) -> None:
    own = _own(name).read_text()
    if _content() != own:
        _hand_over(name, own)
    elif _absence_marker(name).exists():
        RESOLV_CONF.unlink()
    elif _backup(name).is_symlink():
        RESOLV_CONF.unlink()
        RESOLV_CONF.symlink_to(os.readlink(_backup(name)))
    else:
        # In place: it may itself be a mount, or behind a link.
        shutil.copyfile(_backup(name), RESOLV_CONF)


def _hand_over(name: str, own: str) -> None:
    """Have the interface that wrote after us restore what we would have restored."""
    for later in (path.name for path in runtime.DIRECTORY.iterdir() if path.name != name):
        if _backup(later).is_file() and _backup(later).read_text() == own:
            for path in (_backup, _absence_marker):
                path(later).unlink(missing_ok=True)
                with suppress(FileNotFoundError):
                    path(name).rename(path(later))
            return
    print_message(f"[!] {RESOLV_CONF} has been changed by somebody else. It is left as it is.")


def _mounted() -> list[str | None]:
    """List what is mounted over the file, the top last: interfaces by name, None for others."""
    target = os.path.realpath(RESOLV_CONF)
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    roots = [fields[3] for line in lines if (fields := line.split())[4] == target]
    return [_interface(root) for root in roots]


def _interface(root: str) -> str | None:
    """Read the name of an interface from the path of its file in /run."""
    path = Path(root)
    ours = path.name == RESOLV_CONF.name and path.parent.parent.name == runtime.DIRECTORY.name
    return path.parent.name if ours else None


def _content() -> str | None:
    try:
        return RESOLV_CONF.read_text()
    except OSError:
        return None


def _own(name: str) -> Path:
    return runtime.resolv_conf(name)


def _backup(name: str) -> Path:
    return runtime.directory(name) / "resolv.conf.before"


def _absence_marker(name: str) -> Path:
    return runtime.directory(name) / "resolv.conf.was-not-there"


def _has_backup(name: str) -> bool:
    return os.path.lexists(_backup(name)) or _absence_marker(name).exists()


RESOLV_CONF: Final = Path("/etc/resolv.conf")
READABLE: Final = 0o644
