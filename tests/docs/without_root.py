"""The pages for a user without privileges, whose `laptop.conf` connects to a network at home."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from docs.machine import HOME, Users, furnish
from net.home_lab import DIRECTORY, home_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docs.machine import Shell
    from docs.pages import Page
    from holloway.lab import Host

SSH = f"""\
Host *
    User laptop
    IdentityFile {HOME}/id_ed25519
    UserKnownHostsFile {HOME}/known_hosts
    StrictHostKeyChecking accept-new
"""
QUESTION = "b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3nas\\4home\\0\\0\\1\\0\\1'"
ASK = f"""python3 - <<'END'
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(10)
    asking.sendto({QUESTION}, ("127.0.0.1", 5353))
    assert socket.inet_aton("10.10.10.5") in asking.recv(512)
END"""


@contextmanager
def at_the_laptop() -> Iterator[tuple[Users, Host]]:
    """Start the lab, and yield the users of the laptop and the host at home."""
    with home_lab() as place:
        furnish(place.laptop)
        users = Users(place.laptop)
        files = " ".join(
            f"{DIRECTORY}/{name}" for name in ("laptop.conf", "id_ed25519", "known_hosts")
        )
        place.laptop.run("sh", "-c", f"install -m 600 -o you -g you {files} {HOME}")
        place.laptop.run("install", "-d", "-o", "you", f"{HOME}/.ssh")
        # The pages recommend this for servers in the tunnel.
        place.laptop.run("sh", "-c", f"echo PersistentKeepalive = 25 >>{HOME}/laptop.conf")
        yield users, place.server
    users.close()


def run(page: Page) -> None:
    with at_the_laptop() as (users, far):
        shell = users.shell()
        shell.type(f"cat >~/.ssh/config <<'END'\n{SSH}END")
        printed = shell.type(page.take("holloway run laptop.conf -- curl"))
        assert "/ for 10.10.10.2" in printed
        assert "nas: uptime" in printed
        shell.type(page.take("holloway run laptop.conf -- curl"))
        assert shell.type("zcat page.gz") == "/ for 10.10.10.2"
        inside = users.shell()
        inside.enter(page.take("holloway shell laptop.conf"))
        assert "inet 10.10.10.2" in inside.type("ip address show laptop")
        prompt = page.take("PS1=")
        assert inside.type(f'{prompt}echo "${{PS1@P}}"').startswith("(laptop) ")
        inside.enter("exit")
        assert "laptop" not in inside.type(f'{prompt}echo "${{PS1@P}}"').partition("@")[0]
        published = users.serve(page.take("holloway run -p"), until="leads to")
        shell.type(listing("http://127.0.0.1:8080/"))
        url = "http://10.10.10.2/"
        assert "Directory listing" in far.run("curl", "-s", url).stdout
        published.stop()
        printed = shell.type(page.take("holloway run laptop.conf -- ping"))
        assert "3 received" in printed
        assert "inet 10.10.10.2/24" in printed


def listing(url: str) -> str:
    """Return a command that asks a web server until it answers."""
    return f"until curl -s {url} | grep 'Directory listing'; do sleep 0.1; done"


def proxy(page: Page) -> None:
    with at_the_laptop() as (users, far):
        shell = users.shell()
        serve = page.take("holloway proxy")
        curls = page.take("curl --socks5-hostname")
        log_in(page, shell, "stdio")
        both = users.serve(serve, until="HTTP proxy")
        assert shell.type(curls).count("/ for 10.10.10.2") == 2
        log_in(page, shell, "nc")
        both.stop()
        protected = users.serve(page.take("export HOLLOWAY_PROXY_PASSWORD"), until="SOCKS5")
        asking = "curl -s --socks5-hostname {}localhost:1080 http://nas.home/"
        shell.type(f"! {asking.format('')}")
        assert "/ for" in shell.type(asking.format("me:correct-horse@"))
        protected.stop()
        forward(page, users, far)
        wireproxy(page, users)
        watch(page, users)


def log_in(page: Page, shell: Shell, way: str) -> None:
    hosts = page.take("Host *.home")
    assert way in hosts
    shell.type(f"cat >~/.ssh/config <<'END'\n{hosts}{SSH}END")
    assert "nas: uptime" in shell.type("ssh nas.home uptime")


def forward(page: Page, users: Users, far: Host) -> None:
    shell = users.shell()
    forwarding = users.serve(page.take("holloway proxy laptop.conf -L 5432:db"), until=":5432")
    far.run("sh", "-c", "cd /run; python3 -m http.server --bind 10.10.10.5 5432 >/dev/null 2>&1 &")
    shell.type(listing("http://localhost:5432/"))
    forwarding.stop()
    web = users.serve("python3 -u -m http.server 8000", until="Serving HTTP")
    backward = users.serve(page.take("holloway proxy laptop.conf -R"), until=":8000")
    assert "Directory listing" in far.run("curl", "-s", "http://10.10.10.2:8000/").stdout
    backward.stop()
    web.stop()
    datagrams = users.serve(page.take("holloway proxy laptop.conf -L 5353"), until=":5353")
    shell.type(ASK)
    datagrams.stop()


def wireproxy(page: Page, users: Users) -> None:
    shell = users.shell()
    shell.type(
        "(cat laptop.conf; printf '[Socks5]\\nBindAddress = 127.0.0.1:1080\\n') >wireproxy.conf"
    )
    check, serve = page.take("holloway proxy wireproxy.conf").splitlines()
    shell.type(check)
    serving = users.serve(serve, until="SOCKS5")
    assert "/ for" in shell.type("curl -s --socks5-hostname localhost:1080 http://nas.home/")
    serving.stop()


def watch(page: Page, users: Users) -> None:
    shell = users.shell()
    watched = users.serve(
        page.take("holloway proxy laptop.conf --socks5 1080 --health"), until="9080"
    )
    assert "holloway_proxy_open_connections" in shell.type(page.take("curl http://localhost:9080"))
    watched.stop()
    unit = page.take("[Service]")
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    service = users.serve(command.partition("=")[2].replace("%h", HOME), until="9080")
    shell.type("curl -s http://localhost:9080/healthz")
    service.stop()
