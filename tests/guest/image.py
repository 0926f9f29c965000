"""Makes the guest's root: files of this machine's Debian packages, Python and our own, as one cpio.

The kernel unpacks it into memory (Documentation/driver-api/early-userspace/buffer-format), so that
no disk, no mount and no image tool is needed. Every file keeps its place.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPOSITORY = Path(__file__).parent.parent.parent
WIREGUARD_GO = REPOSITORY / ".peers" / "bin" / "wireguard-go"
FETCHED = REPOSITORY / ".peers" / "kernel"
AGENT = Path(__file__).parent / "agent.py"
PACKAGES = (
    "bash", "coreutils", "dash", "findutils", "grep", "hostname", "iproute2", "iptables",
    "iputils-ping", "kmod", "libc-bin", "mount", "netbase", "nftables", "procps", "sed",
    "util-linux", "wireguard-tools",
)  # fmt: skip
MODULES = (
    "virtio_pci", "virtio_console", "virtio_net", "virtio_rng", "wireguard", "tun", "veth", "dummy",
    "bridge", "nf_tables", "nft_fib_inet", "nft_ct", "nft_fib", "nft_compat", "ip_tables",
    "ip6_tables", "iptable_raw", "iptable_mangle", "iptable_nat", "ip6table_raw", "ip6table_mangle",
    "xt_addrtype", "xt_mark", "xt_connmark", "xt_conntrack", "xt_comment", "sch_fq_codel",
)  # fmt: skip
UNNEEDED = re.compile(
    r"^/usr/share/(doc|man|locale|info|bash-completion|lintian|zoneinfo|perl5?|i18n|bug)/"
    r"|^/usr/lib/x86_64-linux-gnu/(gconv|perl|perl-base)/|^/usr/lib/locale/"
    r"|/lib/python3[.]\d+/(test|idlelib|lib2to3|tkinter|turtledemo|pydoc_data|ensurepip"
    r"|site-packages|dist-packages|config-[^/]*|distutils)/"
)
LOADER = b"""#!/bin/sh
there=/opt/apparmor
exec $there/ld-linux-x86-64.so.2 --library-path $there $there/apparmor_parser "$@"
"""
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
exec {python} {agent} {modules}
"""


def kernels() -> list[Path]:
    """The kernels that can be booted: the one that scripts/guest-kernel fetched, then /boot's."""
    found = [*FETCHED.glob("boot/vmlinuz-*"), *Path("/boot").glob("vmlinuz-*")]
    return [
        kernel
        for kernel in found
        if os.access(kernel, os.R_OK) and any(modules_of(kernel).rglob("wireguard.ko*"))
    ]


def modules_of(kernel: Path) -> Path:
    """Where a kernel's modules are."""
    return kernel.parent.parent / "lib/modules" / kernel.name.removeprefix("vmlinuz-")


def build(kernel: Path, target: Path) -> None:
    """Write the root for `kernel`."""
    files = set(packages()) | set(python()) | other_implementations()
    archive = Archive()
    for link in ("bin", "sbin", "lib", "lib64"):
        if Path("/", link).is_symlink():
            archive.add(f"/{link}")
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "var/run", "etc/wireguard"):
        archive.directory(f"/{name}")
    for path in sorted(files):
        archive.add(path)
    for module in sorted(modules(kernel)):
        archive.file(os.path.realpath(f"/{module.relative_to(kernel.parent.parent)}"), module)
    apparmor(archive)
    script = INIT.format(python=sys.executable, agent=AGENT, modules=" ".join(MODULES))
    archive.entry("/init", stat.S_IFREG | 0o755, script.encode())
    archive.entry("/etc/nsswitch.conf", stat.S_IFREG | 0o644, b"hosts: files\nservices: files\n")
    archive.write(target)


def packages() -> Iterator[str]:
    """The files of our packages and of all that these depend on."""
    listed = subprocess.run(["dpkg", "-L", *closure(PACKAGES)],
                            capture_output=True, text=True, check=True)  # fmt: skip
    found = {path for path in listed.stdout.splitlines() if path.startswith("/")}
    for path in found:
        if not UNNEEDED.search(f"{path}/") and os.path.lexists(path):
            yield path
    for link in Path("/etc/alternatives").iterdir():
        if os.path.realpath(link) in found:
            # Whoever is called by several names: iptables by /usr/sbin/iptables too.
            yield from (str(link), f"/usr/sbin/{link.name}", f"/usr/bin/{link.name}")


