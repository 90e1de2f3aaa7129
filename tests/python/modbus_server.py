"""The demo's energy meter, played by pymodbus: registers of another hand than the project's simulators.

Over TCP, or with the argument `serial` on a serial line: a pseudo-terminal.
Prints `ready PORT`, then one line for each write: `coil ADDRESS VALUE`, `holding ADDRESS VALUE`; before those of the
functions that do more than write also `function 22` (mask write) or `function 23` (write and read).
Obeys lines on standard input: `input ADDRESS VALUE…` sets input registers. Ends with its standard input.
"""

import asyncio
import sys

from meter import COIL, CONTACT, holding, inputs, line
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer


class Told(ModbusSequentialDataBlock):
    """A block that tells what is written to it, and lets something follow."""

    def __init__(self, name, values, then=lambda address, value: None):
        super().__init__(1, values)
        self.name, self.then = name, then

    def setValues(self, address, values):
        super().setValues(address, values)
        for offset, value in enumerate(values):
            print(self.name, address + offset - 1, int(value), flush=True)
            self.then(address + offset - 1, int(value))


def functions(sending, pdu):
    if not sending and pdu.function_code in (22, 23):
        print("function", pdu.function_code, flush=True)
    return pdu


async def serve(context):
    """A server that runs, and where it is."""
    if sys.argv[1:] == ["serial"]:
        ours, theirs = line()
        server = ModbusSerialServer(context, framer=FramerType.RTU, port=ours, baudrate=115200, trace_pdu=functions)
        await server.serve_forever(background=True)
        return server, theirs
    server = ModbusTcpServer(context, address=("127.0.0.1", 0), trace_pdu=functions)
    await server.serve_forever(background=True)
    return server, server.transport.sockets[0].getsockname()[1]


async def main():
    contacts = ModbusSequentialDataBlock(1, [False] * 520)
    discrete = lambda address, value: contacts.setValues(CONTACT + 1, [bool(value)]) if address == COIL else None
    inputs_block = ModbusSequentialDataBlock(1, inputs())
    unit = ModbusSlaveContext(
        di=contacts,
        co=Told("coil", [False] * 8, discrete),
        ir=inputs_block,
        hr=Told("holding", holding()),
    )
    context = ModbusServerContext(slaves={1: unit}, single=False)
    server, place = await serve(context)
    print("ready", place, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        verb, address, *values = line.split()
        assert verb == "input", line
        inputs_block.setValues(int(address) + 1, [int(value) for value in values])
        print("ok", flush=True)
    await server.shutdown()


asyncio.run(main())
