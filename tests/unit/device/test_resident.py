"""What the start needed is given back, and what is needed again comes back."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, zlib
from holloway.device.resident import Resident
from holloway.key import Key

def of_files():
    found = dict(line.split()[:2] for line in open('/proc/self/smaps_rollup') if 'kB' in line)
    return int(found['Rss:']) - int(found['Anonymous:'])

key = Key(bytes(range(32))).public()
before = of_files()
Resident().release()
after = of_files()
assert Key(bytes(range(32))).public() == key and zlib.crc32(b'x') == 0x8CDC1683
print(json.dumps([before, after]))
"""


def test_code_is_unmapped_and_still_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    before, after = json.loads(done.stdout)
    assert after < before