def closure(names: Iterable[str]) -> set[str]:
    """The installed packages that `names` need, by what they declare."""
    fields = "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
    queried = subprocess.run(["dpkg-query", "-W", "-f", fields],
                             capture_output=True, text=True, check=True)  # fmt: skip
    needs: dict[str, str] = {}
    providers: dict[str, str] = {}
    for line in queried.stdout.splitlines():
        name, depends, provides = line.split("\t")
        needs[name] = depends
        for virtual in re.findall(r"[a-z0-9][a-z0-9+.-]+", re.sub(r"\(.*?\)", "", provides)):
            providers[virtual] = name
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        name = name if name in needs else providers.get(name, "")
        if name in found or not name or name == "perl-base":
            continue
        found.add(name)
        for choice in needs[name].split(","):
            alternatives = [part.split("(")[0].split(":")[0].strip() for part in choice.split("|")]
            known = [part for part in alternatives if part in needs or part in providers]
            waiting += known[:1]
    return found


def python() -> Iterator[str]:
    """The interpreter that runs us, its library, our packages and their libraries."""
    interpreter = os.path.realpath(sys.executable)
    site = sysconfig.get_path("purelib")
    yield from (sys.executable, str(Path(sys.executable).parent.parent / "pyvenv.cfg"), interpreter)
    yield from (str(path) for path in Path(sys.executable).parent.glob("*") if path.is_symlink())
    trees = [Path(sysconfig.get_path("stdlib")), REPOSITORY / "src", REPOSITORY / "tests"]
    for script in ("wg", "wg-quick", "holloway", "holloway-device"):
        yield str(Path(sys.executable).parent / script)
    yield from map(str, Path(site).glob("holloway*.pth"))
    linked = [interpreter]
    for tree in trees:
        for path in [tree] if tree.is_file() else tree.rglob("*"):
            if not UNNEEDED.search(str(path).removeprefix(site)) or site in str(path):
                yield str(path)
                linked += [str(path)] if ".so" in path.suffixes else []
    yield from shared_libraries(linked)


def other_implementations() -> set[str]:
    """wireguard-go, if it is built, and its libraries."""
    if not WIREGUARD_GO.exists():
        return set()
    return {str(WIREGUARD_GO), *shared_libraries([str(WIREGUARD_GO)])}


def shared_libraries(programs: list[str]) -> set[str]:
    """What the dynamic linker loads for programs and modules."""
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    return set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE))


def modules(kernel: Path) -> Iterator[Path]:
    """Our modules, what they need, and the tables by which modprobe finds them."""
    directory, base = modules_of(kernel), kernel.parent.parent
    for name in MODULES:
        shown = subprocess.run(
            ["modprobe", "--show-depends", "--dirname", str(base),
             "--set-version", directory.name, name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = re.findall(r"^insmod /+(\S+)", shown.stdout, re.MULTILINE)
        yield from (Path("/", path) for path in found)
    yield from directory.glob("modules.*")


def apparmor(archive: Archive) -> None:
    """AppArmor's loader, newer than this machine's and so with a libc of its own; its policy."""
    tree = FETCHED / "apparmor"
    for found in sorted([*tree.rglob("sbin/apparmor_parser"), *tree.rglob("ld-linux-*.so.2"),
                         *tree.rglob("libc.so.6")]):  # fmt: skip
        archive.file(f"/opt/apparmor/{found.name}", found.resolve())
    policy = (*tree.glob("etc/apparmor*/**/*"), *tree.glob("usr/share/apparmor-features/*"))
    for found in sorted(policy):
        if found.is_file():
            archive.file(f"/{found.relative_to(tree)}", found)
    archive.entry("/usr/sbin/apparmor_parser", stat.S_IFREG | 0o755, LOADER)


class Archive:
    """A cpio in the form "newc"."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._seen: set[str] = set()

    def add(self, path: str) -> None:
        """Take a file, link or directory from this machine, with the directories above it."""
        place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if not os.path.lexists(place):
            return
        mode = os.lstat(place).st_mode
        if stat.S_ISDIR(mode):
            self.directory(place)
        elif stat.S_ISLNK(mode):
            target = os.readlink(place)
            self.entry(place, mode, target.encode())
            following = os.path.join(os.path.dirname(place), target)
            if not os.path.isdir(following) and os.path.lexists(following):
                self.add(following)
        elif stat.S_ISREG(mode):
            self.file(place, Path(place))

    def file(self, path: str, source: Path) -> None:
        """Take a regular file to another place."""
        status = source.stat()
        self.entry(path, status.st_mode, source.read_bytes(), int(status.st_mtime))

    def directory(self, path: str) -> None:
        """Make a directory and those above it."""
        if path == "/" or path in self._seen:
            return
        self.entry(path, stat.S_IFDIR | 0o755, b"")

    def entry(self, path: str, mode: int, content: bytes, time: int = 0) -> None:
        """Add one entry, once."""
        if path in self._seen:
            return
        self.directory(os.path.dirname(path))
        self._seen.add(path)
        name = path.lstrip("/").encode() + b"\0"
        numbers = (len(self._seen), mode, 0, 0, 1, time, len(content), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
        self._pieces += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]

    def write(self, target: Path) -> None:
        """End the archive and write it."""
        self.entry("/TRAILER!!!", 0, b"")
        with target.open("wb") as file:
            file.writelines(self._pieces)
