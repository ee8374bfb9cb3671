"""Command line: opens the listeners, says "fake_aws ready", serves until SIGTERM."""

import argparse
import contextlib
import os
import resource
import signal
import ssl
import sys
import threading

from .admin import AdminService
from .httpd import Listener
from .imds import ImdsService
from .state import World
from .sts import StsService


def main():
    options = _parse_arguments()
    _raise_descriptor_limit()
    threading.stack_size(256 * 1024)  # many threads, none of them deep
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    world = World(region=options.region, account=options.account,
                  static_keys=options.static_key, deny_roles=options.deny_role,
                  lenient_arns=options.lenient_arns)
    listeners = _listeners(options, world)
    world.faults.watch(lambda changes: _apply(changes, world, listeners))
    try:
        for group in listeners.values():
            for listener in group:
                listener.set_up(True)
    except OSError as error:
        _down(listeners)
        sys.exit(f"fake_aws: {listener.address}: {error.strerror}")
    if options.follow_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, args=(stop,), daemon=True).start()
    print("fake_aws ready", flush=True)
    stop.wait()
    _down(listeners)


def _parse_arguments():
    parser = argparse.ArgumentParser(prog="fake_aws", description=__doc__)
    parser.add_argument("--imds", metavar="HOST:PORT", action="append", default=[], type=_inet,
                        help="serve instance metadata here ([v6]:port too; repeatable)")
    parser.add_argument("--imds-optional-tokens", action="store_true",
                        help="answer requests without a token, as IMDSv1")
    parser.add_argument("--imds-keep-alive", action="store_true",
                        help="keep connections open; AWS closes each")
    parser.add_argument("--sts", metavar="HOST:PORT", action="append", default=[], type=_inet,
                        help="serve STS here (repeatable)")
    parser.add_argument("--sts-cert", metavar="FILE", help="serve STS with TLS")
    parser.add_argument("--sts-key", metavar="FILE")
    parser.add_argument("--admin", metavar="HOST:PORT|PATH", action="append", default=[],
                        type=lambda text: ("unix", text) if "/" in text else _inet(text),
                        help="serve the admin interface here (repeatable)")
    parser.add_argument("--static-key", metavar="AKID:SECRET", action="append", default=[],
                        type=_static_key, help="a long-term key STS knows (repeatable)")
    parser.add_argument("--deny-role", metavar="GLOB", action="append", default=[],
                        help="refuse AssumeRole for these roles (repeatable)")
    parser.add_argument("--lenient-arns", action="store_true",
                        help="accept role ARNs of on-premises STS (arn:aws:iam:::role/x)")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="123456789012")
    parser.add_argument("--follow-stdin", action="store_true",
                        help="exit when stdin ends: nothing outlives a test that crashed")
    options = parser.parse_args()
    if bool(options.sts_cert) != bool(options.sts_key):
        parser.error("--sts-cert and --sts-key belong together")
    if not (options.imds or options.sts):
        parser.error("nothing to serve: give --imds or --sts")
    return options


def _inet(text):
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise argparse.ArgumentTypeError(f"write IPv6 as [ADDRESS]:PORT: {text}")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text}")
    return ("inet", host, int(port))


def _static_key(text):
    access_key_id, colon, secret = text.partition(":")
    if not colon or not access_key_id or not secret:
        raise argparse.ArgumentTypeError("not AKID:SECRET")
    return access_key_id, secret


def _listeners(options, world):
    tls = None
    if options.sts_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.sts_cert, options.sts_key)
    imds = ImdsService(world, tokens_required=not options.imds_optional_tokens)
    sts = StsService(world)
    listeners = {
        "imds": [Listener(address, imds, keep_alive=options.imds_keep_alive)
                 for address in options.imds],
        "sts": [Listener(address, sts, tls=tls) for address in options.sts],
    }
    admin = AdminService(world, listeners)
    return listeners | {"admin": [Listener(address, admin) for address in options.admin]}


def _apply(changes, world, listeners):
    """Does what the switches ask of the listeners and the keys."""
    if changes.get("host_credentials_expire"):
        world.keys.expire_host()
    for service in ("imds", "sts"):
        for listener in listeners[service]:
            listener.set_up(not world.faults.get(service + "_down"))


def _down(listeners):
    for group in listeners.values():
        for listener in group:
            listener.set_up(False)


def _stop_at_end_of_stdin(stop):
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.set()


def _raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
