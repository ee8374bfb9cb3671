"""STS: AssumeRole and GetCallerIdentity, Version 2011-06-15, with signatures checked for real."""

import time
import uuid

from . import sigv4, sts_params, sts_xml
from .faults import matches_any
from .httpd import Response
from .sts_errors import StsError

VERSION = "2011-06-15"
_GARBAGE = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA&nope;</Creden"
_BALANCER_PAGE = "<html><body><b>Http/1.1 {status} {status}</b></body> </html>"


class StsService:
    """The service behind --sts."""

    expect_continue = True

    def __init__(self, world):
        self._world = world
        self._faults = world.faults
        self._recorder = world.recorder

    def now(self):
        return self._world.sts_now()

    def refuses(self):
        return self._faults.get("sts_close")

    def handle(self, request):
        call = self._recorder.begin("sts", request)
        form, response, answer = {}, None, None
        try:
            form, form_error = self._read_form(request, call)
            concerned = self._faults.concern(form.get("RoleArn"))
            if concerned:
                response, answer = self._disturbed(request)
            if answer is None:
                response, answer = self._answer(request, call, form, form_error, concerned)
                if concerned:
                    self._mangle(response)
        finally:
            status = response.status if response else None
            self._recorder.finish(call, status, answer, form.get("Action"))
        return response

    def _read_form(self, request, call):
        try:
            form, error = sts_params.parse_form(request.body), None
        except StsError as form_error:
            form, error = {}, form_error
        self._recorder.note(
            call, action=form.get("Action"), role=form.get("RoleArn"),
            session_name=form.get("RoleSessionName"),
            parameters={name: value for name, value in form.items()
                        if name not in ("Action", "Version")},
            access_key=None, caller_arn=None, issued_access_key=None, request_id=None,
            detail=None)
        return form, error

    # What goes wrong before AWS's own code would run.

    def _disturbed(self, request):
        """(Response, label) of what takes the place of an answer, (None, "closed") to close
        the connection, (None, None) to go on."""
        faults = self._faults
        if faults.get("sts_close"):
            return None, "closed"
        if faults.get("sts_delay_s"):
            time.sleep(faults.get("sts_delay_s"))
        while faults.get("sts_hang"):
            if request.peer_gone():
                return None, "closed"
            time.sleep(0.02)
        status = faults.get("sts_http_status")
        if status:
            return (Response(status, _BALANCER_PAGE.format(status=status),
                             [("Content-Type", "text/html")]), f"http {status}")
        redirect = faults.get("sts_redirect")
        if redirect:
            # 307 makes a client that follows it repeat the signed POST.
            location = redirect if isinstance(redirect, str) else "/redirected"
            return Response(307, b"", [("Location", location)]), "redirect"
        garbage = faults.get("sts_garbage")
        if garbage:
            body = garbage if isinstance(garbage, str) else _GARBAGE
            return Response(200, body, [("Content-Type", "text/xml")]), "garbage"
        return None, None

    def _mangle(self, response):
        """What goes wrong with an answer on its way out."""
        size = self._faults.get("sts_oversize")
        if size:
            response.body = sts_xml.padded(response.body, size)
        if self._faults.get("sts_truncate"):
            response.cut_after = len(response.body) // 2

    # The call itself.

    def _answer(self, request, call, form, form_error, concerned):
        request_id = str(uuid.uuid4())
        self._recorder.note(call, request_id=request_id)
        shuffle = self._faults.get("sts_child_order") == "shuffled"
        try:
            if request.malformed:
                raise StsError("MalformedInput", f"Bad HTTP request: {request.malformed}")
            children = self._run(request, call, form, form_error, concerned)
            body = sts_xml.result(form["Action"], children, request_id, shuffle=shuffle)
            status, answer = 200, "OK"
        except StsError as error:
            self._recorder.note(call, detail=error.detail or error.message)
            body = sts_xml.error(error, request_id, shuffle=shuffle)
            status, answer = error.status, error.code
        return Response(status, body, [("x-amzn-RequestId", request_id),
                                       ("Content-Type", "text/xml")]), answer

    def _run(self, request, call, form, form_error, concerned):
        """The children of the result; raises StsError."""
        path, query = request.path_and_query
        if path != "/" or query:
            raise StsError("UnknownOperationException")
        if request.method != "POST":
            raise StsError("MissingAuthenticationToken")
        caller = sigv4.verify(request, self._world.keys, region=self._world.region,
                              service="sts", now=self.now())
        self._recorder.note(call, access_key=caller.access_key_id, caller_arn=caller.arn)
        if form_error:
            raise form_error
        content_type = (request.header("content-type") or "").split(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded":
            raise StsError("MalformedInput", f"Unexpected Content-Type: {content_type!r}")
        if not form.get("Action"):
            raise StsError("MissingAction")
        action = self._ACTIONS.get(form["Action"])
        if action is None or form.get("Version") != VERSION:
            raise StsError("InvalidAction", f"Could not find operation {form['Action']} for "
                                            f"version {form.get('Version')}")
        # Injected errors come after the checks: a retry that is signed wrongly must show.
        operation = action(self, form, caller)
        if concerned:
            self._inject(form, caller)
        return operation(call)

    def _inject(self, form, caller):
        if self._faults.throttled():
            raise StsError("Throttling")
        error = self._faults.take_sts_error()
        if isinstance(error, dict):
            raise StsError(error["code"], error.get("message"), error.get("status"))
        if error == "AccessDenied" and form.get("RoleArn"):
            raise _access_denied(caller, form["RoleArn"])
        if error:
            raise StsError(error)

    # An action validates its parameters and returns the function that carries it out.

    def _get_caller_identity(self, form, caller):
        sts_params.check_get_caller_identity(form)
        return lambda call: [("Arn", caller.arn), ("UserId", caller.user_id),
                             ("Account", caller.account)]

    def _assume_role(self, form, caller):
        wanted = sts_params.assume_role(form, partition=self._world.partition,
                                        lenient_arns=self._world.lenient_arns,
                                        chained=caller.is_session)
        if matches_any(wanted.role_arn, self._faults.get("deny_roles")):
            raise _access_denied(caller, wanted.role_arn)
        if caller.source_identity and wanted.source_identity not in (None, caller.source_identity):
            raise StsError("ValidationError",
                           "The source identity is already set for this assume role session")
        return lambda call: self._new_session(wanted, caller, call)

    def _new_session(self, wanted, caller, call):
        faults = self._faults
        # Whole seconds, so that the Expiration it prints is when the session really ends.
        now = int(self.now())
        session = self._world.keys.issue(
            now=now, lifetime=faults.get("sts_session_lifetime_s") or wanted.duration,
            role_arn=wanted.role_arn, account=wanted.account or self._world.account,
            role_name=wanted.role_name, session_name=wanted.session_name,
            token_bytes=faults.get("sts_token_bytes"),
            source_identity=wanted.source_identity or caller.source_identity)
        self._recorder.note(call, issued_access_key=session.access_key_id)
        return [
            ("AssumedRoleUser", [("AssumedRoleId", session.user_id), ("Arn", session.arn)]),
            ("Credentials", [
                ("AccessKeyId", session.access_key_id),
                ("SecretAccessKey", session.secret),
                ("SessionToken", session.token),
                ("Expiration", sts_xml.timestamp(session.expiration,
                                                 faults.get("sts_expiration_style")))]),
            ("SourceIdentity", session.source_identity),
            ("PackedPolicySize", wanted.packed_percent)]

    _ACTIONS = {"AssumeRole": _assume_role, "GetCallerIdentity": _get_caller_identity}


def _access_denied(caller, role_arn):
    return StsError("AccessDenied", f"User: {caller.arn} is not authorized to perform: "
                                    f"sts:AssumeRole on resource: {role_arn}")
