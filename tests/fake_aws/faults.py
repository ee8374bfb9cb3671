"""The switches that tests flip at run time. README.md lists what each one does."""

import fnmatch
import threading
import time

from .sts_errors import ERROR_CODES


class Faults:
    """A thread-safe table of switches. Reading one is cheap; every request reads several."""

    def __init__(self, *, deny_roles=()):
        self._lock = threading.Lock()
        self._defaults = {name: default for name, (default, _) in SWITCHES.items()}
        self._defaults["deny_roles"] = list(deny_roles)
        self._values = dict(self._defaults)
        self._bucket = _TokenBucket()
        self._watchers = []

    def watch(self, callback):
        """Calls `callback(changes)` after every change, before the change is acknowledged."""
        self._watchers.append(callback)

    def get(self, name):
        return self._values[name]

    def snapshot(self):
        with self._lock:
            return dict(self._values)

    def update(self, changes):
        """Merges the switches in; all of them or, on ValueError, none."""
        if not isinstance(changes, dict):
            raise ValueError("faults must be a JSON object")
        for name, value in changes.items():
            if name not in SWITCHES:
                raise ValueError(f"no such switch: {name}")
            if value is not None and not SWITCHES[name][1](value):
                raise ValueError(f"bad value for {name}: {value!r}")
        with self._lock:
            for name, value in changes.items():
                self._values[name] = self._defaults[name] if value is None else value
            # An event, not a state: the watcher acts on it once.
            self._values["host_credentials_expire"] = False
        self._notify(changes)

    def reset(self):
        with self._lock:
            self._values = dict(self._defaults)
        self._notify({})

    def _notify(self, changes):
        for callback in self._watchers:
            callback(changes)

    def concern(self, role_arn):
        """Whether the sts_* disturbances are meant for a call about this role."""
        only = self.get("sts_only_roles")
        return not only or matches_any(role_arn or "", only)

    def throttled(self):
        rate = self.get("sts_throttle_per_second")
        return bool(rate) and not self._bucket.take(rate)

    def take_sts_error(self):
        """The error this STS call must fail with (a code or an object), or None."""
        with self._lock:
            error, left = self._values["sts_error"], self._values["sts_fail_next"]
            if isinstance(error, list):
                error, rest = error[0], error[1:]
                self._values["sts_error"] = rest or None
            if left is None:
                return error
            # A bound on sts_error, or a plain failure without one. When the count is used up both
            # go, lest a leftover 0 should silently disarm the next sts_error.
            self._values["sts_fail_next"] = left - 1
            if left <= 1:
                self._values["sts_fail_next"] = self._values["sts_error"] = None
            return error or "InternalFailure"

    def take_imds_status(self, path):
        """The HTTP status this IMDS request must fail with, or None."""
        with self._lock:
            error = self._values["imds_error"]
            if isinstance(error, list):
                self._values["imds_error"] = error[1:] or None
                return error[0]
        if isinstance(error, dict):
            return error["status"] if fnmatch.fnmatchcase(path, error.get("path", "*")) else None
        return error


def matches_any(text, globs):
    return any(fnmatch.fnmatchcase(text, glob) for glob in globs)


class _TokenBucket:
    """At most one second's worth of burst, as STS allows."""

    def __init__(self):
        self._lock = threading.Lock()
        self._level = None
        self._rate = None
        self._at = 0.0

    def take(self, rate):
        with self._lock:
            now = time.monotonic()
            burst = max(1.0, rate)
            if self._rate != rate:
                self._rate, self._level = rate, burst
            else:
                self._level = min(burst, self._level + (now - self._at) * rate)
            self._at = now
            if self._level < 1.0:
                return False
            self._level -= 1.0
            return True


def _flag(value):
    return isinstance(value, bool)


def _number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _not_negative(value):
    return _number(value) and value >= 0


def _count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(value):
    return _number(value) and value > 0


def _status(value):
    return _count(value) and 200 <= value <= 599


def _globs(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _one_of(*choices):
    return lambda value: value in choices


def _flag_or_text(value):
    return isinstance(value, (bool, str))


def _sts_error_item(value):
    if isinstance(value, dict):
        return (isinstance(value.get("code"), str)
                and set(value) <= {"code", "status", "message"}
                and (value.get("status") is None or _status(value["status"]))
                and isinstance(value.get("message", ""), str))
    return value in ERROR_CODES


def _sts_error(value):
    if isinstance(value, list):
        return bool(value) and all(item is None or _sts_error_item(item) for item in value)
    return _sts_error_item(value)


def _imds_error(value):
    if isinstance(value, dict):
        return (_status(value.get("status")) and set(value) <= {"status", "path"}
                and isinstance(value.get("path", ""), str))
    if isinstance(value, list):
        return bool(value) and all(item is None or _status(item) for item in value)
    return _status(value)


# name -> (default, check). Setting a switch to null gives it its default back.
SWITCHES = {
    # STS, per call
    "sts_only_roles": ([], _globs),
    "sts_delay_s": (0, _not_negative),
    "sts_hang": (False, _flag),
    "sts_error": (None, _sts_error),
    "sts_fail_next": (None, lambda value: _count(value) and value > 0),
    "sts_throttle_per_second": (None, _positive),
    "sts_http_status": (None, _status),
    "sts_garbage": (False, _flag_or_text),
    "sts_truncate": (False, _flag),
    "sts_oversize": (None, _count),
    "sts_redirect": (False, _flag_or_text),
    # STS, per connection
    "sts_close": (False, _flag),
    "sts_down": (False, _flag),
    # what STS hands out
    "sts_clock_skew_s": (0, _number),
    "sts_expiration_style": ("aws", _one_of("aws", "fraction", "offset")),
    "sts_child_order": ("aws", _one_of("aws", "shuffled")),
    "sts_token_bytes": (900, lambda value: _count(value) and 32 <= value <= 1_000_000),
    "sts_session_lifetime_s": (None, _positive),
    "deny_roles": ([], _globs),
    # IMDS
    "imds_delay_s": (0, _not_negative),
    "imds_down": (False, _flag),
    "imds_error": (None, _imds_error),
    "imds_no_role": (False, _flag),
    "imds_disks": (0, _count),
    "imds_hop_limit": (0, lambda value: _count(value) and value <= 64),
    "imds_optional_tokens": (False, _flag),
    "host_credentials_lifetime_s": (21600, _positive),
    "host_credentials_expire": (False, _flag),
}
