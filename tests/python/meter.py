"""What the servers of modbus_server.py and libmodbus_server.py have in common: the registers of the demo's energy meter, and a line."""

import os
import struct
import threading
import tty

COIL, CONTACT = 3, 515


def f32(value):
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def inputs():
    low, high = f32(0.95)
    registers = f32(230.5) + f32(231.25) + f32(229.75) + f32(1.5) + f32(2.5) + f32(3.5)
    registers += list(struct.unpack(">HH", struct.pack(">i", -12345)))  # power, tenths of a watt
    registers += list(struct.unpack(">HHHH", struct.pack(">Q", 123456)))  # energy, Wh
    registers += [4998, 215, high, low, 0x0010]  # frequency, temperature, power factor, importing
    return registers


def holding():
    registers = [0] * 21
    registers[12], registers[20] = 0x0000, 190
    return registers


def line():
    """Both ends of a line without a UART: what is written to one can be read from the other."""
    ends = [os.openpty() for _ in range(2)]

    def carry(here, there):
        while data := os.read(here, 4096):
            os.write(there, data)

    for master, slave in ends:
        tty.setraw(slave)
    masters = [master for master, _ in ends]
    for here, there in (masters, masters[::-1]):
        threading.Thread(target=carry, args=(here, there), daemon=True).start()
    return [os.ttyname(slave) for _, slave in ends]
