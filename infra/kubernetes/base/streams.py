"""Make the bus's streams, or let those that are there be kept as often: NATS_URL, REPLICAS (3)."""

import asyncio
import os

import nats
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

STREAMS = {"PLANT": "plant.>", "PRODUCT": "product.>", "DEADLETTER": "deadletter.>"}


async def main() -> None:
    url, replicas = os.environ.get("NATS_URL", "nats://nats:4222"), int(os.environ.get("REPLICAS", "3"))
    client = await nats.connect(url, max_reconnect_attempts=30)
    jetstream = client.jetstream(timeout=20)
    for name, subject in STREAMS.items():
        wanted = StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE, num_replicas=replicas)
        try:
            there = (await jetstream.stream_info(name)).config
        except NotFoundError:
            await jetstream.add_stream(wanted)
        else:
            there.num_replicas = replicas
            await jetstream.update_stream(there)
        print(f"{name} is kept {replicas} times")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
