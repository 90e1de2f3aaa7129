"""Does what a Controller does with the demo, over WebSocket, and ends with exit code 1 at the first thing that is wrong.

usage: controller.py HOST:PORT MODBUS_HOST:PORT
"""

import socket
import struct
import sys

from usp import Controller

SENSORS = "Device.ProxiedDevice.*.IoTCapability.*.LevelSensor."
SWITCHES = "Device.ProxiedDevice.*.IoTCapability.*.BinaryControl.Value"
THERMOSTAT = "Device.X_USPBROKER-DEMO_Thermostat."


def check(what, good, seen):
    if not good:
        sys.exit(f"{what}: {seen}")
    print(f"ok {what}", flush=True)


def relay(address, unit):
    """Coil 3 and discrete input 515 of the simulated meter itself."""
    host, port = address.rsplit(":", 1)
    bits = []
    with socket.create_connection((host, int(port)), 30) as device:
        for function, bit in ((1, 3), (2, 515)):
            device.sendall(struct.pack(">HHHBBHH", 7, 0, 6, unit, function, bit, 1))
            answer = b""
            while len(answer) < 10:
                answer += device.recv(10 - len(answer))
            bits.append(bool(answer[9] & 1))
    return bits


def supported(usp, path):
    """Supported objects by their path."""
    answer = usp.ask("get_supported_dm", {
        "obj_paths": [path], "return_commands": True, "return_events": True, "return_params": True,
        "return_unique_key_sets": True,
    })
    return {o["supported_obj_path"]: o for result in answer["req_obj_results"] for o in result["supported_objs"]}


def main(agent, modbus):
    host, port = agent.rsplit(":", 1)
    usp = Controller(host, int(port), "/usp", "self::python%21")

    versions = usp.ask("get_supported_protocol", {"controller_supported_protocol_versions": "1.3,1.4"})
    check("protocol", "1.4" in versions["agent_supported_protocol_versions"].split(","), versions)

    values, errors = usp.get(SENSORS)
    voltages = [float(value) for path, value in values.items() if path.endswith(".LevelSensor.Value")]
    check("sensors", len(voltages) >= 20 and not errors, (values, errors))
    units = [value for path, value in values.items() if path.endswith(".LevelSensor.Unit")]
    check("units", {"V", "A", "W", "kWh", "Hz", "degC"} <= set(units), units)

    values, errors = usp.get("Device.")
    owners = ["Device.LocalAgent.EndpointID", THERMOSTAT + "Setpoint", "Device.ProxiedDevice.1.Online"]
    check("all owners", all(path in values for path in owners) and not errors, (sorted(values), errors))
    check("own Endpoint ID", values[owners[0]] == usp.agent, values[owners[0]])

    _, errors = usp.get("Device.NoSuch.Thing", "Device.LocalAgent.EndpointID")
    check("unknown path", [code for code, _ in errors.get("Device.NoSuch.Thing", [])] == [7026], errors)
    check("the error names it", "Device.NoSuch." in errors["Device.NoSuch.Thing"][0][1], errors)

    objects = supported(usp, "Device.")
    check("supported of the broker", "Device.LocalAgent.Subscription.{i}." in objects, sorted(objects))
    check("supported of the Service", THERMOSTAT + "Zone.{i}." in objects, sorted(objects))
    keys = [k["key_names"] for k in objects[THERMOSTAT + "Zone.{i}."]["unique_key_sets"]]
    check("unique keys", keys == [["Alias"], ["Name"]], keys)
    rows = objects["Device.ProxiedDevice.{i}."]["divergent_paths"]
    # Devices of several models: each row has to be asked for what it supports.
    check("rows differ", "Device.ProxiedDevice.1." in rows and len(rows) > 2, rows)
    objects = supported(usp, "Device.ProxiedDevice.1.")
    control = objects["Device.ProxiedDevice.1.IoTCapability.{i}.BinaryControl."]
    check("supported command", [c["command_name"] for c in control["supported_commands"]] == ["Toggle()"], control)
    value = [p for p in control["supported_params"] if p["param_name"] == "Value"]
    check("supported parameter", value and value[0]["access"] == 1 and value[0]["value_type"] == 2, control)

    values, _ = usp.get(SWITCHES)
    switch = sorted(path for path in values if path.startswith("Device.ProxiedDevice.1."))[0]
    parent = switch.removesuffix("Value")
    before = values[switch] == "true"
    check("the device agrees", relay(modbus, 1) == [before, before], relay(modbus, 1))

    added = usp.ask("add", {"create_objs": [{"obj_path": "Device.LocalAgent.Subscription.", "param_settings": [
        {"param": "ID", "value": "python", "required": True},
        {"param": "NotifType", "value": "ValueChange", "required": True},
        {"param": "ReferenceList", "value": "Device.ProxiedDevice.", "required": True},
        {"param": "NotifRetry", "value": "true", "required": True},
        {"param": "Enable", "value": "true", "required": True},
    ]}]})
    row = added["created_obj_results"][0]["oper_status"].get("oper_success", {}).get("instantiated_path", "")
    check("subscription", row.startswith("Device.LocalAgent.Subscription."), added)

    def switched(on):
        text = "true" if on else "false"
        return lambda n: n["subscription_id"] == "python" and n.get("value_change") == {
            "param_path": switch, "param_value": text}

    answer = usp.ask("set", {"update_objs": [{"obj_path": parent, "param_settings": [
        {"param": "Value", "value": "false" if before else "true", "required": True}]}]})
    result = answer["updated_obj_results"][0]["oper_status"].get("oper_success", {})
    check("set", result and result["updated_inst_results"][0]["updated_params"].get("Value") in ("true", "false"), answer)
    check("set switched the relay", relay(modbus, 1) == [not before, not before], relay(modbus, 1))
    check("set was notified", usp.notified(switched(not before)), None)

    answer = usp.ask("operate", {"command": parent + "Toggle()", "command_key": "k", "send_resp": True})
    check("operate", "cmd_failure" not in answer["operation_results"][0], answer)
    check("operate was notified", usp.notified(switched(before)), None)
    check("operate switched the relay", relay(modbus, 1) == [before, before], relay(modbus, 1))

    for what, path, param, value, code in (
        ("wrong type", parent, "Value", "maybe", 7011),
        ("read-only", "Device.LocalAgent.", "EndpointID", "self::x", 7013),
        ("out of range", THERMOSTAT, "Setpoint", "99", 7012),
    ):
        answer = usp.ask("set", {"update_objs": [{"obj_path": path, "param_settings": [
            {"param": param, "value": value, "required": True}]}]})
        codes = [e["err_code"] for e in answer.get("param_errs", [])]
        check(what, codes == [code] and param in answer["param_errs"][0]["param_path"], answer)

    answer = usp.ask("set", {"update_objs": [{"obj_path": THERMOSTAT, "param_settings": [
        {"param": "Setpoint", "value": "22.5", "required": True}]}]})
    check("set of the Service", "oper_success" in answer["updated_obj_results"][0]["oper_status"], answer)
    values, _ = usp.get(THERMOSTAT + "Setpoint")
    check("the Service has it", values == {THERMOSTAT + "Setpoint": "22.5"}, values)

    answer = usp.ask("delete", {"obj_paths": [row]})
    check("delete", answer["deleted_obj_results"][0]["oper_status"].get("oper_success", {}).get("affected_paths") == [row],
          answer)
    usp.web.close()


main(*sys.argv[1:])
