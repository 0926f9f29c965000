"""`holloway proxy` as its users run it: with curl, http.client and ssh, and with what goes wrong.

Nothing here needs root; `test_unprivileged` runs these again as a user without any rights.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import asyncssh
import pytest
from prometheus_client.parser import text_string_to_metric_families

from net.pair import FIRST, SECOND
from proxy.proxy_harness import exchange, read_all
from proxy.remote_peer import PAGE, SSH_PORT, children, descriptors, remote_peer
from waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

CURL = ("curl", "-sS", "--max-time", "20", "--noproxy", "")
HOLLOWAY = (sys.executable, "-m", "holloway")


@pytest.mark.parametrize("host", [FIRST[0], f"[{FIRST[1]}]"])
def test_curl_fetches_a_page_through_each_proxy(tmp_path: Path, host: str) -> None:
    async def run() -> None:
        async with (
            remote_peer(tmp_path) as remote,
            remote.proxy("--socks5", "0", "--http", "127.0.0.1:0", lines=4) as proxy,
        ):
            socks = f"127.0.0.1:{proxy.port('SOCKS5 on ')}"
            web = f"http://127.0.0.1:{proxy.port('HTTP proxy on ')}"
            for options in (
                ["--socks5-hostname", socks],
                ["--socks5", socks],
                ["--proxy", web],
                ["--proxytunnel", "--proxy", web],
            ):
                done = await remote.command(*CURL, *options, f"http://{host}/")
                assert done == (0, PAGE, "")
            lines = [line for line in proxy.lines if ": done, " in line]
            assert await wait_until(lambda: sum(": done, " in line for line in proxy.lines) == 4), (
                lines
            )
            assert f"> {host}:80: done, " in proxy.lines[-1]

    asyncio.run(run())


def test_curl_uploads_a_body_of_unknown_length(tmp_path: Path) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote, remote.proxy("--http", "0", lines=3) as proxy:
            web = f"http://127.0.0.1:{proxy.port('HTTP proxy on ')}"
            options = ("--proxy", web, "--upload-file", "-")
            done = await remote.command(
                *CURL, *options, f"http://{FIRST[0]}/", stdin=bytes(1 << 20)
            )
            assert done == (0, b"1048576 bytes", "")

    asyncio.run(run())


def test_passwords_are_asked_for_and_not_shown(tmp_path: Path) -> None:
    async def run() -> None:
        os.environ["HOLLOWAY_PROXY_PASSWORD"] = "geheim"
        try:
            async with (
                remote_peer(tmp_path) as remote,
                remote.proxy("--socks5", "0", "--http", "0", "--user", "me", lines=4) as proxy,
            ):
                socks = f"127.0.0.1:{proxy.port('SOCKS5 on ')}"
                web = f"127.0.0.1:{proxy.port('HTTP proxy on ')}"
                url = f"http://{FIRST[0]}/"
                for kind, address in (("socks5h", socks), ("http", web)):
                    right = f"{kind}://me:geheim@{address}"
                    assert await remote.command(*CURL, "--proxy", right, url) == (0, PAGE, "")
                    wrong = f"{kind}://me:falsch@{address}"
                    _, output, _ = await remote.command(*CURL, "--proxy", wrong, url)
                    assert output != PAGE
                assert not any("geheim" in line or "falsch" in line for line in proxy.lines)
        finally:
            del os.environ["HOLLOWAY_PROXY_PASSWORD"]

    asyncio.run(run())


def test_http_client_works_through_the_proxy(tmp_path: Path) -> None:
    def fetch(port: int) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.set_tunnel(FIRST[0], 80)
        connection.request("GET", "/")
        body = connection.getresponse().read()
        connection.close()
        return body

    async def run() -> None:
        async with remote_peer(tmp_path) as remote, remote.proxy("--http", "0", lines=3) as proxy:
            assert await asyncio.to_thread(fetch, proxy.port("HTTP proxy on ")) == PAGE

    asyncio.run(run())


def test_ssh_logs_in_through_standard_input_and_output(tmp_path: Path) -> None:
    async def run() -> None:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        path = tmp_path / "key"
        path.touch(0o600)
        path.write_bytes(user_key.export_private_key())
        public = user_key.export_public_key().decode()

        def shout(process: asyncssh.SSHServerProcess[str]) -> None:
            process.stdout.write(f"you said {process.command}\n")
            process.exit(7)

        async with remote_peer(tmp_path) as remote:
            inside = remote.network.socket(socket.AF_INET, socket.SOCK_STREAM)
            inside.bind((FIRST[0], SSH_PORT))
            inside.listen()
            server = await asyncssh.listen(
                sock=inside, server_host_keys=[host_key], process_factory=shout,
                authorized_client_keys=asyncssh.import_authorized_keys(public),
            )  # fmt: skip
            through = " ".join((*HOLLOWAY, "proxy", str(remote.config), "--stdio %h:%p"))
            options = {
                "ProxyCommand": through, "UserKnownHostsFile": tmp_path / "hosts",
                "StrictHostKeyChecking": "accept-new", "IdentityFile": path,
                "IdentitiesOnly": "yes", "BatchMode": "yes", "LogLevel": "ERROR",
            }  # fmt: skip
            words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
            done = await remote.command(
                "ssh", "-F", "none", *words, "-p", str(SSH_PORT), f"me@{FIRST[0]}", "hello"
            )
            assert done == (7, b"you said hello\n", "")
            server.close()
            await server.wait_closed()
            inside.close()

    asyncio.run(run())


def test_standard_input_of_megabytes_comes_back_whole(tmp_path: Path) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            sent = os.urandom(8 << 20)
            done = await remote.command(
                *HOLLOWAY, "proxy", str(remote.config), "--stdio", f"{FIRST[0]}:7", stdin=sent
            )
            assert done == (0, sent, "")

    asyncio.run(run())


def test_a_configuration_of_wireproxy_is_served(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trial:
        forwarded = trial.getsockname()[1]
    services = (
        "[Socks5]\nBindAddress = 127.0.0.1:0\n[http]\nBindAddress = 127.0.0.1:0\n"
        f"[TCPClientTunnel]\nBindAddress = 127.0.0.1:{forwarded}\nTarget = {FIRST[0]}:7\n"
        "[TCPServerTunnel]\nListenPort = 3422\nTarget = localhost:25545\n"
    )

    async def run() -> None:
        async with remote_peer(tmp_path, services) as remote, remote.proxy(lines=6) as proxy:
            socks = f"127.0.0.1:{proxy.port('SOCKS5 on ')}"
            done = await remote.command(*CURL, "--socks5-hostname", socks, f"http://{FIRST[0]}/")
            assert done == (0, PAGE, "")
            streams = await asyncio.open_connection("127.0.0.1", forwarded)
            assert await exchange(streams, b"hello", 5) == b"hello"
            streams[1].close()
            assert any("the tunnel's 0.0.0.0:3422 leads to localhost" in x for x in proxy.lines)

    asyncio.run(run())


def test_the_health_page_tells_how_it_is(tmp_path: Path) -> None:
    alive = "[Interface]\nCheckAlive = 10.7.0.1\nCheckAliveInterval = 1\n"

    async def run() -> None:
        async with (
            remote_peer(tmp_path, alive) as remote,
            remote.proxy("--http", "0", "--health", "0", lines=4) as proxy,
        ):
            port = proxy.port("Health on http://")

            async def page(
                path: str, accept: str = "*/*", method: str = "GET", host: str = "127.0.0.1"
            ) -> tuple[bytes, bytes]:
                lines = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n"
                request = lines.encode()
                answer = await read_all(await asyncio.open_connection("127.0.0.1", port), request)
                head, _, body = answer.partition(b"\r\n\r\n")
                return head, body

            web = f"http://127.0.0.1:{proxy.port('HTTP proxy on ')}"
            await remote.command(*CURL, "--proxy", web, f"http://{FIRST[0]}/")
            head, body = await page("/healthz")
            assert body == b"ok\n"
            assert await page("/healthz", method="HEAD") == (head, b"")
            assert (await page("/nowhere"))[0].startswith(b"HTTP/1.1 404 Not Found\r\n")
            for host in (f"localhost:{port}", "[::1]", "192.0.2.1", socket.gethostname()):
                assert (await page("/healthz", host=host))[1] == b"ok\n"
            head, body = await page("/status", host=f"rebound.example:{port}")
            assert head.startswith(b"HTTP/1.1 421 Misdirected Request\r\n")
            assert b"public_key" not in body
            found = await page("/readyz")
            async with asyncio.timeout(10):
                while not found[0].startswith(b"HTTP/1.1 200 OK\r\n"):
                    found = await page("/readyz")
            assert json.loads(found[1])["10.7.0.1"] > 0
            status = json.loads((await page("/status"))[1])
            assert status["ended"] == {"http": {"done": 1}}
            assert status["received"] > len(PAGE)
            head, metrics = await page("/metrics")
            assert b"\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in head
            families = {
                each.name: each for each in text_string_to_metric_families(metrics.decode())
            }
            [ended] = families["holloway_proxy_connections"].samples
            assert ended.labels == {"service": "http", "outcome": "done"}
            assert ended.value == 1
            [received] = families["holloway_peer_received_bytes"].samples
            assert received.value > len(PAGE)
            head, metrics = await page("/metrics", "application/openmetrics-text;version=1.0.0")
            assert b"\r\nContent-Type: application/openmetrics-text; version=1.0.0;" in head
            assert metrics.endswith(b"# EOF\n")

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote, remote.proxy("--socks5", "0", lines=3) as proxy:
            proxy.process.send_signal(number)
            async with asyncio.timeout(10):
                assert await proxy.process.wait() == 0

    asyncio.run(run())


def test_it_ends_when_asked_to_while_it_still_connects(tmp_path: Path) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            await remote.network.close()
            process = await asyncio.create_subprocess_exec(
                *HOLLOWAY, "proxy", str(remote.config), "--stdio", f"{FIRST[0]}:7", "--verbose",
                stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stderr is not None
            async with asyncio.timeout(10):
                while line := await process.stderr.readline():
                    if b"Sending handshake initiation" in line:
                        break
                process.send_signal(signal.SIGTERM)
                await process.communicate()
                assert process.returncode == 1

    asyncio.run(run())


def test_it_ends_with_the_reason_when_its_helper_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            remote_peer(tmp_path) as remote,
            remote.proxy("--socks5", "0", "--stack", "kernel", lines=3) as proxy,
        ):
            for child in children(proxy.process.pid):
                os.kill(child, signal.SIGKILL)
            async with asyncio.timeout(10):
                assert await proxy.process.wait() == 1
            await proxy.reading
            assert proxy.lines[-1].startswith("holloway proxy: ")

    asyncio.run(run())


def test_hundreds_of_connections_leave_no_descriptor_behind(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            remote_peer(tmp_path) as remote,
            remote.proxy("--forward", f"0:{FIRST[0]}:7", lines=3) as proxy,
        ):
            port = proxy.port("TCP ")
            before = descriptors(proxy.process.pid)

            async def run_client() -> None:
                streams = await asyncio.open_connection("127.0.0.1", port)
                assert await exchange(streams, b"hello", 5) == b"hello"
                streams[1].close()

            # Of 1 + 2 + 4 + 8 sockets made ahead, and 18 times 16, none is left.
            for number in (50, 50, 50, 50, 50, 53):
                await asyncio.gather(*(run_client() for _ in range(number)))
            assert await wait_until(lambda: descriptors(proxy.process.pid) == before)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("services", "options", "words"),
    [
        ("", [], "nothing to serve"),
        ("", ["--socks5", "here"], "`here' is not HOST:PORT"),
        ("", ["--forward", "80"], "`80' is not [HOST:]PORT:TARGET:PORT"),
        ("", ["--socks5", "0", "--user", "me"], "--user: the password has to be in the environ"),
        ("[Socks5]\nBindAdress = :1\n", [], "BindAdress: [socks5] has no such key"),
        ("[Peer]\nPublicKey = x\n", ["--socks5", "0"], "PublicKey: "),
        ("", ["--stdio", "10.99.0.1:22"], "Required key not available (no peer has this"),
    ],
)
def test_what_is_wrong_is_said_and_the_status_tells(
    tmp_path: Path, services: str, options: list[str], words: str
) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path, services) as remote:
            status, output, errors = await remote.command(
                *HOLLOWAY, "proxy", str(remote.config), *options
            )
            assert (status, output) == (1, b"")
            assert errors.splitlines()[-1].startswith("holloway proxy: ")
            assert words in errors.splitlines()[-1]
            assert (str(remote.config) in errors) == bool(services)

    asyncio.run(run())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            async with remote_peer(tmp_path) as remote:
                status, _, errors = await remote.command(
                    *HOLLOWAY, "proxy", str(remote.config), "--socks5", port
                )
        assert status == 1
        assert f"holloway proxy: 127.0.0.1:{port}: Address already in use" in errors

    asyncio.run(run())


def test_check_reads_the_configuration_and_serves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            status, output, errors = await remote.command(
                *HOLLOWAY, "proxy", str(remote.config), "--check", "--socks5", "1080",
                "--http", "0.0.0.0:8080", "-R", "8000:localhost:80", "--health", "9080",
                "-L", "5432:db.home:5432", "-L", ":5433:db.home:5432",
                "-L", "[::]:53:db.home:53/udp",
            )  # fmt: skip
        assert (status, errors) == (0, "")
        assert output.decode().splitlines() == [
            f"The tunnel has the address {SECOND[0]}/24, {SECOND[1]}/64; peers: 1",
            "SOCKS5 on 127.0.0.1:1080",
            "HTTP proxy on 0.0.0.0:8080",
            "Warning: whoever reaches 0.0.0.0:8080 can use the tunnel: set a password",
            "TCP 127.0.0.1:5432 leads to db.home:5432 in the tunnel",
            "TCP :5433 leads to db.home:5432 in the tunnel",
            "Warning: whoever reaches this host can use TCP :5433: name 127.0.0.1",
            "UDP [::]:53 leads to db.home:53 in the tunnel",
            "Warning: whoever reaches this host can use UDP [::]:53: name 127.0.0.1",
            "TCP the tunnel's :8000 leads to localhost:80",
            "Health on http://127.0.0.1:9080/healthz",
            "PostUp is not run: a program's network has no hooks",
            "The configuration is good.",
        ]

    asyncio.run(run())


def test_check_takes_a_plain_file_of_wg_quick(tmp_path: Path) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            status, output, errors = await remote.command(
                *HOLLOWAY, "proxy", str(remote.config), "--check"
            )
        assert (status, errors) == (0, "")
        assert b"\nThere is nothing to serve: name a port, for instance --socks5 1080\n" in output
        assert output.endswith(b"The configuration is good.\n")

    asyncio.run(run())


@pytest.mark.parametrize("name", ["laptop.conf", "wg.conf"])
def test_a_file_that_everybody_may_read_is_warned_of(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o755)

    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            file = tmp_path / name
            if file != remote.config:
                file.write_text(remote.config.read_text())
                remote.config.write_text(f"WGConfig = {file}\n")
            file.chmod(0o604)
            command = (*HOLLOWAY, "proxy", str(remote.config), "--check")
            _, _, errors = await remote.command(*command)
            assert errors[9:] == (f"Warning: `{file}' is world accessible; run: chmod 600 {file}\n")
            assert (await remote.command(*command, "--quiet"))[2] == ""

    asyncio.run(run())
