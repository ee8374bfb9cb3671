"""What the services share: the fixed facts of the fake account, the clocks, the record of calls."""

import collections
import threading
import time

from .credentials import KeyStore
from .faults import Faults

INSTANCE_ID = "i-0123456789abcdef0"
HOST_ROLE = "host-role"

# Region prefix -> (partition, DNS suffix). The first match counts; "" is everything else.
_PARTITIONS = (
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
    ("", "aws", "amazonaws.com"),
)


class World:
    """The account, the region, and everything that changes while the fake runs."""

    def __init__(self, *, region="us-east-1", account="123456789012", static_keys=(),
                 deny_roles=(), lenient_arns=False):
        self.region = region
        self.account = account
        self.partition, self.domain = next(
            (partition, domain) for prefix, partition, domain in _PARTITIONS
            if region.startswith(prefix))
        self.lenient_arns = lenient_arns
        self.started = time.time()
        self.recorder = Recorder()
        self.faults = Faults(deny_roles=deny_roles)
        self.keys = KeyStore(
            partition=self.partition, account=account, host_role=HOST_ROLE,
            instance_id=INSTANCE_ID, static_keys=static_keys,
            host_lifetime=lambda: self.faults.get("host_credentials_lifetime_s"))

    def sts_now(self):
        """The clock STS lives by. IMDS keeps the real one: it runs on the host itself."""
        return time.time() + self.faults.get("sts_clock_skew_s")


class Recorder:
    """Every request the services saw, the newest LIMIT of them, and counters over all."""

    LIMIT = 200_000

    def __init__(self):
        self._lock = threading.Lock()
        self._next_id = 1
        self._entries = {}
        self._counters = {}
        for service in ("imds", "sts"):
            self._entries[service] = collections.deque(maxlen=self.LIMIT)
            self._counters[service] = _Counters()

    def begin(self, service, request):
        """Opens the entry of a request. It is visible at once, with `answer` still null:
        a test can so see a call that hangs."""
        entry = {
            "service": service, "time": time.time(), "peer": request.peer,
            "method": request.method, "target": request.target,
            "headers": [list(header) for header in request.headers],
            "malformed": request.malformed,
            "status": None, "answer": None, "duration_s": None,
        }
        with self._lock:
            counters = self._counters[service]
            counters.in_flight += 1
            counters.max_in_flight = max(counters.max_in_flight, counters.in_flight)
            entry["id"] = self._next_id
            entry["concurrency"] = counters.in_flight
            self._next_id += 1
            self._entries[service].append(entry)
        return entry

    def note(self, entry, **fields):
        with self._lock:
            entry.update(fields)

    def finish(self, entry, status, answer, kind=None):
        """Closes the entry. `kind` groups the counters (the STS action, the IMDS method)."""
        with self._lock:
            entry.update(status=status, answer=answer,
                         duration_s=round(time.time() - entry["time"], 6))
            counters = self._counters[entry["service"]]
            counters.in_flight -= 1
            counters.total += 1
            counters.answers[str(kind)][str(answer)] += 1

    def requests(self, service=None, since=0):
        with self._lock:
            services = [service] if service else list(self._entries)
            found = [dict(entry) for name in services for entry in self._entries[name]
                     if entry["id"] > since]
        return sorted(found, key=lambda entry: entry["id"])

    def clear(self):
        """Forgets the record and the counters; what is in flight stays counted."""
        with self._lock:
            for service, counters in self._counters.items():
                self._entries[service].clear()
                self._counters[service] = fresh = _Counters()
                fresh.in_flight = fresh.max_in_flight = counters.in_flight

    def stats(self):
        with self._lock:
            return {service: counters.as_dict() for service, counters in self._counters.items()}


class _Counters:
    def __init__(self):
        self.in_flight = 0
        self.max_in_flight = 0
        self.total = 0
        self.answers = collections.defaultdict(collections.Counter)

    def as_dict(self):
        return {"total": self.total, "in_flight": self.in_flight,
                "max_in_flight": self.max_in_flight,
                "answers": {kind: dict(answers) for kind, answers in self.answers.items()}}
