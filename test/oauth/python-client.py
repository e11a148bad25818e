"""An MCP client of the Python SDK that logs in with nothing but the URL; a person fills in the form by itself.

Usage: python python-client.py URL sdk|fastmcp [PERSON]

PERSON is a URL that does what a person does with a page, `?address=`, and answers where that led.
"""

import asyncio
import html
import re
import sys
from types import SimpleNamespace
from urllib.parse import parse_qs, urljoin, urlparse

import httpx

CALLBACK = "http://localhost:7777/callback"


async def allow(address: str) -> dict[str, list[str]]:
    if len(sys.argv) > 3:
        async with httpx.AsyncClient(timeout=30) as browser:
            led = await browser.get(sys.argv[3], params={"address": address})
            return parse_qs(urlparse(led.text).query)
    async with httpx.AsyncClient(follow_redirects=False) as browser:
        page = await browser.get(address)
        fields = {}
        for attributes in re.findall(r"<input\b([^>]*)>", page.text):
            name = re.search(r'\bname="([^"]*)"', attributes)
            value = re.search(r'\bvalue="([^"]*)"', attributes)
            if name:
                fields[name[1]] = html.unescape(value[1]) if value else ""
        action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        fields |= {"username": "alice", "password": "correct horse", "action": "allow"}
        answer = await browser.post(urljoin(address, html.unescape(action[1])), data=fields)
        location = answer.headers.get("location")
        if location is None:
            location = html.unescape(re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', answer.text)[1])
        return parse_qs(urlparse(location).query)


async def sdk(url: str) -> str:
    from mcp import ClientSession
    from mcp.client.auth import OAuthClientProvider
    from mcp.client.streamable_http import streamablehttp_client
    from mcp.shared.auth import OAuthClientMetadata

    class Memory:
        tokens = None
        client = None

        async def get_tokens(self):
            return self.tokens

        async def set_tokens(self, tokens):
            self.tokens = tokens

        async def get_client_info(self):
            return self.client

        async def set_client_info(self, client):
            self.client = client

    answer = {}

    async def redirect(address: str) -> None:
        answer.update(await allow(address))

    async def callback():
        return answer["code"][0], answer["state"][0]

    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="Python", redirect_uris=[CALLBACK]),
        storage=Memory(),
        redirect_handler=redirect,
        callback_handler=callback,
    )
    async with streamablehttp_client(url, auth=provider) as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            result = await session.call_tool("echo", {"message": "from Python"})
            return result.content[0].text


async def fastmcp(url: str) -> str:
    from fastmcp import Client
    from fastmcp.client.auth import OAuth

    class Person(OAuth):
        async def redirect_handler(self, authorization_url: str) -> None:
            self.answer = await allow(authorization_url)

        async def callback_handler(self):
            answer = {name: values[0] for name, values in self.answer.items()}
            return SimpleNamespace(code=answer["code"], state=answer["state"], iss=answer["iss"])

    async with Client(url, auth=Person(url)) as client:
        result = await client.call_tool("echo", {"message": "from FastMCP"})
        return result.content[0].text


print(asyncio.run({"sdk": sdk, "fastmcp": fastmcp}[sys.argv[2]](sys.argv[1])))
