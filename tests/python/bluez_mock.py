"""A BlueZ that shares no code with the project: the template of python-dbusmock with what bluez_gatt.py adds, on the bus in
DBUS_SYSTEM_BUS_ADDRESS. It ends with that bus. There are a thermometer, which only advertises, and a lamp, which is connected.

Prints `ready`. It obeys lines, and answers each with one: `advertise HEX` has the thermometer advertise these data of the service
FCD2, and the others be heard, `scans` says whether the adapter scans, `pull` and `plug` take the adapter away and bring it back with
the thermometer, `value CHAR` says what a characteristic of the lamp has, `notify CHAR HEX` has it change by itself, `drop` breaks
the lamp's connection, and `connects` says how often it was connected.
"""

import subprocess
import sys
from pathlib import Path

import dbus
import dbusmock

THERMOMETER, LAMP = "A4:C1:38:00:02:01", "A4:C1:38:00:02:02"
BARE, NAMELESS = "A4:C1:38:00:02:03", "A4:C1:38:00:02:04"
BTHOME = "0000fcd2-0000-1000-8000-00805f9b34fb"
ADAPTER = "/org/bluez/hci0"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
CHARS = {"fff1": "char0011", "fff2": "char0014"}


class Bluez:
    def __init__(self, bus, root):
        self.bus, self.mock = bus, dbus.Interface(root, "org.bluez.Mock")
        self.mock.AddDevice("hci0", THERMOMETER, "ATC_000201")
        self.others = [LAMP, BARE, NAMELESS]

    def obey(self, line):
        word, *rest = line.split()
        return getattr(self, word)(*rest)

    def at(self, path, interface):
        return dbus.Interface(self.bus.get_object("org.bluez", path), interface)

    def char(self, name, interface):
        return self.at(f"{path_of(LAMP)}/service0010/{CHARS[name]}", interface)

    def advertise(self, data):
        data = dbus.Array(bytes.fromhex(data), signature="y", variant_level=1)
        self.heard(THERMOMETER, {"ServiceData": dbus.Dictionary({BTHOME: data}, signature="sv", variant_level=1)})
        for mac in self.others:
            self.heard(mac, {})
        return "advertised"

    def heard(self, mac, more):
        changed = {"RSSI": dbus.Int16(-63, variant_level=1), **more}
        arguments = [
            dbus.String("org.bluez.Device1", variant_level=1),
            dbus.Dictionary(changed, signature="sv", variant_level=1),
            dbus.Array([], signature="s", variant_level=1),
        ]
        mock = self.at(path_of(mac), dbusmock.MOCK_IFACE)
        mock.EmitSignal(dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as", dbus.Array(arguments, signature="v"))

    def scans(self):
        return f"scans {bool(self.at(ADAPTER, dbus.PROPERTIES_IFACE).Get('org.bluez.Adapter1', 'Discovering'))}"

    def pull(self):
        self.mock.RemoveAdapterWithDevices("hci0")
        return "pulled"

    def plug(self):
        self.mock.AddAdapter("hci0", "mocked")
        self.mock.AddDevice("hci0", THERMOMETER, "ATC_000201")
        self.others = []
        return "plugged"

    def value(self, name):
        value = self.char(name, dbus.PROPERTIES_IFACE).Get(CHARACTERISTIC, "Value")
        return f"value {bytes(value).hex()}"

    def notify(self, name, data):
        value = dbus.Array(bytes.fromhex(data), signature="y")
        self.char(name, dbusmock.MOCK_IFACE).UpdateProperties(CHARACTERISTIC, {"Value": value})
        return "notified"

    def drop(self):
        self.at(path_of(LAMP), "org.bluez.Device1").Disconnect()
        return "dropped"

    def connects(self):
        calls = self.at(path_of(LAMP), dbusmock.MOCK_IFACE).GetMethodCalls("Connect")
        return f"connects {len(calls)}"


def path_of(mac):
    return ADAPTER + "/dev_" + mac.replace(":", "_")


def main():
    bus = dbusmock.DBusTestCase.get_dbus(system_bus=True)
    template = str(Path(__file__).resolve().with_name("bluez_gatt.py"))
    parameters = {"mac": LAMP, "bare": BARE, "nameless": NAMELESS}
    server, root = dbusmock.DBusTestCase.spawn_server_template(template, parameters, stdout=subprocess.DEVNULL)
    try:
        bluez = Bluez(bus, root)
        print("ready", flush=True)
        for line in sys.stdin:
            print(bluez.obey(line), flush=True)
    finally:
        server.terminate()
        server.wait()


main()
