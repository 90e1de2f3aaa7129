"""A climate sensor with a lamp, played by aiocoap: a CoAP server of another hand than the project's simulators.

    /temperature   a number as text, observable
    /lamp          0 or 1 as text, to read and to PUT, observable
    /status        a JSON document of several blocks with the humidity near its end, observable
    /note          a text of any length, to read and to PUT: long ones come in blocks

Usage: coap_server.py ADDRESS. Prints `ready`, then one line for each write: `put PATH LENGTH BODY`, the body cut after 20
characters. Obeys lines on standard input: `temperature 22.5`, `lamp 1`, `humidity 40`, `forget` (nobody is told any more). Ends
with its standard input.
"""

import asyncio
import json
import sys

import aiocoap
from aiocoap import resource


class Text(resource.ObservableResource):
    def __init__(self, name, text, writable=False):
        super().__init__()
        self.name, self.text, self.writable = name, text, writable

    def show(self, text):
        self.text = text
        self.updated_state()

    async def render_get(self, request):
        return aiocoap.Message(payload=self.text.encode(), content_format=0)

    async def render_put(self, request):
        if not self.writable:
            return aiocoap.Message(code=aiocoap.METHOD_NOT_ALLOWED)
        text = request.payload.decode()
        print("put", self.name, len(text), text[:20], flush=True)
        self.show(text)
        return aiocoap.Message(code=aiocoap.CHANGED)


class Status(Text):
    def document(self, humidity):
        readings = {f"filler-{number:03}": "x" * 20 for number in range(60)}
        self.show(json.dumps({**readings, "zone": {"humidity": humidity}}))

    async def render_get(self, request):
        return aiocoap.Message(payload=self.text.encode(), content_format=50)


async def lines():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().split()


async def main():
    texts = [Text("temperature", "21.5"), Text("lamp", "0", writable=True), Text("note", "-", writable=True)]
    things = {text.name: text for text in texts}
    status = Status("status", "")
    status.document(45)
    site = resource.Site()
    site.add_resource([".well-known", "core"], resource.WKCResource(site.get_resources_as_linkheader))
    for name, thing in {**things, "status": status}.items():
        site.add_resource([name], thing)
    await aiocoap.Context.create_server_context(site, bind=(sys.argv[1], 5683))
    print("ready", flush=True)
    async for words in lines():
        match words:
            case ["humidity", value]:
                status.document(float(value))
            case ["forget"]:
                for thing in (*things.values(), status):
                    thing._observations = set()
            case [name, value]:
                things[name].show(value)
        print("ok", flush=True)


asyncio.run(main())
