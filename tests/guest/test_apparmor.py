"""AppArmor forbids a user private namespaces, and the profile that we print permits our launcher.

The kernel is Debian's, which restricts whom a profile confines; the switch that has everybody else
restricted is in Ubuntu's kernels alone. So the user's session has a profile here, as pam_apparmor
gives it one, and programs that have a profile of their own take that.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guest.configurations import PRIVATE, PSK
from guest.machine import OURS, Done
from holloway.key import Key
from holloway.net import namespace
from holloway.net.userns_advice import apparmor_profile, escape_path
from hosts import BIN, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guest.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.guest]

POLICY = "/etc/apparmor.d"
OURS_THERE = f"{POLICY}/holloway-namespace"
SESSION = """abi <abi/4.0>,
include <tunables/global>
profile {name} flags=(attach_disconnected) {{
  network, unix, signal, ptrace, mount, umount, mqueue,
  file rwlkm /**,
  /** pix,
  {rule}
}}
"""
SESSIONS = {
    "refused": "capability,",  # no `userns`: unshare(2) fails
    "powerless": "userns,",  # no `capability`: as Ubuntu's unprivileged_userns leaves it
}
EXPLANATIONS = {
    "refused": "this system forbids user namespaces (user namespace: Permission denied; see the "
               "rules of AppArmor or SELinux)",
    "powerless": "this system gives user namespaces no rights (deny setgroups: Permission denied; "
                 "see AppArmor's rules)",
}  # fmt: skip
PEER = "10.79.0.1"
CONFIG, PAGE = "/run/laptop.conf", "/run/site/page"
PEERS = """[Interface]
PrivateKey = {private}
ListenPort = 51079
[Peer]
PublicKey = {public}
AllowedIPs = 10.79.0.2/32
"""
LAPTOPS = """[Interface]
PrivateKey = {private}
Address = 10.79.0.2/24
[Peer]
PublicKey = {public}
AllowedIPs = 10.79.0.1/32
Endpoint = 127.0.0.1:51079
"""
SET_UP = f"""
chmod 666 /dev/net/tun
ip link add wg5 type wireguard
ip address add {PEER}/24 dev wg5
wg setconf wg5 /dev/stdin
ip link set wg5 up
mkdir /run/site
echo "fetched through the tunnel" >{PAGE}
cd /run/site
{BIN}/python -m http.server --bind {PEER} 8000 >/dev/null 2>&1 &
echo $! >/run/server
until (: </dev/tcp/{PEER}/8000) 2>/dev/null; do sleep 0.1; done
"""
TEAR_DOWN = f"""
kill "$(cat /run/server)"
ip link delete wg5
chmod 600 /dev/net/tun
rm -r {CONFIG} /run/site /run/server
cd {POLICY}
apparmor_parser -R {" ".join(SESSIONS)}
rm {" ".join(SESSIONS)}
umount /sys/kernel/security
"""
FETCH = f"""
cat /proc/self/attr/apparmor/current
exec 3<>/dev/tcp/{PEER}/8000
printf 'GET /page HTTP/1.0\\r\\n\\r\\n' >&3
cat <&3
"""
NETWORKS = f"""
import asyncio
from holloway import Network
from holloway.net.errors import NoNamespace

async def main():
    try:
        async with Network.from_config("{CONFIG}", stack="kernel"):
            print("not refused")
    except NoNamespace as error:
        print(error.strerror)
    async with Network.from_config("{CONFIG}") as network:
        await network.ping("{PEER}")
        print(network.stack, network.stack_reason, sep="\\n")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def guest(machine: Machine) -> Iterator[Machine]:
    """AppArmor with the sessions' profiles, and a peer of the kernel's that serves a page."""
    machine.must("mount", "-t", "securityfs", "securityfs", "/sys/kernel/security")
    rules = machine.run("cat", "/sys/kernel/security/apparmor/features/namespaces/mask")
    parser = machine.run("test", "-e", "/opt/apparmor/apparmor_parser")
    if "userns_create" not in rules.output or parser.status != 0:
        machine.must("umount", "/sys/kernel/security")
        missing = "needs a kernel of 6.7 or newer with AppArmor, and its tools: make guest"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    for name, rule in SESSIONS.items():
        machine.write(f"{POLICY}/{name}", SESSION.format(name=name, rule=rule))
        machine.must("apparmor_parser", "-r", f"{POLICY}/{name}")
    near, far = (Key.from_base64(text).public().base64 for text in (PRIVATE, PSK))
    machine.must("bash", "-ec", SET_UP, stdin=PEERS.format(private=PRIVATE, public=far))
    machine.write(CONFIG, LAPTOPS.format(private=PSK, public=near))
    machine.must("chown", "65534", CONFIG)
    yield machine
    machine.must("sh", "-c", TEAR_DOWN)


@pytest.fixture(autouse=True)
def without_our_profile(guest: Machine) -> Iterator[None]:
    """Take it away again, for a profile outlives its file."""
    yield
    guest.run(
        "sh", "-c", f"apparmor_parser -R {OURS_THERE}; rm -f {OURS_THERE} /etc/apparmor.d/local/*"
    )


def as_user(guest: Machine, session: str, *argv: str) -> Done:
    """Run a command as a user without rights, confined by a session's profile."""
    confine = 'echo "exec $0" >/proc/self/attr/exec && exec env "$@"'
    return guest.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--",
                     "sh", "-c", confine, session, *argv, environment={"PATH": OURS})  # fmt: skip


def load(guest: Machine, profile: str) -> None:
    guest.write(OURS_THERE, profile)
    guest.must("apparmor_parser", "-r", OURS_THERE)


@pytest.mark.parametrize("session", SESSIONS)
def test_what_the_refused_are_told_to_do_helps_them_and_nobody_else(
    guest: Machine, session: str
) -> None:
    refused = as_user(guest, session, "holloway", "run", CONFIG, "true")
    first, *advice = refused.errors.splitlines()
    assert (refused.status, first) == (125, f"holloway run: {EXPLANATIONS[session]}")
    assert advice[0].startswith(f"AppArmor's profile {session}, which confines this program, ")

    commands = [line.strip() for line in advice if line.startswith("  ")]
    as_root = "\n".join(['sudo() { "$@"; }', *commands])
    guest.must("env", f"PATH={OURS}", "sh", "-ec", as_root)

    fetched = as_user(guest, session, "holloway", "run", "-q", CONFIG, "bash", "-ec", FETCH)
    assert fetched.output.startswith("holloway-namespace (unconfined)\n"), fetched
    assert fetched.output.endswith("\r\n\r\nfetched through the tunnel\n")
    assert fetched.status == 0
    others = as_user(guest, session, "unshare", "--user", "--map-root-user", "true")
    assert others.status == 1
    assert "Permission denied" in others.errors or "not permitted" in others.errors


@pytest.mark.parametrize("session", SESSIONS)
def test_a_network_says_why_it_goes_on_with_a_stack_of_its_own(
    guest: Machine, session: str
) -> None:
    printed = as_user(guest, session, "python", "-c", NETWORKS)
    why = EXPLANATIONS[session]
    assert printed == Done(0, f"{why}\nuserspace\n{why}\n", printed.errors)


def test_the_profile_s_one_rule_is_what_permits(guest: Machine) -> None:
    """Enforced, with all else that the launcher needs from the file for additions."""
    everything = "capability, network, unix, signal, ptrace, mount, umount, file,\n"
    guest.write(f"{POLICY}/local/holloway-namespace", everything)
    enforced = apparmor_profile().replace("=(unconfined)", "=(attach_disconnected)")
    load(guest, enforced)
    permitted = as_user(guest, "refused", "holloway", "run", "-q", CONFIG,
                        "cat", "/proc/self/attr/apparmor/current")  # fmt: skip
    assert permitted == Done(0, "holloway-namespace (enforce)\n", "")
    load(guest, enforced.replace("userns,", ""))
    assert as_user(guest, "refused", "holloway", "run", CONFIG, "true").status == 125


@pytest.mark.parametrize(
    ("path", "beside"),
    [
        ("/srv/a b/c", "/srv/a"),
        ("/srv/st*r?/c", "/srv/stars/c"),
        ("/srv/[^a]{b,c}/c", "/srv/db/c"),
        ('/srv/"\\n@{HOME}#,é/c', "/srv/c"),
    ],
)
def test_the_profile_is_for_one_path_whatever_that_is(
    guest: Machine, path: str, beside: str
) -> None:
    load(guest, apparmor_profile(escape_path(Path(path))))
    assert profile_of(guest, path) == "holloway-namespace (unconfined)\n"
    assert profile_of(guest, beside) == "refused (enforce)\n"


def test_the_profile_of_packages_is_for_the_system_s_directories(guest: Machine) -> None:
    load(guest, (REPOSITORY / "share/apparmor.d/holloway-namespace").read_text())
    package = f"holloway/net/{Path(namespace.PROGRAM).name}"
    for path in ("/usr/lib/python3/dist-packages", "/usr/local/lib/python3.12/dist-packages",
                 "/usr/lib/python3.14/site-packages"):  # fmt: skip
        assert profile_of(guest, f"{path}/{package}") == "holloway-namespace (unconfined)\n"
    assert profile_of(guest, f"/srv/python3/dist-packages/{package}") == "refused (enforce)\n"


def profile_of(guest: Machine, path: str) -> str:
    """Under which profile a program of that path runs in a session."""
    quoted = shlex.quote(path)
    guest.must("sh", "-ec", f"mkdir -p {shlex.quote(os.path.dirname(path))}; cp /bin/cat {quoted}")
    done = as_user(guest, "refused", path, "/proc/self/attr/apparmor/current")
    guest.must("rm", path)
    return done.output
