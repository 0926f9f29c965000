"""The pages for administrators of a tunnel, as root, or with sudo if the page says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.machine import Machine, tunnel, two_machines
from guide.page import FAKES
from holloway.lab import Host, join
from holloway.quick.steps import fallback
from hosts import PEERS, WG, key_pair

if TYPE_CHECKING:
    from docs.machine import Shell
    from docs.pages import Page

WG0 = "/etc/wireguard/wg0.conf"


def original_tools(page: Page) -> None:
    with tunnel() as (router, _):
        router.has(PEERS / "wireguard-go")
        shell = router.shell("root")
        assert "listening port: 51000" in shell.type(page.take("holloway-device wg0\n/usr/bin/wg"))
        shell.type(page.take("ip link delete wg0"))
        assert page.take("[!] ").rstrip() == fallback()
        original = shell.type(page.take("WG_QUICK_USERSPACE_IMPLEMENTATION=holloway-device"))
        assert "[!] Missing WireGuard kernel module." in original
        up = shell.type(page.take("WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go"))
        assert fallback().replace("holloway-device", "wireguard-go") in up
        assert "\nuserspace\n" in shell.type(page.take("wg-quick up wg0"))
        shell.type(page.take("holloway-device wg0\nwg setconf"))
        assert "10.10.11.1/24" in shell.type("ip address show wg0; test -S /run/wireguard/wg0.sock")


def default_route(page: Page) -> None:
    """Follow the page. The internet has no route back to the tunnel's addresses."""
    with two_machines("gateway", "laptop") as (gateway, laptop), Host("internet") as internet:
        join(internet, gateway, second_name="eth1")
        # On the page, eth0 leads to the internet.
        for old, new in (("eth0", "lan0"), ("eth1", "eth0")):
            gateway.run("sh", "-c", f"ip link set {old} down; ip link set {old} name {new}; "
                                    f"ip link set {new} up")  # fmt: skip
        for host, address in ((gateway, "198.51.100.1/24"), (internet, "198.51.100.2/24"),
                              (internet, "1.1.1.1/24"), (gateway, "2001:db8::1/64"),
                              (internet, "2001:db8::2/64")):  # fmt: skip
            host.run("ip", "address", "add", address, "dev", "eth0", "nodad")
        gateway.run("ip", "route", "add", "default", "via", "198.51.100.2")
        laptop.named("vpn.example.com", "203.0.113.1")
        keys = [key_pair(host, WG["holloway"]) for host in (laptop, gateway)]
        laptop.write(WG0, _with_keys(page.take("[Interface]"), keys[0].private, keys[1].public))
        gateway.write(
            WG0,
            f"[Interface]\nPrivateKey={keys[1].private}\nListenPort=51000\n"
            "Address=10.90.90.2/24, fd00:9::2/64\n"
            f"[Peer]\nPublicKey={keys[0].public}\nAllowedIPs=10.90.90.1, fd00:9::1\n",
        )
        at_gateway, at_laptop = gateway.shell("root"), laptop.shell("root")
        at_gateway.type("wg-quick up wg0")
        shown = at_laptop.type(page.take("wg-quick up --dry-run wg0"))
        for words in ("dev wg0 table 51820", "not from all fwmark 0xca6c lookup 51820"):
            assert words in shown
        at_laptop.type("! ping -c 1 -W 0.3 1.1.1.1")
        at_gateway.type(page.take("sysctl -w net.ipv4"))
        at_gateway.type(page.take("sysctl -w net.ipv6"))
        at_laptop.type("ping -c 1 1.1.1.1; ping -c 1 2001:db8::2")
        at_laptop.type(page.take("ip route add"))
        at_laptop.type("ip route get 198.51.100.7 | grep eth0")


def _with_keys(config: str, private: str, public: str) -> str:
    lines = [
        f"PrivateKey = {private}" if line.startswith("PrivateKey =")
        else f"PublicKey = {public}" if line.startswith("PublicKey =")
        else line
        for line in config.splitlines()
    ]  # fmt: skip
    return "\n".join((*lines, ""))


def dns(page: Page) -> None:
    with two_machines("laptop", "router") as (laptop, router):
        keys = [key_pair(host, WG["holloway"]) for host in (laptop, router)]
        peer = f"\n[Peer]\nPublicKey = {keys[1].public}\nAllowedIPs = 10.90.90.2\n"
        laptop.write(WG0, _with_keys(page.take("[Interface]"), keys[0].private, "") + peer)
        shell = laptop.shell("root")
        shell.type("wg-quick up wg0")
        printed = shell.type("cat /etc/resolv.conf")
        assert printed.splitlines()[-3:] == [
            "nameserver 10.90.90.2", "nameserver fd00:9::2", "search home"
        ]  # fmt: skip
        tap = laptop.serve(page.take("tcpdump"), until="listening on", user="root")
        shell.type("getent -s dns hosts nas || true; wg-quick down wg0")
        assert "0 packets captured" in tap.stop()
        laptop.has(FAKES / "resolvectl")
        hook = page.take("PostUp")
        shell.type(
            f"sed -i '/^DNS/d' {WG0}; sed -i '/^Address/r /dev/stdin' {WG0} <<'END'\n{hook}END"
        )
        shell.type("wg-quick up wg0")
        status = shell.type("resolvectl status wg0")
        assert "DNS Servers: 10.10.10.1" in status
        assert "DNS Domain: ~home" in status


