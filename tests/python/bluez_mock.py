"""A BlueZ that shares no code with the project: the template of python-dbusmock, with a thermometer, on the bus in
DBUS_SYSTEM_BUS_ADDRESS. It ends with that bus.

Prints `ready`. A line `advertise HEX` has the thermometer advertise these data of the service FCD2, `scans` says whether the
adapter scans. There are no characteristics: the template has none, and objects that are added to it introspect themselves in an
order that btleplug does not take.
"""

import subprocess
import sys

import dbus
import dbusmock

THERMOMETER = "A4:C1:38:00:02:01"
BTHOME = "0000fcd2-0000-1000-8000-00805f9b34fb"
ADAPTER = "/org/bluez/hci0"


def main():
    bus = dbusmock.DBusTestCase.get_dbus(system_bus=True)
    server, root = dbusmock.DBusTestCase.spawn_server_template(
        "bluez5", {}, stdout=subprocess.DEVNULL
    )
    try:
        mock = dbus.Interface(root, "org.bluez.Mock")
        mock.AddAdapter("hci0", "mocked")
        mock.AddDevice("hci0", THERMOMETER, "ATC_000201")
        print("ready", flush=True)
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "advertise":
                advertise(bus, bytes.fromhex(rest))
                print("advertised", flush=True)
            elif word == "scans":
                adapter = dbus.Interface(bus.get_object("org.bluez", ADAPTER), dbus.PROPERTIES_IFACE)
                print("scans", bool(adapter.Get("org.bluez.Adapter1", "Discovering")), flush=True)
    finally:
        server.terminate()
        server.wait()


def advertise(bus, data):
    device = bus.get_object("org.bluez", ADAPTER + "/dev_" + THERMOMETER.replace(":", "_"))
    changed = {
        "ServiceData": dbus.Dictionary(
            {BTHOME: dbus.Array(data, signature="y", variant_level=1)}, signature="sv", variant_level=1
        ),
        "RSSI": dbus.Int16(-63, variant_level=1),
    }
    arguments = [
        dbus.String("org.bluez.Device1", variant_level=1),
        dbus.Dictionary(changed, signature="sv", variant_level=1),
        dbus.Array([], signature="s", variant_level=1),
    ]
    mock = dbus.Interface(device, dbusmock.MOCK_IFACE)
    mock.EmitSignal(
        dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as", dbus.Array(arguments, signature="v")
    )


main()
