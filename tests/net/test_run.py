"""`holloway run`: a program inside a tunnel is the same program with another network.

Nothing here needs root; `test_run_unprivileged` runs these again as a user without any rights.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from hosts import eventually
from net.pair import FIRST, SECOND
from net.run_pair import HOLLOWAY, PYTHON, Files, free_port, write_files

PAGE_SERVER = """
import http.server, socketserver, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "12"); self.end_headers()
        self.wfile.write(b"the way home")
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = 10
server = Server(("::", 80), Page)
print("ready", flush=True)
server.serve_forever()
"""
NAME_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.7.0.1", 53))
print("ready", flush=True)
while True:
    asked, client = server.recvfrom(512)
    question = asked[12:asked.index(0, 12) + 5]
    is_found = question.startswith(b"\\4page\\4home\\4test\\0\\0\\1")
    record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4" + bytes([10, 7, 0, 1])
    head = asked[:2] + b"\\x81\\x80\\0\\1\\0" + bytes([is_found]) + b"\\0\\0\\0\\0"
    server.sendto(head + question + record * is_found, client)
"""
NAME_SERVER_BESIDE = f"""
import threading
bound = threading.Event()
names = {NAME_SERVER.replace('print("ready", flush=True)', "bound.set()")!r}
threading.Thread(target=lambda: exec(names)).start()
bound.wait()
"""
SILENT_NAME_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.7.0.1", 53))
print("ready", flush=True)
server.recv(512)
print("asked", flush=True)
while True:
    server.recv(512)
