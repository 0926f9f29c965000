"""What each shell offers after `wg`, `wg-quick` and `holloway`: the shells really run.

bash is asked through its completion function, fish through `complete -C`, and zsh as a person
would, on a terminal.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import BIN, REPOSITORY
from scripted_device import ScriptedDevice
from wg_pair import FULL, PA, PB, PC

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

SHARE = REPOSITORY / "completions/data/share"
SHELLS = ["bash", "zsh", "fish"]
ASK_BASH = """
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
read -ra COMP_WORDS <<<"$2"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p "${COMP_WORDS[0]}" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_ZSH = r"""fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D; \
bindkey '^T' list-choices; unset zle_bracketed_paste; unsetopt prompt_sp; LISTMAX=9999; \
PROMPT="RE""ADY "
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host("wg") as made:
        for name in ("hw0", "office", "home"):
            made.write(f"/etc/wireguard/{name}.conf", "")
        made.run("mkdir", "/run/files")
        made.write("/run/files/some.key", "")
        made.write("/run/files/other.conf", "")
        path = Path(f"/proc/{made.pid}/root/run/wireguard/hw0.sock")
        with ScriptedDevice(path, FULL):
            yield made


def offered(host: Host, shell: str, line: str) -> set[str]:
    """What the shell offers where the cursor stands at the end of `line`."""
    if shutil.which(shell) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no {shell}")
    ask = {"bash": ask_bash, "zsh": ask_zsh, "fish": ask_fish}[shell]
    return ask(host, line)


def in_files(*argv: str) -> list[str]:
    """Run with our programs first on the path, in the directory that has files."""
    variables = [f"PATH={BIN}:/usr/bin:/bin", f"XDG_DATA_DIRS={SHARE}", "HOME=/run", "TERM=xterm"]
    return ["env", "-C", "/run/files", *variables, *argv]


def ask_bash(host: Host, line: str) -> set[str]:
    file = SHARE / "bash-completion/completions" / line.split(maxsplit=1)[0]
    argv = in_files("bash", "--norc", "-c", ASK_BASH, "bash", str(file), line)
    return set(host.run(*argv).stdout.split())


def ask_fish(host: Host, line: str) -> set[str]:
    argv = in_files("fish", "-c", f"complete -C {shlex.quote(line)}")
    listed = host.run(*argv).stdout.splitlines()
    return {row.partition("\t")[0] for row in listed}


def ask_zsh(host: Host, line: str) -> set[str]:
    terminal, end = pty.openpty()
    argv = host.argv(*in_files("zsh", "-f", "-i"))
    with subprocess.Popen(["setsid", "--ctty", *argv], stdin=end, stdout=end, stderr=end) as child:
        os.close(end)
        os.write(terminal, ASK_ZSH.format(directory=SHARE / "zsh/site-functions").encode())
        # What is typed before the prompt is there, the terminal would take for itself.
        read_until(terminal, "READY")
        os.write(terminal, f"{line}\x14\x15echo END$((1))\n".encode())
        shown = read_until(terminal, "END1")
        child.kill()
        os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", shown.replace(line, " "))
    return set(text.split())


def read_until(terminal: int, marker: str) -> str:
    shown = ""
    while marker not in shown:
        shown += os.read(terminal, 65536).decode()
    return shown


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "wanted", "unwanted"),
    [
        ("wg ", {"show", "showconf", "set", "setconf", "addconf", "syncconf", "genkey", "genpsk",
                 "pubkey"}, {"hw0"}),
        ("wg show", {"show", "showconf"}, {"set", "hw0"}),
        ("wg show ", {"hw0", "all", "interfaces"}, {"dump", PA}),
        ("wg show hw0 ", {"dump", "discards", "endpoints", "latest-handshakes"}, {"hw0", "all"}),
        ("wg show hw0 end", {"endpoints"}, {"dump"}),
        ("wg show --", {"--json", "--names", "--watch"}, {"hw0"}),
        ("wg show --names hw0 ", {"dump"}, {"all"}),
        ("wg showconf ", {"hw0"}, {"all"}),
        ("wg syncconf ", {"hw0"}, {"some.key"}),
        ("wg syncconf hw0 ", {"some.key", "other.conf"}, {"hw0"}),
        ("wg set ", {"hw0"}, {"peer"}),
        ("wg set hw0 ", {"private-key", "listen-port", "fwmark", "peer"}, {"allowed-ips"}),
        ("wg set hw0 listen-port 5 ", {"private-key", "fwmark", "peer"}, {"listen-port"}),
        ("wg set hw0 private-key ", {"some.key"}, {"peer"}),
        ("wg set hw0 fwmark ", {"off"}, {"peer"}),
        ("wg set hw0 peer ", {PA, PB, PC}, {"peer", "hw0"}),
        (f"wg set hw0 peer {PA[:3]}", {PA}, {PB, PC}),
        (f"wg set hw0 peer {PA} ", {"remove", "endpoint", "allowed-ips", "preshared-key", "peer",
                                    "persistent-keepalive"}, {"fwmark", PA}),
        (f"wg set hw0 peer {PA} preshared-key ", {"some.key"}, {"peer"}),
        (f"wg set hw0 peer {PA} persistent-keepalive ", {"off", "25"}, {"peer"}),
        (f"wg set hw0 peer {PA} remove peer ", {PB, PC}, {"remove"}),
        ("wg-quick ", {"up", "down", "save", "strip", "reload"}, {"hw0"}),
        ("wg-quick up ", {"office", "home"}, {"hw0", "down"}),
        ("wg-quick up --", {"--dry-run"}, {"office"}),
        ("wg-quick up --dry-run ", {"office"}, {"hw0"}),
        ("wg-quick up ./o", {"./other.conf"}, {"office"}),
        ("wg-quick down ", {"hw0"}, {"office", "home"}),
        ("wg-quick reload ", {"hw0"}, {"office"}),
        ("wg-quick strip ", {"hw0", "office", "home"}, {"up"}),
        ("holloway ", {"demo", "help", "version"}, {"hw0"}),
        ("holloway de", {"demo"}, {"help"}),
        ("holloway log ", {"hw0"}, {"verbose"}),
        ("holloway log hw0 ", {"verbose", "error", "silent"}, {"office"}),
        ("holloway proxy laptop.conf --s", {"--socks5", "--stdio", "--stack"}, {"--http"}),
        ("holloway demo -", {"--without-root"}, {"hw0"}),
        ("holloway run o", {"other.conf"}, {"--quiet"}),
        ("holloway run of", {"office"}, {"home"}),
        ("holloway shell ", {"office", "home", "other.conf"}, {"verbose"}),
        ("holloway proxy ", {"office", "home", "other.conf"}, {"--socks5"}),
        ("holloway run --", {"--publish", "--quiet", "--verbose", "--apparmor-profile"},
         {"other.conf"}),
        ("holloway run other.conf setpri", {"setpriv"}, {"--quiet"}),
        ("holloway shell o", {"other.conf"}, {"--quiet"}),
        ("holloway shell --", {"--publish", "--quiet", "--verbose"}, {"--apparmor-profile"}),
        ("holloway qr ", {"office", "home"}, {"verbose"}),
        ("holloway lab ", {"shell", "down", "site-to-site"}, {"demo"}),
    ],
)  # fmt: skip
def test_a_shell_offers_what_can_stand_there(
    host: Host, shell: str, line: str, wanted: set[str], unwanted: set[str]
) -> None:
    found = offered(host, shell, line)
    if shell == "zsh":
        # The terminal shows the line too, and of a path only the last component.
        unwanted = unwanted - set(line.split())
        wanted = {Path(word).name if word.startswith("./") else word for word in wanted}
    assert wanted <= found
    assert not unwanted & found


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_is_offered_where_nothing_is_known(host: Host, shell: str) -> None:
    known = {"hw0", "peer", "remove", "dump", "some.key", PA}
    for line in ("wg genkey ", f"wg set hw0 peer {PA} endpoint ", "wg showconf hw0 "):
        assert not known - set(line.split()) & offered(host, shell, line)
