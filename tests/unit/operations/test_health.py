"""The page of a process without HTTP: alive without asking anybody, ready only with everything it needs."""

import httpx

from runtime.health import HealthPage
from runtime.settings import Settings
from runtime.stack.ports import free_ports


def client(**parts: bool) -> httpx.AsyncClient:
    """A page whose database answers nothing."""
    url = f"postgresql://x:x@127.0.0.1:{free_ports(1)[0]}/x"
    settings = Settings.load({"DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": "localhost:1"})
    page = HealthPage(settings, {name: lambda ready=ready: ready for name, ready in parts.items()}, "worker")  # type: ignore[misc]
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=page), base_url="http://health")


async def test_alive_asks_nobody() -> None:
    async with client(relay=False) as asked:
        answer = await asked.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_names_each_check() -> None:
    async with client(relay=True, running=False) as asked:
        answer = await asked.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"relay": "ok", "running": "failed", "database": "failed"}


async def test_metrics_are_prometheus_text_and_other_paths_are_named() -> None:
    async with client() as asked:
        page, other = await asked.get("/metrics"), await asked.get("/")

    assert page.headers["content-type"].startswith("text/plain")
    assert "process_resident_memory_bytes" in page.text
    assert other.status_code == 404
    assert "/readyz" in other.json()["status"]
