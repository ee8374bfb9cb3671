"""Decodes and validates the parameters of STS calls, to AWS's limits and in AWS's words.

Stricter than AWS in three things, all of them to catch a client's mistakes: AWS ignores
parameters it does not know, takes the first of two equal ones, and is lenient about gaps in
member numbers; here each is an error.
"""

import dataclasses
import json
import re
import unicodedata
import zlib

from .sts_errors import StsError

# How many bytes the packed (here: deflated) policies and tags of a session may take. AWS keeps
# its number to itself; what counts is that PackedPolicySize grows and ends in an error.
PACKED_LIMIT = 1024
PLAINTEXT_LIMIT = 2048

_NAME = r"[\w+=,.@-]*"
_EXTERNAL_ID = r"[\w+=,.@:\/-]*"
_POLICY = "[\t\n\r -\u00ff]+"
_TAG = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+"  # as AWS prints it; _tag_text() is what checks it
_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/(?:[!-~]+/)?([\w+=,.@-]{1,64})",
                       re.ASCII)
_POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[!-~]+", re.ASCII)


@dataclasses.dataclass
class AssumeRole:
    """A valid AssumeRole request."""

    role_arn: str
    account: str | None
    role_name: str
    session_name: str
    duration: int
    external_id: str | None
    source_identity: str | None
    tags: dict
    transitive_tag_keys: list
    packed_percent: int | None


def parse_form(body):
    """The form as a dict; raises StsError unless it is a strict urlencoded one."""
    form = {}
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise StsError("MalformedInput", "The body has bytes that must be escaped.") from None
    for part in filter(None, text.split("&")):
        name, equals, value = part.partition("=")
        name, value = _decode(name), _decode(value)
        if not equals or not name:
            raise StsError("MalformedInput", f"Not a name=value pair: {part}")
        if name in form:
            raise StsError("MalformedInput", f"Parameter given twice: {name}")
        form[name] = value
    return form


def _decode(text):
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise StsError("MalformedInput", f"Bad percent escape: {text}")
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()),
                 text.replace("+", " ").encode())
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise StsError("MalformedInput", f"Not UTF-8: {text}") from None


def check_get_caller_identity(form):
    _reject_unknown(set(form) - {"Action", "Version"})


def assume_role(form, *, partition, lenient_arns, chained):
    """The AssumeRole request in `form`; raises StsError with AWS's code and message."""
    form = {name: value for name, value in form.items() if name not in ("Action", "Version")}
    check = _Constraints()
    role_arn = check.text("roleArn", form.pop("RoleArn", None), 20, 2048, required=True)
    session_name = check.text("roleSessionName", form.pop("RoleSessionName", None), 2, 64, _NAME,
                              required=True)
    duration = check.number("durationSeconds", form.pop("DurationSeconds", "3600"), 900, 43200)
    policy = check.text("policy", form.pop("Policy", None), 1, PLAINTEXT_LIMIT, _POLICY)
    external_id = check.text("externalId", form.pop("ExternalId", None), 2, 1224, _EXTERNAL_ID)
    source_identity = check.text("sourceIdentity", form.pop("SourceIdentity", None), 2, 64, _NAME)

    policy_arns = _members(form, "PolicyArns", "arn")
    for index, arn in enumerate(policy_arns, 1):
        check.text(f"policyArns.{index}.member.arn", arn["arn"], 20, 2048, required=True)
    tags = _members(form, "Tags", "Key", "Value")
    check.count("tags", tags, 50)
    for index, tag in enumerate(tags, 1):
        check.tag(f"tags.{index}.member.key", tag["Key"], 1, 128)
        check.tag(f"tags.{index}.member.value", tag["Value"], 0, 256)
    transitive = [key[""] for key in _members(form, "TransitiveTagKeys", "")]
    check.count("transitiveTagKeys", transitive, 50)
    for index, key in enumerate(transitive, 1):
        check.tag(f"transitiveTagKeys.{index}.member", key, 1, 128)
    _reject_unknown(form)
    check.done()

    account, role_name = _split_role_arn(role_arn, partition, lenient_arns)
    if len(policy_arns) > 10:
        raise StsError("ValidationError", "The number of policy ARNs exceeds the limit of 10.")
    for arn in policy_arns:
        if not _POLICY_ARN.fullmatch(arn["arn"]):
            raise StsError("ValidationError", f"ARN {arn['arn']} is not valid.")
    _check_tags(tags, transitive)
    if policy is not None:
        _check_policy(policy)
    arns = [arn["arn"] for arn in policy_arns]
    packed = _packed_percent(policy, arns, tags)
    if chained and duration > 3600:
        raise StsError("ValidationError",
                       "The requested DurationSeconds exceeds the 1 hour session limit for roles "
                       "assumed by role chaining.")
    return AssumeRole(role_arn, account, role_name, session_name, duration, external_id,
                      source_identity, {tag["Key"]: tag["Value"] for tag in tags}, transitive,
                      packed)


