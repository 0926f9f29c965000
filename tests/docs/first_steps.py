"""The pages that a new user reads first, followed exactly."""

from __future__ import annotations

from docs.machine import Machine, two_machines
from docs.pages import Page


def readme(page: Page) -> None:
    with two_machines("server", "laptop") as (server, laptop):
        laptop.named("server.example.com", "203.0.113.1")
        try_a_lab(page, server)
        shells = {host.name: host.shell() for host in (server, laptop)}
        for shell in shells.values():
            shell.enter("sudo -i")
        make = page.take("mkdir -p -m 700 /etc/wireguard")
        keys = {name: shell.type(make).strip() for name, shell in shells.items()}
        shells["server"].type(page.take("laptop=", PUBLIC_KEY_OF_THE_LAPTOP=keys["laptop"]))
        printed = shells["laptop"].type(
            page.take("server=", PUBLIC_KEY_OF_THE_SERVER=keys["server"])
        )
        assert "3 received" in printed
        use_without_root(page, laptop, server)


def try_a_lab(page: Page, machine: Machine) -> None:
    lab = machine.serve(
        f"cd holloway\n{page.take('sudo .venv/bin/holloway lab')}", until="takes it down."
    )
    machine.run("/opt/holloway/bin/holloway", "lab", "down")
    assert "nothing is left of it" in lab.stop()


def use_without_root(page: Page, laptop: Machine, server: Machine) -> None:
    """Follow the part without root: a user's program uses the laptop's file."""
    laptop.run("wg-quick", "down", "wg0", environment={"PATH": "/usr/local/bin:/usr/bin:/usr/sbin"})
    laptop.run("install", "-o", "you", "/etc/wireguard/wg0.conf", "/home/you/laptop.conf")
    web = server.serve("python3 -u -m http.server 80", until="Serving HTTP", user="root")
    run, proxy = page.take("holloway run").rstrip().split("\n")
    shell = laptop.shell()
    assert "Directory listing" in shell.type(run)
    serving = laptop.serve(proxy, until="SOCKS5")
    curl = "curl -s --socks5-hostname localhost:1080 http://10.10.11.1/"
    assert "Directory listing" in shell.type(curl)
    serving.stop()
    program = page.take("import holloway")
    lines = "    sock.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(sock.recv(100))\n"
    shell.type(f"cat >peer.py <<'END'\n{program}{lines}END")
    assert "200 OK" in shell.type("/opt/holloway/bin/python peer.py")
    web.stop()


def install(page: Page) -> None:
    with Machine("machine", installed=False) as machine:
        shell = machine.shell()
        shell.type(page.take("sudo ln -s /opt/holloway/bin/"))
        assert shell.type("command -v wg wg-quick").split() == [
            "/usr/local/bin/wg", "/usr/local/bin/wg-quick"
        ]  # fmt: skip
        shell.type("sudo wg show; sudo holloway --version; test -x /usr/local/bin/holloway-device")
        remove = page.take("sudo rm /usr/local/bin/").rstrip().split("\n")
        assert remove[1:] == ["sudo rm -r /opt/holloway"]
        shell.type(remove[0])
        shell.type("! test -e /usr/local/bin/wg")


def first_tunnel(page: Page) -> None:
    with two_machines("office", "laptop") as (office, laptop):
        laptop.named("office.example.com", "203.0.113.1")
        at_office, at_laptop = office.shell(), laptop.shell()
        become, make = page.take("sudo -i"), page.take("mkdir -p -m 700 /etc/wireguard")
        for shell in (at_office, at_laptop):
            shell.enter(become)
        keys = [shell.type(make).strip() for shell in (at_office, at_laptop)]
        at_office.type(page.take("laptop=", PUBLIC_KEY_OF_THE_LAPTOP=keys[1]))
        at_laptop.type(page.take("office=", PUBLIC_KEY_OF_THE_OFFICE=keys[0]))
        assert "This kernel has no WireGuard module" in at_office.type(page.take("wg-quick up wg0"))
        at_laptop.type(page.take("wg-quick up home0"))
        shown = at_office.type(page.take("wg show --names"))
        assert "laptop" in shown
        assert "endpoint" not in shown
        assert "3 received" in at_laptop.type(page.take("ping -c 3"))
        shown = at_office.type("wg show")
        assert all(word in shown for word in ("endpoint", "latest handshake", "transfer"))
        at_laptop.type(page.take("wg-quick down home0"))
        at_office.type(page.take("wg-quick down wg0"))
        assert office.run("ls", "/sys/class/net", check=False).returncode == 0
        assert at_office.type("ip -br link show wg0 2>&1 || true").startswith("Device")
