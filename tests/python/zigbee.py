"""Two implementations of Zigbee hosts that we did not write, zigpy's bellows (EZSP) and zigpy-znp (ZNP), at a simulated
coordinator: they form a network, let devices join, interview, bind, read, write, control and hear reports.

usage: zigbee.py RADIO ADDRESS      RADIO is ezsp or znp; ADDRESS a device file, or socket://HOST:PORT.

What the simulator is told to do meanwhile goes to standard output as lines `> COMMAND`; each is answered by a line on
standard input. At the end there is one line of JSON with everything that was seen.
"""

import asyncio
import json
import logging
import os
import sys

import zigpy.config
import zigpy.types as t
from zigpy.zcl import foundation
from zigpy.zcl.clusters import general

KEY = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xF0, 0x0F]
PATIENCE = 90


def application(radio):
    if radio == "ezsp":
        from bellows.zigbee.application import ControllerApplication
    else:
        from zigpy_znp.zigbee.application import ControllerApplication
    return ControllerApplication


async def tell(command):
    """Has the simulator do something."""
    print("> " + command, flush=True)
    answer = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if answer.strip() != "ok":
        raise RuntimeError(f"{command}: {answer!r}")


async def until(what, holds):
    """Waits for something that is to become so."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)
    logging.info("%s", what)


class Seen:
    """What devices said by themselves."""

    def __init__(self):
        self.joined = []
        self.left = []
        self.commands = []

    def device_joined(self, device):
        self.joined.append(str(device.ieee))

    def device_left(self, device):
        self.left.append(str(device.ieee))

    def cluster_command(self, tsn, command_id, args):
        self.commands.append([int(command_id), [int(a) for a in args if isinstance(a, int)]])

    def general_command(self, hdr, args):
        pass

    def attribute_updated(self, *args):
        pass


async def configured(cluster, **changes):
    """Binds a cluster, and has it report."""
    (status, *_) = await cluster.bind()
    assert status == 0, f"bind: {status}"
    for name, change in changes.items():
        statuses = await cluster.configure_reporting(name, 0, 300, change)
        assert set(statuses.values()) == {foundation.Status.SUCCESS}, f"{name}: {statuses}"


async def read(cluster, *names):
    found, failed = await cluster.read_attributes(list(names))
    return {**{str(k): v for k, v in found.items()}, **{f"{k}!": int(v) for k, v in failed.items()}}


def plain(value):
    if isinstance(value, bool):
        return value
    if isinstance(value, t.Bool):
        return bool(value)
    return int(value) if isinstance(value, int) else str(value)


async def main(radio, address):
    config = {
        zigpy.config.CONF_DEVICE: {zigpy.config.CONF_DEVICE_PATH: address},
        zigpy.config.CONF_DATABASE: None,
        zigpy.config.CONF_NWK_BACKUP_ENABLED: False,
        zigpy.config.CONF_NWK: {
            zigpy.config.CONF_NWK_CHANNEL: 20,
            zigpy.config.CONF_NWK_PAN_ID: 0x1A62,
            zigpy.config.CONF_NWK_EXTENDED_PAN_ID: "dd:dd:dd:dd:00:00:00:01",
            zigpy.config.CONF_NWK_KEY: KEY,
        },
        zigpy.config.CONF_OTA: {zigpy.config.CONF_OTA_ENABLED: False},
    }
    make = application(radio)
    seen, said = Seen(), {}
    # Who has formed a network starts again with it, as Home Assistant does.
    first = await make.new(config, auto_form=True)
    await first.shutdown()
    app = await make.new(config, auto_form=False)
    app.add_listener(seen)
    network = app.state.network_info
    said["network"] = [int(network.pan_id), str(network.extended_pan_id), int(network.channel)]
    said["key_kept"] = list(network.network_key.key) == KEY
    said["version"] = str(app.state.node_info.version)

    await app.permit(60)
    await until("all joined", lambda: len(app.devices) >= 8)
    devices = {}
    for device in list(app.devices.values()):
        if device.nwk == 0:
            continue
        await until(f"{device.ieee} interviewed", lambda d=device: d.is_initialized and d.model)
        devices[device.model] = device
    said["models"] = sorted(devices)

    plug = devices["SIM-PLUG"].endpoints[1]
    await configured(plug.on_off, on_off=1)
    await configured(plug.electrical_measurement, active_power=1)
    said["plug"] = {k: plain(v) for k, v in (await read(plug.on_off, "on_off", "start_up_on_off")).items()}
    said["basic"] = {k: str(v) for k, v in (await read(plug.basic, "manufacturer", "model")).items()}
    said["unsupported"] = {k: plain(v) for k, v in (await read(plug.on_off, "on_off", "global_scene_control")).items()}
    said["metering"] = sorted(await read(plug.smartenergy_metering, "current_summ_delivered", "divisor", "multiplier"))
    result = await plug.on_off.off()
    said["off"] = int(result[1])
    await until("off was reported", lambda: not plug.on_off.get("on_off"))
    said["off_read"] = {k: plain(v) for k, v in (await read(plug.on_off, "on_off")).items()}
    written = await plug.on_off.write_attributes({"start_up_on_off": 1})
    said["written"] = int(written[0][0].status)
    refused = await plug.basic.write_attributes({"zcl_version": 1})
    said["read_only"] = int(refused[0][0].status)
    await tell("set plug.power 1234.5")
    await until("power was reported", lambda: plug.electrical_measurement.get("active_power") == 12345)

    light = devices["SIM-LIGHT"].endpoints[1]
    await configured(light.level, current_level=1)
    await light.level.move_to_level_with_on_off(100, 3)
    await until("level was reported", lambda: light.level.get("current_level") == 100)
    await light.light_color.move_to_color_temp(250, 0)
    said["light"] = {k: plain(v) for k, v in (await read(light.light_color, "color_temperature", "color_mode")).items()}

    climate = devices["SIM-CLIMATE"].endpoints[1]
    await configured(climate.temperature, measured_value=10)
    await tell("set climate.temperature -3.25")
    await until("temperature was reported", lambda: climate.temperature.get("measured_value") == -325)
    said["climate"] = {k: plain(v) for k, v in (await read(climate.power, "battery_percentage_remaining")).items()}

    contact = devices["SIM-CONTACT"].endpoints[1]
    contact.ias_zone.add_listener(seen)
    await contact.ias_zone.write_attributes({"cie_addr": app.state.node_info.ieee})
    await until("enrolment was asked for", lambda: [1, [0x15, 0x1234]] in seen.commands)
    await contact.ias_zone.enroll_response(0, 7)
    said["zone"] = {k: plain(v) for k, v in (await read(contact.ias_zone, "zone_state", "zone_id")).items()}
    await tell("set contact.open true")
    await until("the alarm was told", lambda: any(one[0] == 0 and one[1][0] == 1 for one in seen.commands))

    lock = devices["SIM-LOCK"].endpoints[1]
    await configured(lock.door_lock, lock_state=1)
    said["unlock"] = int((await lock.door_lock.unlock_door())[0])
    await until("unlocked was reported", lambda: lock.door_lock.get("lock_state") == 2)

    thermostat = devices["SIM-THERMOSTAT"].endpoints[1]
    await thermostat.thermostat.write_attributes({"occupied_heating_setpoint": 2350})
    said["thermostat"] = {
        k: plain(v) for k, v in (await read(thermostat.thermostat, "occupied_heating_setpoint")).items()
    }

    button = devices["SIM-BUTTON"].endpoints[1]
    switch = button.out_clusters[general.OnOff.cluster_id]
    switch.add_listener(seen)
    (status, *_) = await switch.bind()
    assert status == 0
    await tell("do button press")
    await until("the button was pressed", lambda: [2, []] in seen.commands)

    before = devices["SIM-PLUG"].nwk
    await tell("rejoin plug")
    await until("the plug is back", lambda: devices["SIM-PLUG"].nwk != before)
    await plug.on_off.on()
    said["rejoined"] = {k: plain(v) for k, v in (await read(plug.on_off, "on_off")).items()}

    await devices["SIM-LIGHT"].zdo.leave()
    await until("the light has left", lambda: str(light.device.ieee) in seen.left)

    await tell("set plug.on true")
    await tell("fault plug undelivered")
    try:
        await plug.on_off.off()
        said["undelivered"] = "delivered"
    except Exception as error:
        said["undelivered"] = type(error).__name__
    await tell("clear plug")
    await app.shutdown()

    # It starts with what the coordinator remembers.
    again = await make.new(config, auto_form=False)
    said["again"] = [int(again.state.network_info.pan_id), int(again.state.network_info.channel)]
    await again.shutdown()
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    level = logging.DEBUG if os.environ.get("ZIGBEE_DEBUG") else logging.ERROR
    logging.basicConfig(stream=sys.stderr, level=level)
    asyncio.run(main(sys.argv[1], sys.argv[2]))
