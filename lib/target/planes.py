"""Which data planes are attached, and what each of them runs: what it named, or everything where it named nothing."""

import os
import threading
import time

KINDS = ("cluster", "database", "loadBalancer")
LOOK = 1  # seconds between two looks whether the process of a data plane is still there

attached = {}  # data planes by what they run
speeds = {}  # how many times faster than on AWS they go


class Taken(Exception):
    """Another data plane runs it already."""


def name(request):
    given = tuple(request.get(kind) or None for kind in KINDS)
    if not all(n is None or isinstance(n, str) for n in given):
        raise ValueError("cluster, database and loadBalancer are names")
    return given


def attach(request):
    key, pid = name(request), request.get("pid")
    if not (pid is None or isinstance(pid, int) and pid > 0):
        raise ValueError("pid is that of a process")
    for other, its in attached.items():
        if its not in (None, pid) and any(a == b for a, b in zip(key, other, strict=True)):
            raise Taken(f"process {its} runs it already")
    speed = request.get("speed", 1)
    if not (type(speed) in (int, float) and 0 < speed <= 1000):
        raise ValueError("speed is a number up to 1000")
    attached[key], speeds[key] = pid, speed


def detach(key):
    attached.pop(key, None)
    speeds.pop(key, None)


def speed():
    """How much faster than on AWS time goes; None while no data plane is attached."""
    return max(list(speeds.values()), default=None)


def dead():
    return [key for key, pid in list(attached.items()) if pid is not None and not alive(pid)]


def runs(kind, this):
    """Says whether a data plane runs an ECS cluster, a DB cluster or a load balancer, by its name."""
    index = KINDS.index(kind)
    return any(key[index] == this or not any(key) for key in attached)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as told:
            return told.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return False
    except (OSError, IndexError):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def watch(look):
    """Looks again and again, as long as the emulator is there."""

    def watching():
        while True:
            time.sleep(LOOK)
            look()

    threading.Thread(target=watching, daemon=True).start()
