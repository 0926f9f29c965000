"""`holloway run` as a user without rights, and on systems that look names up in other ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from net.pair import FIRST
from net.run_pair import HOLLOWAY, PYTHON, Files, write_files
from net.unprivileged import run_tests_unprivileged, unprivileged, unprivileged_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Host

pytestmark = [pytest.mark.root, pytest.mark.slow]

MASKED = [
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/avahi-daemon/socket",
]
LISTENING = """
import os, select, socket, sys
listeners = []
for path in sys.argv[1:]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    listeners.append(socket.socket(socket.AF_UNIX))
    listeners[-1].bind(path)
    listeners[-1].listen()
    os.chmod(path, 0o666)
print("ready", flush=True)
while True:
    for listener in select.select(listeners, [], [])[0]:
        listener.accept()[0].close()
"""
CONNECTING = """
import socket, sys
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("answered")
    except OSError as error:
        print(error.strerror)
"""
UPSTREAM = "nameserver 192.0.2.53\n"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with unprivileged_host() as host:
        yield host


@pytest.fixture
def files(host: Host, tmp_path: Path) -> Files:
    """The configuration files, in the host and readable there."""
    written = write_files(tmp_path)
    host.run("mkdir", "-p", "-m", "755", "/run/files")
    placed = Files(Path("/run/files/office.conf"), Path("/run/files/laptop.conf"))
    host.write(placed.office, written.office.read_text(), 0o644)
    host.write(placed.laptop, written.laptop.read_text(), 0o644)
    return placed


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["test_run.py", "test_run_terminal.py", "test_run_forbidden.py"])
def test_it_needs_no_rights(host: Host, name: str) -> None:
    run_tests_unprivileged(host, Path(__file__).with_name(name), timeout=280)


def test_who_looks_names_up_for_others_is_out_of_reach(host: Host, files: Files) -> None:
    started = '"$@" >/run/listening 2>&1 & until grep -q ready /run/listening; do sleep 0.05; done'
    host.run("sh", "-c", started, "sh", PYTHON, "-c", LISTENING, *MASKED, timeout=10)
    connecting = [PYTHON, "-c", CONNECTING, *MASKED]
    outside = host.run(*unprivileged(*connecting)).stdout
    assert outside == "answered\n" * len(MASKED)
    inside = host.run(*unprivileged(*HOLLOWAY, "run", str(files.laptop), "--", *connecting)).stdout
    assert inside == "Connection refused\n" * len(MASKED)


def test_a_link_to_a_resolver_s_file_is_replaced_inside_alone(host: Host, files: Files) -> None:
    stub = "/run/systemd/resolve/stub-resolv.conf"
    host.run("mkdir", "-p", "/run/systemd/resolve")
    host.write(stub, "nameserver 127.0.0.53\n", 0o644)
    host.write("/run/systemd/resolve/resolv.conf", UPSTREAM, 0o644)
    host.run("ln", "-sf", stub, "/etc/resolv.conf")
    run = [*HOLLOWAY, "run"]
    shown = host.run(*unprivileged(*run, str(files.laptop), "cat", "/etc/resolv.conf"))
    assert f"nameserver {FIRST[0]}\n" in shown.stdout
    assert host.run("cat", stub).stdout == "nameserver 127.0.0.53\n"
    copied = host.run(*unprivileged(*run, str(files.office), "cat", "/etc/resolv.conf"))
    assert copied.stdout == UPSTREAM
    assert "192.0.2.53, which no peer has in AllowedIPs: names will not be found" in copied.stderr


@pytest.mark.parametrize("words", [["run", "true"], ["proxy", "--check"], ["qr"]])
def test_a_name_stands_for_a_file_of_wg_quick(host: Host, files: Files, words: list[str]) -> None:
    name, *rest = words
    command = [*HOLLOWAY, name, "home", *rest]
    missing = host.run(*command, check=False)
    reason = "/etc/wireguard/home.conf: No such file or directory"
    assert missing.stderr == f"holloway {name}: {reason}\n"
    host.run("cp", "--preserve=mode", str(files.laptop), "/etc/wireguard/home.conf")
    try:
        assert host.run(*command).stderr == ""
    finally:
        host.run("rm", "/etc/wireguard/home.conf")


def test_a_path_is_a_path_also_where_it_looks_like_a_name(host: Host, files: Files) -> None:
    inside = 'cd /run/files && cp laptop.conf plain && "$@"'
    for name in ("laptop.conf", "plain", "./plain"):
        command = [*HOLLOWAY, "run", "-q", name, "sh", "-c", "echo $HOLLOWAY_NETWORK"]
        shown = host.run("sh", "-c", inside, "sh", *command).stdout
        assert shown == f"{files.laptop.stem if name == 'laptop.conf' else 'plain'}\n"


def test_a_system_without_name_servers_is_no_hindrance(host: Host, files: Files) -> None:
    host.run("rm", "-f", "/etc/resolv.conf")
    done = host.run(*unprivileged(*HOLLOWAY, "run", str(files.office), "echo", "on"))
    assert done.stdout == "on\n"
    assert "nor has the system a name server" in done.stderr


def test_one_tunnel_runs_within_another(host: Host, files: Files) -> None:
    script = "import socket; print([name for _, name in socket.if_nameindex()])"
    inner = [*HOLLOWAY, "run", "-q", str(files.office), "--", PYTHON, "-c", script]
    done = host.run(*unprivileged(*HOLLOWAY, "run", str(files.laptop), "--", *inner))
    assert done.stdout == "['lo', 'office']\n"
