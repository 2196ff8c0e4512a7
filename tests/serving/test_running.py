from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.serving.running import listening

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def test_an_answer_in_two_parts_does_not_wait_for_the_client() -> None:
    """Else its body goes out once the head was acknowledged, after 40 ms on a kept connection."""
    set_: list[int] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        set_.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    asyncio.run(_call(note))

    assert set_ == [1]


async def _call(handler: Handler) -> None:
    with listening("127.0.0.1", 0) as bound:
        address = bound.getsockname()[:2]
        async with await asyncio.start_server(handler, sock=bound):
            reader, writer = await asyncio.open_connection(*address)
            await reader.read()
            writer.close()


def test_an_address_in_use_is_told() -> None:
    with listening("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"can't listen at 127.0.0.1:{port}"),
            listening("127.0.0.1", port),
        ):
            pass