class _Constraints:
    """Collects violations, since AWS reports all of them in one message."""

    def __init__(self):
        self._errors = []

    def _fail(self, where, value, constraint):
        shown = "null" if value is None else f"'{value}'"
        self._errors.append(f"Value {shown} at '{where}' failed to satisfy constraint: "
                            f"Member must {constraint}")

    def text(self, where, value, minimum, maximum, pattern=None, required=False):
        if value is None:
            if required:
                self._fail(where, value, "not be null")
            return None
        if pattern and not re.fullmatch(pattern, value, re.ASCII):
            self._fail(where, value, f"satisfy regular expression pattern: {pattern}")
        self._length(where, value, minimum, maximum)
        return value

    def tag(self, where, value, minimum, maximum):
        if value is None:
            self._fail(where, value, "not be null")
            return
        if value and not _tag_text(value):
            self._fail(where, value, f"satisfy regular expression pattern: {_TAG}")
        self._length(where, value, minimum, maximum)

    def _length(self, where, value, minimum, maximum):
        if len(value) < minimum:
            self._fail(where, value, f"have length greater than or equal to {minimum}")
        if len(value) > maximum:
            self._fail(where, value, f"have length less than or equal to {maximum}")

    def count(self, where, values, maximum):
        if len(values) > maximum:
            self._fail(where, f"[{len(values)} members]",
                       f"have length less than or equal to {maximum}")

    def number(self, where, value, minimum, maximum):
        if not re.fullmatch(r"-?\d{1,10}", value, re.ASCII):
            raise StsError("MalformedInput", f"Not an integer: {where}={value}")
        number = int(value)
        if number < minimum:
            self._fail(where, value, f"have value greater than or equal to {minimum}")
        if number > maximum:
            self._fail(where, value, f"have value less than or equal to {maximum}")
        return number

    def done(self):
        if self._errors:
            count = len(self._errors)
            raise StsError("ValidationError",
                           f"{count} validation error{'s' * (count > 1)} detected: "
                           + "; ".join(self._errors))


def _members(form, name, *fields):
    """Takes `name.member.N[.field]` out of the form as a list of dicts, one a member."""
    found = {}
    for key in list(form):
        match = re.fullmatch(rf"{name}\.member\.([1-9]\d{{0,5}})(?:\.(\w+))?", key, re.ASCII)
        if match and (match[2] or "") in fields:
            found.setdefault(int(match[1]), dict.fromkeys(fields))[match[2] or ""] = form.pop(key)
    if sorted(found) != list(range(1, len(found) + 1)):
        raise StsError("MalformedInput", f"The members of {name} are not numbered from 1 on.")
    return [found[index] for index in sorted(found)]


def _reject_unknown(names):
    if names:
        raise StsError("ValidationError", "Unknown parameter: " + ", ".join(sorted(names)))


def _split_role_arn(arn, partition, lenient):
    match = _ROLE_ARN.fullmatch(arn)
    if match and (lenient or match[1] == partition):
        return match[2], match[3]
    # On-premises STS (Ceph, MinIO) has roles without account or partition.
    if lenient and re.fullmatch(r"arn:[!-~]*:[!-~]*:[!-~]*:[!-~]*:[!-~]+", arn):
        account = arn.split(":")[4]
        return account or None, re.split("[:/]", arn)[-1] or "role"
    raise StsError("ValidationError", f"{arn} is invalid")


def _tag_text(text):
    return all(char in "_.:/=+-@" or unicodedata.category(char)[0] in "LZN" for char in text)


def _check_tags(tags, transitive):
    keys = [tag["Key"].lower() for tag in tags]
    if len(set(keys)) != len(keys):
        raise StsError("InvalidParameterValue",
                       "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in keys):
        raise StsError("InvalidParameterValue",
                       "Tag keys beginning with aws: are reserved for internal use.")
    if not {key.lower() for key in transitive} <= set(keys):
        raise StsError("InvalidParameterValue",
                       "The specified transitive tag keys must be included in the requested tags.")


def _check_policy(text):
    def refuse(why):
        raise StsError("MalformedPolicyDocument", why)

    try:
        policy = json.loads(text)
    except ValueError:
        refuse("This policy contains invalid Json")
    if not isinstance(policy, dict) or not policy.get("Statement"):
        refuse("Syntax errors in policy.")
    if policy.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        refuse("The policy must contain a valid version string")
    statements = policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            refuse("Syntax errors in policy.")
        if "Principal" in statement or "NotPrincipal" in statement:
            refuse("Policy document should not specify a principal.")
        if ("Action" in statement) == ("NotAction" in statement):
            refuse("Policy statement must contain actions.")
        if ("Resource" in statement) == ("NotResource" in statement):
            refuse("Policy statement must contain resources.")


def _packed_percent(policy, arns, tags):
    """How much of a session's space policies and tags take, or None without any."""
    if policy is None and not arns and not tags:
        return None
    if len(policy or "") + sum(map(len, arns)) > PLAINTEXT_LIMIT:
        percent = 100 * (len(policy or "") + sum(map(len, arns))) // PLAINTEXT_LIMIT + 1
    else:
        packed = zlib.compress(json.dumps([policy, arns, tags]).encode(), 9)
        percent = max(1, 100 * len(packed) // PACKED_LIMIT)
    if percent > 100:
        raise StsError("PackedPolicyTooLarge",
                       f"Packed policy consumes {percent}% of allotted space, "
                       "please use smaller policy.")
    return percent