def lab(page: Page) -> None:
    with Machine("machine") as machine:
        shell = machine.shell()
        assert "site-to-site" in shell.type(page.take("sudo holloway lab\n"))
        built = machine.serve(page.take("sudo holloway lab hub"), until="takes it down.")
        inside = machine.shell()
        inside.enter(page.take("sudo holloway lab shell router"))
        assert inside.type("hostname") == "router\n"
        both = shell.type(page.take("sudo holloway lab shell router wg show"))
        assert "interface: wg0" in both
        assert "3 received" in both
        inside.type("test $PWD = /etc/wireguard; wg-quick down wg0; wg-quick up wg0")
        assert "nothing is left of it" in built.stop()
        built = machine.serve(page.take("sudo holloway lab peer-to-site"), until="takes it down.")
        assert "peer-to-site is down." in shell.type(page.take("sudo holloway lab down"))


def log(page: Page) -> None:
    with tunnel() as (router, laptop):
        shell = router.shell()
        for machine in (router, laptop):
            machine.shell("root").type("wg-quick up wg0")
        follow = page.take("sudo holloway log wg0 verbose")
        followed = router.serve(follow, until="")
        shell.type("until sudo holloway log wg0 | grep verbose; do sleep 0.1; done")
        shell.type("ping -c 1 10.10.11.2")
        followed.wait_for("Receiving handshake response from peer 1 (203.0.113.2:51000)")
        followed.stop()
        assert shell.type(page.take("sudo holloway log wg0 ")) == "verbose\n"
        assert shell.type("sudo holloway log wg0") == "silent\n"


def phone(page: Page) -> None:
    with tunnel() as (router, _):
        shell = router.shell("root")
        shell.type("wg-quick up wg0")
        public = shell.type(page.take("cd /etc/wireguard")).strip()
        shell.type(page.take("cat > phone.conf"))
        assert f"wg set wg0 peer {public}" in shell.type(page.take("cat >> wg0.conf"))
        assert "phone" in shell.type("wg show wg0 --names")
        assert "\N{FULL BLOCK}" in shell.type(page.take("holloway qr phone"))
        shell.type(page.take("clear"))
        shell.type("! test -e phone.conf")


def reload(page: Page) -> None:
    with tunnel() as (router, _):
        shell = router.shell("root")
        shell.type(f"wg-quick up wg0; sed -i 's/^AllowedIPs.*/&, 10.4.0.0\\/16/' {WG0}")
        key = shell.type("wg show wg0 peers").strip()
        printed = shell.type(page.take("wg-quick reload wg0"))
        sample = page.take("[#] ip -4 route add").split()
        assert printed.split() == [key if word.endswith("=") else word for word in sample]
        shell.type(page.take("wg-quick down wg0 && wg-quick up wg0"))
        shell.type("wg-quick down wg0")
        router.has(FAKES / "systemctl")
        shell.type("cd /home/you/holloway")
        shell.type(page.take("install -D -m 644"))
        units(page, shell)


def units(page: Page, shell: Shell) -> None:
    """Follow the part about units. The fake systemctl has no targets, so restart one tunnel."""
    *lines, last = page.take("systemctl enable --now").splitlines()
    shell.type("\n".join(lines))
    shell.type("wg show wg0")
    assert last.startswith("systemctl restart wg-quick.target ")
    shell.type("systemctl restart wg-quick@wg0; wg show wg0")


def completion(page: Page) -> None:
    with Machine("machine") as machine:
        shell = machine.shell()
        shell.type(page.take("source /opt/holloway/share/bash-completion"))
        assert shell.type("complete -p wg wg-quick holloway").count("complete ") == 3
        zsh, fish = page.take("fpath="), page.take("set -p fish_complete_path")
        asked = shell.type(f"zsh -f <<'END'\n{zsh.replace('compinit', 'compinit -u', 2)}"
                           "echo $_comps[wg] $_comps[wg-quick] $_comps[holloway]\nEND")  # fmt: skip
        assert asked.split() == ["_wg", "_wg-quick", "_holloway"]
        offered = shell.type(f"fish --no-config <<'END'\n{fish}complete -C 'wg-quick '\nEND")
        assert "reload" in offered