"""
UPPER_CASE = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 7))
print("ready", flush=True)
while True:
    data, client = server.recvfrom(2000)
    server.sendto(data.upper(), client)
"""
WAITING = """
import signal, sys, time
def caught(number, frame):
    print("caught", number, flush=True)
    sys.exit(9)
for number in (1, 2, 3, 10, 12, 15):
    signal.signal(number, caught)
print("ready", flush=True)
time.sleep(60)
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write_files(tmp_path)


def test_the_program_is_who_it_would_be_outside(files: Files) -> None:
    shown = files.in_laptop("sh", "-c", "id -u; id -g; pwd; echo $MARK; echo $HOLLOWAY_NETWORK")
    wanted = [str(os.getuid()), str(os.getgid()), os.getcwd(), os.environ.get("MARK", ""), "laptop"]
    assert shown.stdout.splitlines() == wanted
    assert shown.stderr == ""


def test_the_program_has_no_capability(files: Files) -> None:
    shown = files.in_laptop("grep", "^Cap", "/proc/self/status").stdout
    sets = dict(line.split(":\t") for line in shown.splitlines())
    nothing = "0" * 16
    assert [sets[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [nothing] * 4
    denied = files.in_laptop("mount", "-t", "tmpfs", "tmpfs", "/mnt")
    assert denied.returncode != 0


def test_the_program_sees_the_tunnel_and_no_other_interface(files: Files) -> None:
    shown = files.in_laptop(PYTHON, "-c", "import socket; print(socket.if_nameindex())")
    assert shown.stdout == "[(1, 'lo'), (2, 'laptop')]\n"


@pytest.mark.parametrize("host", [FIRST[0], f"[{FIRST[1]}]", "page.home.test", "page"])
def test_curl_fetches_a_page_through_the_tunnel(files: Files, host: str) -> None:
    with files.serving(script=NAME_SERVER_BESIDE + PAGE_SERVER):
        url = f"http://{host}/"
        done = files.in_laptop("curl", "-sS", "--noproxy", "*", "--max-time", "20", url)
    assert (done.stdout, done.stderr, done.returncode) == ("the way home", "", 0)


def test_names_are_asked_of_the_configuration_s_servers(files: Files) -> None:
    shown = files.in_laptop("cat", "/etc/resolv.conf").stdout.splitlines()
    assert shown[1:] == [f"nameserver {FIRST[0]}", "search home.test"]


def test_without_dns_the_system_s_servers_are_copied_with_a_note(files: Files) -> None:
    done = files.run(str(files.office), "cat", "/etc/resolv.conf")
    assert done.stdout == Path("/etc/resolv.conf").read_text()
    assert done.stderr.startswith("holloway run: DNS is not set")
    assert done.stderr.count("\n") == 1


def test_without_dns_nothing_is_noted_while_no_name_is_looked_up(files: Files) -> None:
    for script in ("", "import socket; socket.getaddrinfo('10.7.0.1', 80)"):
        done = files.run(str(files.office), "--", PYTHON, "-c", script)
        assert (done.returncode, done.stderr) == (0, "")


def test_without_dns_the_note_comes_with_the_first_name(files: Files) -> None:
    script = (
        "import contextlib, socket; input()\n"
        "for _ in range(2):\n"
        "    with contextlib.suppress(OSError): socket.getaddrinfo('page.home.test', 80)\n"
        "input()"
    )
    command = [*HOLLOWAY, "run", str(files.office), "--", PYTHON, "-c", script]
    environment = {**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as started:
        assert started.stdin is not None
        assert started.stderr is not None
        started.stdin.write("\n")
        started.stdin.flush()
        assert started.stderr.readline().startswith("holloway run: DNS is not set")
        assert started.communicate("\n", timeout=60)[1] == ""


def test_a_file_that_everybody_may_read_is_warned_of(files: Files) -> None:
    files.laptop.chmod(0o644)
    directory = files.laptop.parent
    directory.chmod(0o755)
    done = files.run(str(files.laptop), "true")
    says = f"Warning: `{files.laptop}' is world accessible; run: chmod 600 {files.laptop}"
    assert done.stderr == f"holloway run: {says}\n"
    assert files.in_laptop("true").stderr == ""
    directory.chmod(0o700)
    assert files.run(str(files.laptop), "true").stderr == ""


def test_verbose_says_what_the_tunnel_does(files: Files) -> None:
    script = "import socket; socket.socket(2, 2).sendto(b'', ('10.7.0.1', 9)); input()"
    command = [*HOLLOWAY, "run", "--verbose", str(files.laptop), "--", PYTHON, "-c", script]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stderr is not None
        assert started.stderr.readline() == "holloway run: Peer 1 created\n"
        says = "holloway run: Sending handshake initiation to peer 1 ("
        assert started.stderr.readline().startswith(says)
        started.communicate("\n", timeout=60)
    assert files.run("-v", "-q", str(files.laptop), "true").returncode == 125


def test_standard_streams_and_arguments_pass_untouched(files: Files) -> None:
    data = os.urandom(1 << 18)
    command = [*HOLLOWAY, "run", "-q", str(files.laptop), "--", "cat"]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == (data, b"")
    odd = ["", "a b", "--", "-p", "\udcff", "$HOME"]
    command = [*HOLLOWAY, "run", "-q", str(files.laptop), "printf", "%s\\0", *odd]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert done.stdout == b"".join(os.fsencode(each) + b"\0" for each in odd)


def test_descriptors_that_the_shell_opened_are_the_program_s(files: Files) -> None:
    line = f'{" ".join(HOLLOWAY)} run -q "$1" -- cat <(echo one) <(echo two)'
    command = ["bash", "-c", line, "bash", str(files.laptop)]
    assert subprocess.check_output(command, timeout=30) == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -SEGV $$", 139)],
)
def test_the_exit_status_is_the_program_s(files: Files, script: str, status: int) -> None:
    assert files.in_laptop("sh", "-c", script).returncode == status


def test_what_cannot_be_run_is_told_as_a_shell_would(files: Files, tmp_path: Path) -> None:
    missing = files.in_laptop("no-such-program")
    assert missing.returncode == 127
    assert missing.stderr == "holloway run: no-such-program: No such file or directory\n"
    denied = files.in_laptop(str(tmp_path))
    assert denied.returncode == 126
    assert denied.stderr == f"holloway run: {tmp_path}: Permission denied\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["missing.conf", "true"], "missing.conf: No such file or directory"),
        (["bad.conf", "true"], "bad.conf: line 2: MTU: `big' "),
        (["bare.conf", "true"], "bare.conf: Address: a peer inside a program needs an address"),
        (["laptop.conf"], "required: COMMAND"),
        ([], "required: CONFIG"),
        (["-p", "80", "laptop.conf", "true"], "--publish: `80' is not [ADDRESS:]PORT:INSIDE[/udp]"),
        (["-p", "8080:80/sctp", "laptop.conf", "true"], "--publish: `8080:80/sctp' is not "),
        (["-p", "8080:0", "laptop.conf", "true"], "--publish: `8080:0' is not "),
        (["-p", "192.0.2.1:8080:80", "laptop.conf", "true"], "Cannot assign requested address"),
    ],
)
def test_our_own_failures_have_a_status_of_their_own(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.conf").write_text("[Interface]\nMTU = big\n")
    Path("bare.conf").write_text("[Interface]\n")
    done = files.run(*words)
    assert done.returncode == 125
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_peer_is_not_our_failure(files: Files) -> None:
    assert files.in_laptop("true").returncode == 0


@pytest.mark.parametrize(
    "number",
    [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM],
)
def test_a_signal_to_us_is_the_program_s(files: Files, number: signal.Signals) -> None:
    with files.serving(script=WAITING) as started:
        assert started.stdout is not None
        started.send_signal(number)
        assert started.stdout.readline() == f"caught {int(number)}\n"
        assert started.wait(timeout=30) == 9


def test_a_stopped_program_stops_us_and_goes_on_with_us(files: Files) -> None:
    with files.serving(script=WAITING) as started:
        assert started.stdout is not None
        started.send_signal(signal.SIGTSTP)
        assert eventually(lambda: state(started.pid) == "T")
        started.send_signal(signal.SIGCONT)
        assert eventually(lambda: state(started.pid) != "T")
        started.send_signal(signal.SIGTERM)
        assert started.stdout.readline() == "caught 15\n"


def test_the_program_does_not_outlive_us(files: Files) -> None:
    script = "import os, time; print(flush=True); print(os.getpid(), flush=True); time.sleep(60)"
    with files.serving(script=script) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        started.kill()
        assert eventually(lambda: not Path(f"/proc/{pid}").exists() or state(pid) == "Z")


def test_asked_to_end_while_names_are_looked_up_we_end_at_once(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server never answers, and who asks would wait for minutes."""
    monkeypatch.setenv("RES_OPTIONS", "timeout:30 attempts:5")
    far = tmp_path / "far.conf"
    far.write_text(files.laptop.read_text().replace("127.0.0.1", "far.example"))
    with files.serving(script=SILENT_NAME_SERVER) as server:
        assert server.stdout is not None
        inside = [*HOLLOWAY, "run", str(far), "true"]
        with subprocess.Popen([*HOLLOWAY, "run", "-q", str(files.laptop), *inside]) as asking:
            assert server.stdout.readline() == "asked\n"
            asking.terminate()
            assert asking.wait(timeout=60) == 128 + signal.SIGTERM


