"""The admin interface: HTTP with JSON, by which tests watch the fake and flip its switches."""

import json
import os
import time
import urllib.parse

from .httpd import Response


class AdminService:
    """The service behind --admin."""

    expect_continue = True

    def __init__(self, world, listeners):
        self._world = world
        self._listeners = listeners

    def now(self):
        return time.time()

    def refuses(self):
        return False

    def handle(self, request):
        path, query = request.path_and_query
        route = self._ROUTES.get((request.method, path))
        if request.malformed or route is None:
            known = ", ".join(" ".join(key) for key in self._ROUTES)
            return _json(404, {"error": f"no such call; there are {known}"})
        try:
            return _json(200, route(self, request, dict(urllib.parse.parse_qsl(query))))
        except (ValueError, UnicodeDecodeError) as error:
            return _json(400, {"error": str(error)})

    def _requests(self, request, query):
        service = query.get("service")
        if service not in (None, "imds", "sts"):
            raise ValueError(f"no such service: {service}")
        return self._world.recorder.requests(service, int(query.get("since", 0)))

    def _clear_requests(self, request, query):
        self._world.recorder.clear()
        return {}

    def _stats(self, request, query):
        stats = self._world.recorder.stats()
        for service, listeners in self._listeners.items():
            stats.setdefault(service, {}).update(
                listeners=[listener.address for listener in listeners],
                connections_accepted=sum(listener.accepted for listener in listeners))
        return stats | {"pid": os.getpid(), "uptime_s": round(time.time() - self._world.started, 3)}

    def _sessions(self, request, query):
        return self._world.keys.sessions()

    def _get_faults(self, request, query):
        return self._world.faults.snapshot()

    def _put_faults(self, request, query):
        self._world.faults.update(json.loads(request.body))
        return self._world.faults.snapshot()

    def _reset_faults(self, request, query):
        self._world.faults.reset()
        return self._world.faults.snapshot()

    _ROUTES = {
        ("GET", "/requests"): _requests,
        ("DELETE", "/requests"): _clear_requests,
        ("GET", "/stats"): _stats,
        ("GET", "/sessions"): _sessions,
        ("GET", "/faults"): _get_faults,
        ("PUT", "/faults"): _put_faults,
        ("DELETE", "/faults"): _reset_faults,
    }


def _json(status, value):
    return Response(status, json.dumps(value) + "\n", [("Content-Type", "application/json")])
