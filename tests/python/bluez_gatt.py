"""python-dbusmock's BlueZ with devices that have characteristics: a template for it, made of its own `bluez5`.

Adapters, devices, agents and discovery are those of dbusmock. What it lacks is here, from BlueZ's documents: a connection whose
services are resolved, `GattService1` and `GattCharacteristic1`. Its answers to Introspect are put into the order in which BlueZ
gives them (methods, signals and properties each together), because btleplug reads no other.

Parameters, all optional: `mac` of a lamp with two characteristics of the service FFF0: FFF1 is read, written and notified, FFF2
is read and written without an answer, and refuses 0; `bare`, the mac of a device without AddressType; `nameless`, that of one whose
Introspect has a node without a name.
"""

import functools
from xml.etree import ElementTree

import dbus
from dbusmock import OBJECT_MANAGER_IFACE, mockobject
from dbusmock.templates import bluez5
from dbusmock.templates.bluez5 import *  # noqa: F403  (a template is known by its functions)

BUS_NAME, MAIN_OBJ, SYSTEM_BUS, IS_OBJECT_MANAGER = "org.bluez", "/", True, True

DEVICE, SERVICE, CHARACTERISTIC = "org.bluez.Device1", "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
ORDER = ["interface", "node", "method", "signal", "property", "annotation", "arg"]
BASE = "0000{}-0000-1000-8000-00805f9b34fb"


def load(mock, parameters):
    bluez5.load(mock, parameters)
    introspect_in_order(str(parameters.get("nameless", "")))
    root = mockobject.objects["/"]
    root.AddAdapter("hci0", "mocked")
    for name in ("mac", "nameless", "bare"):
        if name in parameters:
            add_lamp(root, str(parameters[name]))
    if "bare" in parameters:
        del mockobject.objects[path_of(str(parameters["bare"]))].props[DEVICE]["AddressType"]


def path_of(mac):
    return "/org/bluez/hci0/dev_" + mac.replace(":", "_")


def introspect_in_order(nameless):
    theirs = mockobject.DBusMockObject.Introspect

    @functools.wraps(theirs)
    def introspect(self, object_path, connection):
        tree = ElementTree.fromstring(theirs(self, object_path, connection))
        for element in [tree, *tree.iter("interface")]:
            element[:] = sorted(element, key=lambda child: ORDER.index(child.tag))
        if nameless and object_path == path_of(nameless):
            ElementTree.SubElement(tree, "node")
        return ElementTree.tostring(tree, encoding="unicode")

    mockobject.DBusMockObject.Introspect = introspect


def add_lamp(root, mac):
    root.AddDevice("hci0", mac, "Lamp")
    device = mockobject.objects[path_of(mac)]
    device.AddMethods(DEVICE, [("Connect", "", "", connect), ("Disconnect", "", "", disconnect)])
    service = path_of(mac) + "/service0010"
    properties = {"UUID": BASE.format("fff0"), "Primary": dbus.Boolean(True), "Device": dbus.ObjectPath(path_of(mac))}
    add(service, SERVICE, properties, [])
    for name, short, flags, value in (
        ("char0011", "fff1", ["read", "write", "notify"], [0]),
        ("char0014", "fff2", ["read", "write-without-response"], [30]),
    ):
        properties = {
            "UUID": BASE.format(short),
            "Service": dbus.ObjectPath(service),
            "Flags": dbus.Array(flags, signature="s"),
            "Value": dbus.Array(value, signature="y"),
            "Notifying": dbus.Boolean(False),
        }
        methods = [
            ("ReadValue", "a{sv}", "ay", read),
            ("WriteValue", "aya{sv}", "", write),
            ("StartNotify", "", "", lambda char: notifies(char, True)),
            ("StopNotify", "", "", lambda char: notifies(char, False)),
        ]
        add(service + "/" + name, CHARACTERISTIC, properties, methods)


def add(path, interface, properties, methods):
    root = mockobject.objects["/"]
    root.AddObject(path, interface, properties, methods)
    arguments = [dbus.ObjectPath(path), {interface: mockobject.objects[path].props[interface]}]
    root.EmitSignal(OBJECT_MANAGER_IFACE, "InterfacesAdded", "oa{sa{sv}}", arguments)


def connect(device):
    device.connected = True
    device.UpdateProperties(DEVICE, {"Connected": dbus.Boolean(True)})
    device.UpdateProperties(DEVICE, {"ServicesResolved": dbus.Boolean(True)})


def disconnect(device):
    device.connected = False
    ended = {"ServicesResolved": dbus.Boolean(False), "Connected": dbus.Boolean(False)}
    device.UpdateProperties(DEVICE, ended)


def notifies(char, does):
    char.UpdateProperties(CHARACTERISTIC, {"Notifying": dbus.Boolean(does)})


def device_of(char):
    return mockobject.objects[char.path.rsplit("/", 2)[0]]


def read(char, _options):
    if not device_of(char).connected:
        raise dbus.exceptions.DBusException("Not connected", name="org.bluez.Error.Failed")
    # As BlueZ does, what was read is told.
    value = char.props[CHARACTERISTIC]["Value"]
    char.UpdateProperties(CHARACTERISTIC, {"Value": value})
    return value


def write(char, value, options):
    wanted = "request" if "write" in char.props[CHARACTERISTIC]["Flags"] else "command"
    if options.get("type", wanted) != wanted:
        raise dbus.exceptions.DBusException("Operation is not supported", name="org.bluez.Error.NotSupported")
    if wanted == "request" and list(value) not in ([0], [1]):
        raise dbus.exceptions.DBusException("Write not permitted", name="org.bluez.Error.NotPermitted")
    char.props[CHARACTERISTIC]["Value"] = dbus.Array(value, signature="y")
