"""A fake Ark and two ways to ask it, for tests that look at what it answers."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from volcenginesdkarkruntime import AsyncArk

from tests.fake_ark import FakeArk


@pytest.fixture
def ark() -> Iterator[FakeArk]:
    with FakeArk(pace=0) as ark:
        yield ark


@pytest.fixture
async def raw(ark: FakeArk) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP, to see the bytes."""
    headers = {"Authorization": "Bearer a-key"}
    async with httpx.AsyncClient(
        verify=False, trust_env=False, base_url=ark.base_url, headers=headers
    ) as raw:
        yield raw


@pytest.fixture
async def client(ark: FakeArk) -> AsyncIterator[AsyncArk]:
    http = httpx.AsyncClient(verify=False, trust_env=False)
    client = AsyncArk(base_url=ark.base_url, api_key="a-key", max_retries=0, http_client=http)
    yield client
    await client.close()
