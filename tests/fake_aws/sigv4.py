"""Verifies AWS Signature Version 4 from the request as it came over the wire.

Written from the specification and independent of any SDK, so that a signer and its verifier
do not share a mistake. Where AWS is known to be lenient and the specification is not, this
follows the specification: a client that passes here passes there.
"""

import calendar
import functools
import hashlib
import hmac
import re
import time
import urllib.parse

from .sts_errors import StsError

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW_S = 300
_UNRESERVED = "-_.~"


def verify(request, keys, *, region, service, now):
    """Returns the Credential that signed `request`; raises StsError if none rightly did."""
    authorization = request.values("authorization")
    if not authorization:
        raise StsError("MissingAuthenticationToken")
    if len(authorization) > 1:
        raise StsError("IncompleteSignature", "More than one Authorization header.")
    fields = _authorization_fields(authorization[0], request.header("x-amz-date"))
    scope = fields["Credential"].split("/")
    if len(scope) != 5:
        raise StsError("IncompleteSignature",
                       "Credential must have exactly 5 slash-delimited elements, e.g. "
                       f"keyid/date/region/service/term, got '{fields['Credential']}'")
    access_key_id, date, *_ = scope
    signed = fields["SignedHeaders"].split(";")

    # Who it is comes before whether the signature is right: with a token that is not the key's,
    # AWS answers InvalidClientTokenId whatever the signature.
    credential = keys.find(access_key_id)
    if credential is None or not _token_belongs(credential, request):
        raise StsError("InvalidClientTokenId")
    if credential.expired(now):
        raise StsError("ExpiredToken")

    _check_signed_headers(signed, request)
    amz_date = request.header("x-amz-date")
    _check_date(amz_date, now)
    _check_scope(scope[1:], amz_date, region, service)

    body_hash = hashlib.sha256(request.body).hexdigest()
    claimed = request.header("x-amz-content-sha256")
    if claimed is not None and claimed != body_hash:
        raise StsError("SignatureDoesNotMatch",
                       "The value of x-amz-content-sha256 is not the SHA-256 of the body.")
    canonical = canonical_request(request, signed, body_hash)
    to_sign = "\n".join((ALGORITHM, amz_date, "/".join(scope[1:]),
                         hashlib.sha256(canonical.encode("latin-1")).hexdigest()))
    key = signing_key(credential.secret, date, region, service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), fields["Signature"].encode("latin-1")):
        raise StsError("SignatureDoesNotMatch",
                       detail=f"canonical request:\n{canonical}\n\nstring to sign:\n{to_sign}")
    return credential


def canonical_request(request, signed, body_hash):
    path, query = request.path_and_query
    return "\n".join((
        request.method,
        urllib.parse.quote(path.encode("latin-1"), safe="/" + _UNRESERVED),
        _canonical_query(query),
        *(f"{name}:{_canonical_value(request, name)}" for name in signed),
        "",
        ";".join(signed),
        body_hash))


@functools.lru_cache(maxsize=4096)
def signing_key(secret, date, region, service):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_value(request, name):
    """All values of a header, trimmed, runs of spaces folded, joined with commas."""
    return ",".join(re.sub(" +", " ", value.strip()) for value in request.values(name))


def _canonical_query(query):
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        pairs.append(tuple(
            urllib.parse.quote(urllib.parse.unquote_to_bytes(text), safe=_UNRESERVED)
            for text in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _authorization_fields(header, amz_date):
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise StsError("IncompleteSignature", f"Unsupported AWS 'algorithm': '{algorithm}'.")
    fields = {}
    for part in rest.split(","):
        name, equals, value = part.strip(" ").partition("=")
        if not equals or name in fields:
            raise StsError("IncompleteSignature",
                           f"'{part.strip()}' not a valid key=value pair (missing equal-sign) "
                           f"in Authorization header: '{header}'.")
        fields[name] = value
    missing = [f"Authorization header requires '{name}' parameter."
               for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)]
    if amz_date is None:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a "
                       "'Date' header.")
    if missing:
        raise StsError("IncompleteSignature", " ".join(missing + [f"Authorization={header}"]))
    return fields


def _token_belongs(credential, request):
    tokens = request.values("x-amz-security-token")
    if credential.token is None:
        return not tokens
    return tokens == [credential.token]


def _check_signed_headers(signed, request):
    if signed != sorted(set(signed)) or any(name != name.lower() for name in signed):
        raise StsError("SignatureDoesNotMatch",
                       "SignedHeaders must be lower-case, sorted and without duplicates.")
    if "host" not in signed:
        raise StsError("SignatureDoesNotMatch",
                       "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    present = {name.lower() for name, _ in request.headers}
    for name in sorted(present):
        # The specification wants all of x-amz-*; that covers x-amz-date and
        # x-amz-security-token.
        if name.startswith("x-amz-") and name not in signed:
            raise StsError("SignatureDoesNotMatch",
                           f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    absent = [name for name in signed if name not in present]
    if absent:
        raise StsError("SignatureDoesNotMatch",
                       detail=f"signed but not sent: {', '.join(absent)}")
    repeated = [name for name in ("host", "x-amz-date") if len(request.values(name)) > 1]
    if repeated:
        raise StsError("SignatureDoesNotMatch", detail=f"sent more than once: {repeated}")


def _check_date(amz_date, now):
    try:
        if not re.fullmatch(r"\d{8}T\d{6}Z", amz_date):
            raise ValueError
        signed_at = calendar.timegm(time.strptime(amz_date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise StsError("IncompleteSignature",
                       f"Date must be in ISO-8601 'basic format'. Got '{amz_date}'. "
                       "See http://en.wikipedia.org/wiki/ISO_8601") from None
    now = int(now)
    if signed_at < now - MAX_SKEW_S:
        raise StsError("SignatureDoesNotMatch",
                       f"Signature expired: {amz_date} is now earlier than "
                       f"{_basic(now - MAX_SKEW_S)} ({_basic(now)} - 5 min.)")
    if signed_at > now + MAX_SKEW_S:
        raise StsError("SignatureDoesNotMatch",
                       f"Signature not yet current: {amz_date} is still later than "
                       f"{_basic(now + MAX_SKEW_S)} ({_basic(now)} + 5 min.)")


def _check_scope(scope, amz_date, region, service):
    date, scope_region, scope_service, terminator = scope
    wrong = []
    if scope_region != region:
        wrong.append("Credential should be scoped to a valid region. ")
    if scope_service != service:
        wrong.append(f"Credential should be scoped to correct service: '{service}'. ")
    if terminator != "aws4_request":
        wrong.append("Credential should be scoped with a valid terminator: 'aws4_request', "
                     f"not '{terminator}'. ")
    if date != amz_date[:8]:
        wrong.append("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                     f"date from HTTP: '{date}' != '{amz_date[:8]}', from '{amz_date}'. ")
    if wrong:
        raise StsError("SignatureDoesNotMatch", "".join(wrong))


def _basic(second):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
