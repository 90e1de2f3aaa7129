"""The demo's energy meter, played by libmodbus: the C library that many devices and gateways are built with.

Says and obeys what modbus_server.py does: over TCP, or with the argument `serial` on a serial line.
It serves one connection at a time, as small devices do.
"""

import ctypes
import socket
import sys
import threading

from meter import COIL, CONTACT, holding, inputs, line

modbus = ctypes.CDLL("libmodbus.so.5", use_errno=True)


class Mapping(ctypes.Structure):
    """`modbus_mapping_t` of libmodbus 3.1."""

    _fields_ = [
        (name, ctypes.c_int)
        for table in ("bits", "input_bits", "input_registers", "registers")
        for name in ("nb_" + table, "start_" + table)
    ] + [
        ("bits", ctypes.POINTER(ctypes.c_uint8)),
        ("input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("registers", ctypes.POINTER(ctypes.c_uint16)),
    ]


modbus.modbus_new_tcp.restype = ctypes.c_void_p
modbus.modbus_new_rtu.restype = ctypes.c_void_p
modbus.modbus_new_rtu.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char, ctypes.c_int, ctypes.c_int]
modbus.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
modbus.modbus_get_header_length.argtypes = [ctypes.c_void_p]
modbus.modbus_set_slave.argtypes = [ctypes.c_void_p, ctypes.c_int]
modbus.modbus_connect.argtypes = [ctypes.c_void_p]
modbus.modbus_tcp_listen.argtypes = [ctypes.c_void_p, ctypes.c_int]
modbus.modbus_tcp_accept.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
modbus.modbus_receive.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
modbus.modbus_reply.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(Mapping)]


def checked(value, what):
    if value in (None, -1):
        raise OSError(ctypes.get_errno(), what)
    return value


class Meter:
    def __init__(self):
        self.table = modbus.modbus_mapping_new(8, 520, 21, 32).contents
        for address, value in enumerate(inputs()):
            self.table.input_registers[address] = value & 0xFFFF
        for address, value in enumerate(holding()):
            self.table.registers[address] = value

    def written(self):
        table = self.table
        return {("coil", at): table.bits[at] for at in range(8)} | {
            ("holding", at): table.registers[at] for at in range(21)
        }

    def serve(self, context):
        """Answers until the other end is gone."""
        query = ctypes.create_string_buffer(260)
        header = modbus.modbus_get_header_length(context)
        while (length := modbus.modbus_receive(context, query)) >= 0:
            if length == 0:
                continue
            function, before = query.raw[header], self.written()
            told = wanted(function, query.raw[header + 1 :])
            if modbus.modbus_reply(context, query, length, ctypes.byref(self.table)) < 0:
                continue
            after = self.written()
            if function in (22, 23):
                print("function", function, flush=True)
            for place in told or [it for it in after if after[it] != before[it]]:
                if place in after:  # or it was refused
                    print(*place, after[place], flush=True)
            self.table.input_bits[CONTACT] = self.table.bits[COIL]


def wanted(function, body):
    """What a request to write one thing names, be it changed by it or not."""
    address = body[0] << 8 | body[1]
    if function == 5:
        return [("coil", address)]
    return [("holding", address)] if function in (6, 22) else []


def over_tcp(meter):
    context = checked(modbus.modbus_new_tcp(b"127.0.0.1", 0), "modbus_new_tcp")
    listener = checked(modbus.modbus_tcp_listen(context, 1), "modbus_tcp_listen")
    known = socket.socket(fileno=listener)
    print("ready", known.getsockname()[1], flush=True)
    known.detach()
    held = ctypes.c_int(listener)
    while True:
        checked(modbus.modbus_tcp_accept(context, ctypes.byref(held)), "modbus_tcp_accept")
        meter.serve(context)


def on_a_line(meter):
    ours, theirs = line()
    context = checked(modbus.modbus_new_rtu(ours.encode(), 115200, b"N", 8, 1), "modbus_new_rtu")
    checked(modbus.modbus_set_slave(context, 1), "modbus_set_slave")
    checked(modbus.modbus_connect(context), "modbus_connect")
    print("ready", theirs, flush=True)
    while True:
        meter.serve(context)


def main():
    meter = Meter()
    way = on_a_line if sys.argv[1:] == ["serial"] else over_tcp
    threading.Thread(target=way, args=(meter,), daemon=True).start()
    for command in sys.stdin:
        verb, address, *values = command.split()
        assert verb == "input", command
        for offset, value in enumerate(values):
            meter.table.input_registers[int(address) + offset] = int(value)
        print("ok", flush=True)


main()
