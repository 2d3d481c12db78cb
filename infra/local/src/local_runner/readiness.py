"""Is a server ready? Asked over the network, as its users would."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from local_runner.ports import LOOPBACK

TIMEOUT_S = 2.0
# Never through a proxy: these are our own processes.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get_json(url: str, timeout_s: float = TIMEOUT_S) -> Any | None:
    """Return the JSON behind `url`, or None where it is not there (404); other failures raise `OSError`."""
    try:
        with _OPENER.open(url, timeout=timeout_s) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.NOT_FOUND:
            return None
        raise


def answers(url: str) -> bool:
    """Return whether `url` answers with success."""
    try:
        with _OPENER.open(url, timeout=TIMEOUT_S) as response:
            return 200 <= int(response.status) < 300
    except (OSError, http.client.HTTPException):
        return False


def consumers_of(monitor_port: int, stream: str) -> list[dict[str, Any]] | None:
    """Return what NATS tells of the consumers on `stream`; None without such a stream or an answer."""
    try:
        report = get_json(f"http://{LOOPBACK}:{monitor_port}/jsz?streams=1&consumers=1")
    except (OSError, http.client.HTTPException):
        return None
    for account in (report or {}).get("account_details", []):
        for detail in account.get("stream_detail", []):
            if detail["name"] == stream:
                return list(detail.get("consumer_detail") or [])
    return None


def is_idle(monitor_port: int, stream: str) -> bool:
    """Return whether every consumer on `stream` has read and acknowledged all of it."""
    consumers = consumers_of(monitor_port, stream) or []
    return all(not consumer["num_pending"] and not consumer["num_ack_pending"] for consumer in consumers)
