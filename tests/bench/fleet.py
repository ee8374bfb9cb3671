"""What several benchmarks do: register many containers, read a clock and a process's."""

import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(function):
    began = time.monotonic()
    function()
    return time.monotonic() - began


def many(host, count):
    """Registers up to `count` containers, several at a time; seconds."""
    names = [f"c{i}" for i in range(len(host.containers), count)]
    for name in names:
        host.container(name, connected=False)
    with ThreadPoolExecutor(8) as pool:
        return timed(lambda: list(pool.map(lambda name: host.register(name, f"role-{name}", wait_s=60), names)))
