"""The outermost layer, plain ASGI: trace, log line, metric and security headers of each request; no answer goes around it.

The log line has the route's template, never the path; the last resort for a bug is a problem without any detail.
"""

from time import perf_counter
from typing import Any

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import tracing
from api.auth import Principal
from api.problems import Problem, respond
from api.request_log import RequestLog
from runtime.logging import get_logger

log = get_logger(__name__)

REQUEST_SECONDS = Histogram(
    "http_request_seconds",
    "Time from the request's first line to its answer's last byte.",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self._app, self._log = app, log
        self._series: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        scope["trace"] = tracing.begin(next((v for k, v in scope["headers"] if k == b"traceparent"), None))
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except Exception as error:
            log.error("request failed", route=_route(scope), trace_id=scope["trace"].trace_id, error=error)
            if status:
                raise
            await respond(_BUG, instance=scope["path"], trace_id=scope["trace"].trace_id)(scope, receive, send_marked)
        finally:
            self._record(scope, status, perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = _route(scope), scope["method"] if scope["method"] in _METHODS else "other"
        series = self._series.get((route, method, status))
        if series is None:
            series = self._series[(route, method, status)] = REQUEST_SECONDS.labels(route, method, str(status))
        series.observe(seconds)
        who: Principal | None = scope.get("principal")
        milliseconds, trace_id = round(seconds * 1000, 2), scope["trace"].trace_id
        tenant, user = (who.tenant_id, who.user_id) if who else (None, None)
        self._log.write((method, route, status, milliseconds, trace_id, tenant, user), probe=route in _PROBES)


def _route(scope: Scope) -> str:
    """The matched template; the path itself could carry anything."""
    return getattr(scope.get("route"), "path", "unknown")


_PROBES = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
_BUG = Problem("InternalError", "The request failed on our side; the trace id finds it in the log.")