@pytest.mark.parametrize("bind", ["", "127.0.0.1:", "[::1]:"])
def test_a_published_port_leads_to_the_program(files: Files, bind: str) -> None:
    port = free_port()
    host = bind.rstrip(":") or "127.0.0.1"
    with files.serving("-p", f"{bind}{port}:80", script=PAGE_SERVER):
        url = f"http://{host}:{port}/"
        for _ in range(2):
            command = ["curl", "-sgS", "--noproxy", "*", "--max-time", "20", url]
            assert subprocess.check_output(command) == b"the way home"


def test_a_published_port_finds_what_listens_on_loopback_alone(files: Files) -> None:
    port = free_port()
    script = PAGE_SERVER.replace('("::", 80)', '("127.0.0.1", 80)').replace("= 10", "= 2")
    with files.serving("-p", f"{port}:80", script=script):
        command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", f"http://127.0.0.1:{port}/"]
        assert subprocess.check_output(command) == b"the way home"


def test_a_published_udp_port_leads_to_the_program(files: Files) -> None:
    port = free_port(socket.SOCK_DGRAM)
    with (
        files.serving("-p", f"{port}:7/udp", script=UPPER_CASE),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(10)
        client.connect(("127.0.0.1", port))
        client.send(b"shout")
        assert client.recv(100) == b"SHOUT"


def test_the_limit_of_open_files_is_left_as_it_is(files: Files) -> None:
    port = free_port()
    done = files.run("-q", "-p", f"{port}:80", str(files.laptop), "sh", "-c", "ulimit -Sn")
    outside = subprocess.check_output(["sh", "-c", "ulimit -Sn"], text=True)
    assert done.stdout == outside


def state(pid: int) -> str:
    """The state letter of a process (proc(5), stat)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_help_shows_how_it_is_used() -> None:
    for name in ("run", "shell"):
        shown = subprocess.check_output([*HOLLOWAY, name, "--help"], text=True)
        assert f"  holloway {name} laptop.conf" in shown
        assert max(map(len, shown.splitlines())) <= 100


def test_a_shell_is_the_user_s_and_says_how_to_leave(files: Files) -> None:
    environment = {**os.environ, "SHELL": "/bin/sh"}
    done = subprocess.run(
        [*HOLLOWAY, "shell", str(files.laptop)], input="echo $HOLLOWAY_NETWORK; exit 3\n",
        capture_output=True, check=False, text=True, timeout=30, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "laptop\n")
    addresses = ", ".join(SECOND)
    says = f"holloway shell: inside laptop ({addresses}); leave with `exit' or Ctrl-D\n"
    assert done.stderr == says
