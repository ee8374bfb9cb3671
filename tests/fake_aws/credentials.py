"""The credentials the fake account knows: the host's, static keys, and what AssumeRole gave out.

Whatever must never reach a container is greppable: the host's access keys begin with ASIAHOST,
their secrets with HOSTSECRET, their session tokens with HOSTTOKEN.
"""

import base64
import dataclasses
import hashlib
import secrets
import threading
import time

# IMDS publishes new host keys at least this long before the old ones expire.
ROTATE_BEFORE_S = 300

_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# All real tokens of a region begin alike; it is the base64 of a protobuf head.
_TOKEN_HEAD = "IQoJb3JpZ2luX2Vj"


@dataclasses.dataclass
class Credential:
    """One key pair and the principal it stands for."""

    access_key_id: str
    secret: str
    arn: str
    user_id: str
    account: str
    token: str | None = None        # None: a static key
    issued: float = 0.0
    expiration: float | None = None
    role_arn: str | None = None
    session_name: str | None = None
    source_identity: str | None = None

    @property
    def is_session(self):
        """Whether assuming a role with it is role chaining (at most an hour)."""
        return self.token is not None

    def expired(self, now):
        return self.expiration is not None and now >= self.expiration


class KeyStore:
    """All credentials by access key id; answers who a caller is."""

    def __init__(self, *, partition, account, host_role, instance_id, static_keys, host_lifetime):
        self._partition = partition
        self._account = account
        self._host_role = host_role
        self._instance_id = instance_id
        self._host_lifetime = host_lifetime
        self._lock = threading.Lock()
        self._by_id = {}
        self._issued = []
        self._hosts = {}
        for access_key_id, secret in static_keys:
            self._by_id[access_key_id] = Credential(
                access_key_id, secret, account=account,
                arn=f"arn:{partition}:iam::{account}:user/static",
                user_id=stable_id("AIDA", access_key_id))

    def find(self, access_key_id):
        with self._lock:
            return self._by_id.get(access_key_id)

    def host(self):
        """The instance role's current credentials, as iam/security-credentials serves them."""
        return self._host("role", self._host_role)

    def instance_identity(self):
        """The identity-credentials/ec2 ones: as real as the role's, though they may do little."""
        return self._host("identity", "aws:ec2-instance")

    def expire_host(self):
        """Makes STS refuse the current host credentials as expired; IMDS serves new ones."""
        with self._lock:
            for credential in self._hosts.values():
                credential.expiration = 0.0
        self.host()

    def _host(self, kind, role):
        now = time.time()
        with self._lock:
            current = self._hosts.get(kind)
            if current and not current.expired(now):
                lifetime = current.expiration - current.issued
                if current.expiration - now > min(ROTATE_BEFORE_S, lifetime / 2):
                    return current
            fresh = Credential(
                access_key_id="ASIAHOST" + _random_id(12),
                secret="HOSTSECRET" + _random_text(30),
                token="HOSTTOKEN" + _random_text(791),
                arn=f"arn:{self._partition}:sts::{self._account}:assumed-role/{role}/"
                    f"{self._instance_id}",
                user_id=f"{stable_id('AROA', role)}:{self._instance_id}",
                account=self._account, issued=now, expiration=now + self._host_lifetime(),
                role_arn=f"arn:{self._partition}:iam::{self._account}:role/{role}",
                session_name=self._instance_id)
            self._hosts[kind] = self._by_id[fresh.access_key_id] = fresh
            return fresh

    def issue(self, *, now, lifetime, role_arn, account, role_name, session_name,
              token_bytes, source_identity=None):
        """A new session of a role."""
        fresh = Credential(
            # The R keeps a random id from ever starting with the host's marker.
            access_key_id="ASIAR" + _random_id(15),
            secret=_random_text(40),
            token=_session_token(token_bytes),
            arn=f"arn:{self._partition}:sts::{account}:assumed-role/{role_name}/{session_name}",
            user_id=f"{stable_id('AROA', role_arn)}:{session_name}",
            account=account, issued=now, expiration=now + lifetime, role_arn=role_arn,
            session_name=session_name, source_identity=source_identity)
        with self._lock:
            self._by_id[fresh.access_key_id] = fresh
            self._issued.append(fresh)
        return fresh

    def sessions(self):
        """Who is who, without secrets: every session AssumeRole has given out."""
        with self._lock:
            return [{"access_key_id": c.access_key_id, "arn": c.arn, "role_arn": c.role_arn,
                     "session_name": c.session_name, "issued": c.issued,
                     "expiration": c.expiration} for c in self._issued]


def stable_id(prefix, name):
    """An AWS unique id (AROA..., AIDA...) that is always the same for the same name."""
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()
    return prefix + digest[:17]


def _random_id(length):
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(length))


def _random_text(length):
    return base64.b64encode(secrets.token_bytes(length)).decode()[:length]


def _session_token(length):
    body = _random_text(max(length - len(_TOKEN_HEAD) - 2, 8))
    return _TOKEN_HEAD + body + "=="
