//! Each format, and what became of it. The files are written for these tests, after the documentation of the formats.

use super::*;
use crate::check::check_file;
use crate::diagnostic::has_errors;
use crate::site::NotFound;

fn imported(name: &str, text: &str) -> Imported {
    let imported = import(None, &SourceFile::new(name, text)).unwrap_or_else(|error| panic!("{error}"));
    for mapping in &imported.mappings {
        let found = check_file(&SourceFile::new("it.yaml", &mapping.text), &|_| {
            Err(NotFound::Unreadable(String::new()))
        });
        assert!(!has_errors(&found), "{}\n{found:?}", mapping.text);
    }
    imported
}

/// What each capability is, in one line: key and everything but its name.
fn lines(mapping: &ImportedMapping) -> Vec<String> {
    let (_, capabilities) = mapping.text.split_once("capabilities:\n").unwrap();
    let mut lines: Vec<String> = Vec::new();
    for line in capabilities.lines() {
        match line.strip_prefix("    ") {
            Some(rest) if rest.starts_with("name:") => {}
            Some(rest) => lines.last_mut().unwrap().push_str(&format!(" {rest}")),
            None => lines.push(line.trim().to_owned()),
        }
    }
    lines
}

fn has(imported: &Imported, line: usize, what: &str, why: &str) {
    let found = imported
        .left_out
        .iter()
        .any(|left| left.line == line && left.what.contains(what) && left.why.contains(why));
    assert!(found, "{line} {what} {why} is not in {:#?}", imported.left_out);
}

const HOME_ASSISTANT: &str = r#"
homeassistant: {name: Home}
modbus:
  - name: "Cellar hub"
    type: tcp
    host: 192.0.2.7
    port: 1502
    timeout: 3
    message_wait_milliseconds: 20
    sensors:
      - name: Supply air
        slave: 4
        address: 30
        input_type: input
        data_type: int16
        scale: 0.1
        precision: 1
        unit_of_measurement: "°C"
        device_class: temperature
        scan_interval: 30
        nan_value: -32768
      - {name: Load, slave: 4, address: 40, data_type: float32, swap: word, unit_of_measurement: kW}
      - {name: Count, slave: 4, address: 12345, data_type: uint16, virtual_count: 1}
      - {name: Total, slave: 4, address: 56, state_class: total_increasing, unit_of_measurement: deg C}
      - {name: Packed, slave: 4, address: 50, data_type: custom, structure: ">2h", count: 2}
      - {name: Reactive, slave: 4, address: 52, unit_of_measurement: kvar, icon: "mdi:sine-wave"}
    binary_sensors:
      - {name: Filter, slave: 4, address: 7, input_type: discrete_input, device_class: opening}
      - {name: Frost, slave: 9, address: 8, input_type: holding}
    switches:
      - name: Pump
        slave: 9
        address: 100
        write_type: coil
        verify: {delay: 2}
      - {name: Boost, slave: 9, address: 101, command_on: 5, command_off: 2, verify: {address: 102, input_type: input, state_on: [5, 6], state_off: 2}}
    climates:
      - name: Room
        slave: 9
        address: 200
        target_temp_register: 201
        scale: 0.5
        min_temp: 8
        max_temp: 28
        hvac_mode_register: {address: 203, values: {state_off: 0, state_heat: [1, 3]}}
    covers:
      - {name: Shade, slave: 9, input_type: holding, address: 300}
"#;

#[test]
fn home_assistant_becomes_a_device_for_each_unit() {
    let imported = imported("configuration.yaml", HOME_ASSISTANT);
    assert_eq!(imported.format, Format::HomeAssistant);
    let profiles: Vec<&str> = imported.mappings.iter().map(|mapping| mapping.profile.as_str()).collect();
    assert_eq!(profiles, ["imported.cellar-hub-4", "imported.cellar-hub-9"]);
    let [four, nine] = &imported.mappings[..] else { panic!() };
    assert!(four.text.contains("modbus: {guard: 20ms, timeout: 3s}"), "{}", four.text);
    assert_eq!(
        lines(four),
        [
            "supply-air: class: LevelSensor type: Temperature unit: \"degC\" read: {input: 30, as: s16, scale: 0.1, invalid: [-32768]} poll: every-30s",
            "load: class: LevelSensor type: Power unit: \"W\" read: {holding: 40, as: f32, order: CDAB, scale: 1000} poll: every-15s",
            "count: class: LevelSensor type: Meter unit: \"-\" read: {holding: 0x3039, as: u16} poll: every-15s",
            "count-1: class: LevelSensor type: Meter unit: \"-\" read: {holding: 0x303a, as: u16} poll: every-15s",
            "total: class: LevelSensor type: Temperature unit: \"degC\" monotonic: true read: {holding: 56, as: s16} poll: every-15s",
            "reactive: class: LevelSensor type: Meter unit: \"X_IMPORTED_Kvar\" read: {holding: 52, as: s16} poll: every-15s",
            "filter: class: BinarySensor type: DoorOpen read: {discrete: 7} poll: every-15s",
        ]
    );
    assert_eq!(
        lines(nine),
        [
            "frost: class: BinarySensor type: X_IMPORTED_Frost read: {holding: 8, bits: 0} poll: every-15s",
            "pump: class: BinaryControl type: Switch read: {coil: 100} write: {coil: 100} poll: every-15s",
            "boost: class: BinaryControl type: Switch read: {input: 102, map: {2: false, 5: true, 6: true}} write: {holding: 101, map: {2: false, 5: true}} poll: every-15s",
            "room: class: LevelSensor type: Temperature unit: \"degC\" read: {holding: 200, as: s16, scale: 0.5} poll: every-15s",
            "room-target: class: LevelControl type: Temperature unit: \"degC\" min: 8 max: 28 step: 0.5 read: {holding: 201, as: s16, scale: 0.5} write: {holding: 201, as: s16, scale: 0.5} poll: every-15s",
            "room-mode: class: EnumControl type: ThermostatMode read: {holding: 203, map: {0: \"Off\", 1: \"Heat\", 3: \"Heat\"}} write: {holding: 203, map: {0: \"Off\", 1: \"Heat\"}} poll: every-15s",
            "shade: class: EnumControl type: DoorMode read: {holding: 300, map: {1: \"Open\", 0: \"Closed\", 2: \"Opening\", 3: \"Closing\"}} write: {holding: 300, map: {1: \"Open\", 0: \"Closed\"}} poll: every-15s",
        ]
    );
    let site = imported.site.as_deref().unwrap();
    assert!(site.contains("  cellar-hub: {modbus_tcp: \"192.0.2.7:1502\"}\n"), "{site}");
    assert!(
        site.contains("cellar-hub-9: {file: imported.cellar-hub-9.yaml, bus: cellar-hub, unit: 9}"),
        "{site}"
    );
    has(&imported, 2, "homeassistant", "not about Modbus");
    has(&imported, 17, "Supply air: precision", "exact");
    has(&imported, 25, "Packed", "Python");
    has(&imported, 26, "unit kvar", "no such unit");
    has(&imported, 26, "icon", "icons");
    has(&imported, 35, "Pump: verify: delay", "write.verify");
}

/// What is written may mean something else than what is read to see what became of it.
#[test]
fn covers_fans_lights_and_thermostats_of_home_assistant_are_written_as_there() {
    let text = r#"
modbus:
  - name: hub
    type: tcp
    host: 192.0.2.7
    port: 502
    covers:
      - {name: Gate, slave: 2, address: 117, input_type: coil, status_register: 119, status_register_type: holding, state_open: 1, state_opening: 2, state_closed: 0, state_closing: 3}
      - {name: Flap, slave: 2, address: 120, input_type: coil, state_open: 0, state_closed: 1}
    fans:
      - {name: Vent, slave: 2, address: 13, write_type: coil, verify: {input_type: coil, address: 14, state_on: 0, state_off: 1}}
      - {name: Draught, slave: 2, address: 14, write_type: holding, verify: {address: 127, state_on: [25, 26], state_off: 1}}
    lights:
      - {name: Lamp, slave: 2, address: 20, write_type: holding, brightness_address: 21, verify: {state_on: 1, state_off: 0}}
    climates:
      - name: Air
        slave: 2
        address: 200
        target_temp_register: 201
        hvac_action_register: {address: 15, input_type: input, values: {action_cooling: 1, action_heating: 2, action_idle: 0}}
        swing_mode_register: {address: 16, values: {swing_mode_state_on: 0, swing_mode_state_off: 1}}
"#;
    let imported = imported("configuration.yaml", text);
    let all = lines(&imported.mappings[0]);
    let line = |name: &str| {
        let found = all.iter().find(|line| line.starts_with(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("{name}: {all:?} {:?}", imported.left_out)).as_str()
    };
    for (name, holds) in [
        (
            "gate",
            "read: {holding: 119, map: {0: false, 3: false, 1: true, 2: true}} write: {coil: 117, invert: false}",
        ),
        ("flap", "read: {coil: 120, invert: true} write: {coil: 120, invert: true}"),
        ("vent", "read: {coil: 14, invert: true} write: {coil: 13, invert: false}"),
        (
            "draught",
            "read: {holding: 127, map: {1: false, 25: true, 26: true}} write: {holding: 14, map: {0: false, 1: true}}",
        ),
        ("lamp", "read: {holding: 20, map: {0: false, 1: true}} write: {holding: 20}"),
        (
            "air-action",
            "class: EnumSensor type: OperatingState read: {input: 15, map: {1: \"Cooling\", 2: \"Heating\", 0: \"Idle\"}} poll",
        ),
        (
            "air-swing-mode",
            "class: EnumControl type: OperatingMode read: {holding: 16, map: {0: \"On\", 1: \"Off\"}} write",
        ),
    ] {
        assert!(line(name).contains(holds), "{}", line(name));
    }
    has(&imported, 14, "light Lamp: brightness_address", "by hand");
}

const ESPHOME: &str = r#"
substitutions: {upper: Solar, unit_no: "1"}
esphome: {name: charger}
uart: {id: mod_bus, baud_rate: 115200, parity: EVEN, tx_pin: 17}
modbus: {id: modbus1, send_wait_time: 800ms}
modbus_controller:
  - id: ${upper}_Ctrl
    modbus_id: modbus1
    address: 0x1
    update_interval: 5s
    command_throttle: 15ms
sensor:
  - platform: modbus_controller
    modbus_controller_id: Solar_Ctrl
    name: "$upper array voltage"
    register_type: read
    address: 0x3100
    value_type: U_WORD
    unit_of_measurement: "V"
    accuracy_decimals: 1
    filters:
      - multiply: 0.01
      - offset: 1.5
  - {platform: modbus_controller, name: Total, register_type: read, address: 0x3102, value_type: U_DWORD_R, skip_updates: 2, unit_of_measurement: kWh}
  - {platform: modbus_controller, name: State, register_type: holding, address: 3, bitmask: 0x0f00}
  - {platform: modbus_controller, name: Odd, register_type: holding, address: 3, bitmask: 0x0f0f}
  - {platform: modbus_controller, name: Computed, register_type: holding, address: 3, lambda: "return x / 3;"}
  - {platform: dht, name: Air}
binary_sensor:
  - {platform: modbus_controller, name: Charging, register_type: read, address: 0x3200, bitmask: 0x30}
switch:
  - {platform: modbus_controller, name: Load output, register_type: coil, address: 2, use_write_multiple: true}
  - {platform: modbus_controller, name: Force, register_type: holding, address: 9}
number:
  - {platform: modbus_controller, name: Equalize, address: 0x9006, multiply: 100, min_value: 12, max_value: 15, step: 0.1, unit_of_measurement: V}
select:
  - platform: modbus_controller
    name: Battery type
    address: 0x9000
    optionsmap: {"User": 0, "Sealed": 1, "Gel": 2}
"#;

#[test]
fn esphome_becomes_a_device_for_each_controller() {
    let imported = imported("charger.yaml", ESPHOME);
    assert_eq!(imported.format, Format::EspHome);
    let [mapping] = &imported.mappings[..] else { panic!() };
    assert_eq!(mapping.profile, "imported.solar-ctrl");
    assert_eq!(
        lines(mapping),
        [
            "solar-array-voltage: class: LevelSensor type: Meter unit: \"V\" read: {input: 0x3100, as: u16, scale: 0.01, offset: 1.5} poll: every-5s",
            "total: class: LevelSensor type: Energy unit: \"kWh\" read: {input: 0x3102, as: u32, order: CDAB} poll: every-15s",
            "state: class: LevelSensor type: Meter unit: \"-\" read: {holding: 3, as: u16, bits: 8..11} poll: every-5s",
            "charging: class: BinarySensor type: X_IMPORTED_Charging read: {input: 0x3200, as: u16, bits: 4..5, map: {0: false, default: true}} poll: every-5s",
            "load-output: class: BinaryControl type: Switch read: {coil: 2} write: {coil: 2, fc: 15} poll: every-5s",
            "force: class: BinaryControl type: Switch read: {holding: 9, as: u16, bits: 0} write: {holding: 9, as: u16, bits: 0, rmw: false} poll: every-5s",
            "equalize: class: LevelControl type: Meter unit: \"V\" min: 12 max: 15 step: 0.1 read: {holding: 0x9006, as: u16, scale: 0.01} write: {holding: 0x9006, as: u16, scale: 0.01} poll: every-5s",
            "battery-type: class: EnumControl type: OperatingMode read: {holding: 0x9000, as: u16, map: {0: \"User\", 1: \"Sealed\", 2: \"Gel\"}} write: {holding: 0x9000, as: u16, map: {0: \"User\", 1: \"Sealed\", 2: \"Gel\"}} poll: every-5s",
        ]
    );
    assert!(mapping.text.contains("modbus: {guard: 15ms, timeout: 800ms}"), "{}", mapping.text);
    has(&imported, 26, "Odd", "0xf0f");
    has(&imported, 27, "Computed", "lambda");
    has(&imported, 28, "Air", "dht");
    has(&imported, 4, "uart", "port");
    has(&imported, 3, "esphome", "node itself");
    assert!(imported.site.unwrap().contains("baud: 115200, parity: even"));
}

const EDGEX: &str = r#"
apiVersion: "v3"
name: "Cooling-Unit"
manufacturer: "Acme Cooling"
model: "CU-7"
description: "A cooling unit"
labels: [cooling]
deviceResources:
  - name: "RoomTemperature"
    description: "Temperature of the room"
    attributes: {primaryTable: "INPUT_REGISTERS", startingAddress: 4, rawType: "INT16"}
    properties: {valueType: "Float32", readWrite: "R", scale: "0.1", offset: 0, units: "°C"}
  - name: "Total"
    attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: "10", isWordSwap: true}
    properties: {valueType: Uint32, readWrite: R, units: KWh, assertion: "0"}
  - name: "SetPoint"
    attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 12}
    properties: {valueType: Int16, readWrite: RW, minimum: 10, maximum: 30, scale: 0.5, units: C, defaultValue: "20"}
  - name: "Level"
    attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 13}
    properties: {valueType: Float32, readWrite: RW}
  - name: "Mode"
    attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 15}
    properties: {valueType: Uint16, readWrite: R, mask: 0x70, shift: 4}
  - name: "Speed"
    isHidden: true
    attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 16}
    properties: {valueType: Uint16, readWrite: RW, minimum: 0, maximum: 1, units: degrees Celsius}
  - name: "Compressor"
    attributes: {primaryTable: COILS, startingAddress: 2}
    properties: {valueType: Bool, readWrite: RW}
  - name: "Serial"
    attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 20, stringRegisterSize: 8}
    properties: {valueType: String, readWrite: RW}
deviceCommands:
  - {name: All, readWrite: R, resourceOperations: [{deviceResource: Total}, {deviceResource: Speed, mappings: {"0": "Off", "1": "Low"}}]}
"#;

#[test]
fn what_needs_no_import_or_another_one_is_told() {
    let refused = |format, text: &str| import(format, &SourceFile::new("x", text)).unwrap_err().to_string();
    assert!(refused(None, "uspmap: 1\nprofile: a.b\n").contains("a mapping of usp-broker already"));
    assert!(refused(None, "site: 1\nbuses: {}\ndevices: {}\n").contains("a site file of usp-broker already"));
    let wrong = refused(Some(Format::WirenBoard), EDGEX);
    assert!(
        wrong.ends_with("it looks like EdgeX device profile: write `--from edgex`, or leave it away"),
        "{wrong}"
    );
}

#[test]
fn an_edgex_profile_becomes_a_mapping() {
    let imported = imported("profile.yaml", EDGEX);
    let [mapping] = &imported.mappings[..] else { panic!() };
    assert_eq!((imported.format, mapping.profile.as_str()), (Format::EdgeX, "acme-cooling.cu-7"));
    assert_eq!(
        lines(mapping),
        [
            "roomtemperature: class: LevelSensor type: Temperature unit: \"degC\" description: \"Temperature of the room\" read: {input: 4, as: s16, scale: 0.1} poll: every-10s",
            "total: class: LevelSensor type: Energy unit: \"kWh\" read: {holding: 10, as: u32, order: CDAB} poll: every-10s",
            "setpoint: class: LevelControl type: Temperature unit: \"degC\" min: 10 max: 30 read: {holding: 12, as: s16, scale: 0.5} write: {holding: 12, as: s16, scale: 0.5} poll: every-10s",
            "level: class: LevelSensor type: Meter unit: \"-\" read: {holding: 13, as: f32} poll: every-10s",
            "mode: class: LevelSensor type: Meter unit: \"-\" read: {holding: 15, as: u16, bits: 4..6} poll: every-10s",
            "speed: class: EnumControl type: OperatingMode read: {holding: 16, as: u16, map: {0: \"Off\", 1: \"Low\"}} write: {holding: 16, as: u16, map: {0: \"Off\", 1: \"Low\"}} poll: every-10s",
            "compressor: class: BinaryControl type: Switch read: {coil: 2} write: {coil: 2} poll: every-10s",
            "serial: class: BlobSensor type: text read: {holding: 20, as: string, registers: 8} poll: every-10s",
        ]
    );
    has(&imported, 19, "Level: writing", "least and greatest");
    has(&imported, 16, "SetPoint: unit C", "degrees Celsius");
    has(&imported, 26, "isHidden", "like all others");
    has(&imported, 32, "Serial: writing", "only read");
    has(&imported, 35, "deviceCommands", "read together");
    has(&imported, 15, "assertion", "health");
}

const WIREN_BOARD: &str = r#"{
    // a sensor of air
    "device_type": "WB-AIR",
    "group": "g-wb",
    "device": {
        "name": "WB-AIR", "id": "wb-air",
        "response_timeout_ms": 100,
        "guard_interval_us": 5000,
        "max_reg_hole": 10,
        /* written
           at the start */
        "setup": [{"title": "Baud", "address": 110, "value": 96}],
        "parameters": {"mode": {"title": "Mode", "address": 9, "enum": [0, 1]}},
        "channels": [
            {"name": "Temperature", "reg_type": "input", "address": 4, "type": "temperature", "format": "s16",
             "scale": 0.01, "error_value": "0x7FFF", "sporadic": true},
            {"name": "Pressure", "reg_type": "input", "address": "0x10", "type": "atmospheric_pressure", "format": "u32", "word_order": "little_endian"},
            {"name": "K1", "reg_type": "coil", "address": 0, "type": "switch"},
            {"name": "Input 1", "reg_type": "discrete", "address": 0, "type": "switch"},
            {"name": "Brightness", "reg_type": "holding", "address": "0x20", "type": "range", "max": 100, "units": "%"},
            {"name": "Fan", "reg_type": "holding", "address": 40, "type": "value", "enum": [0, 2], "enum_titles": ["Still", "Turning"], "readonly": true},
            {"name": "Speed", "reg_type": "holding", "address": "50:4:3", "type": "value", "readonly": true, "condition": "mode==1"},
            {"name": "Colour", "reg_type": "holding", "type": "rgb", "consists_of": [{"address": 1}]},
            {"name": "Counter", "reg_type": "input", "address": 60, "type": "value", "format": "bcd32", "units": "kWh"},
            {"name": "Buzz", "reg_type": "coil", "address": 7, "type": "pushbutton"},
        ]
    }
}
"#;

#[test]
fn a_wiren_board_template_becomes_a_mapping() {
    let imported = imported("config-wb-air.json", WIREN_BOARD);
    has(&imported, 7, "response_timeout_ms", "ends with the first byte");
    let [mapping] = &imported.mappings[..] else { panic!() };
    assert_eq!((imported.format, mapping.profile.as_str()), (Format::WirenBoard, "wirenboard.wb-air"));
    assert!(mapping.text.contains("modbus: {max_gap: 10, guard: 5ms}"), "{}", mapping.text);
    assert_eq!(
        lines(mapping),
        [
            "temperature: class: LevelSensor type: Temperature unit: \"degC\" read: {input: 4, as: s16, scale: 0.01, invalid: [32767]} poll: every-10s",
            "pressure: class: LevelSensor type: Pressure unit: \"Pa\" read: {input: 16, as: u32, order: CDAB, scale: 100} poll: every-10s",
            "k1: class: BinaryControl type: Switch read: {coil: 0} write: {coil: 0} poll: every-10s",
            "input-1: class: BinarySensor type: X_WIRENBOARD_Input1 read: {discrete: 0} poll: every-10s",
            "brightness: class: LevelControl type: Position unit: \"%\" min: 0 max: 100 read: {holding: 32, as: u16} write: {holding: 32, as: u16} poll: every-10s",
            "fan: class: EnumSensor type: X_WIRENBOARD_Fan read: {holding: 40, as: u16, map: {0: \"Still\", 2: \"Turning\"}} poll: every-10s",
            "speed: class: LevelSensor when: {mode: [\"1\"]} type: Meter unit: \"-\" read: {holding: 50, as: u16, bits: 4..6} poll: every-10s",
            "counter: class: LevelSensor type: Energy unit: \"kWh\" read: {input: 60, as: bcd, registers: 2} poll: every-10s",
            "buzz: class: BinaryControl type: Switch write: {coil: 7}",
        ]
    );
    has(&imported, 12, "setup: Baud", "at the start");
    has(&imported, 13, "parameters: mode", "installer");
    has(&imported, 23, "Colour", "several registers");
    has(&imported, 16, "sporadic", "polled");
}

const CONDITIONS: &str = r#"{
    "device_type": "AC",
    "device": {
        "name": "AC", "id": "ac",
        "parameters": {
            "Show_modes": {"title": "Modes", "address": 9, "enum": [0, 1], "default": 1},
            "Units": {"title": "Units", "address": 10, "min": 1, "max": 3}
        },
        "channels": [
            {"name": "Mode", "reg_type": "holding", "address": 1, "type": "value", "enum": [1, 2], "enum_titles": ["Heat", "Cool"], "condition": "Show_modes==1"},
            {"name": "Second", "reg_type": "input", "address": 2, "type": "temperature", "format": "s8", "condition": "(Units>=2)&&(Show_modes!=0)"},
            {"name": "Either", "reg_type": "input", "address": 3, "type": "value", "condition": "Units==1||Show_modes==1"},
            {"name": "Fan", "reg_type": "holding", "address": 4, "type": "range", "max": 9, "format": "u8"},
            {"name": "Filter", "reg_type": "holding", "address": 5, "type": "value"},
            {"name": "Model", "reg_type": "input", "address": 200, "type": "text", "format": "string8", "string_data_size": 6},
            {"name": "Serial", "reg_type": "input", "address": 210, "type": "text", "format": "string", "string_data_size": 6}
        ]
    }
}"#;

#[test]
fn conditions_of_a_wiren_board_template_are_parameters() {
    let imported = imported("config-ac.json", CONDITIONS);
    let text = &imported.mappings[0].text;
    let params = "params:\n  show-modes: {enum: [\"0\", \"1\"], default: \"1\"}\n  units: {enum: [\"1\", \"2\", \"3\"], default: \"1\"}\n";
    assert!(text.contains(params), "{text}");
    assert_eq!(
        lines(&imported.mappings[0]),
        [
            "mode: class: EnumControl when: {show-modes: [\"1\"]} type: OperatingMode read: {holding: 1, as: u16, map: {1: \"Heat\", 2: \"Cool\"}} write: {holding: 1, as: u16, map: {1: \"Heat\", 2: \"Cool\"}} poll: every-10s",
            "second: class: LevelSensor when: {show-modes: [\"1\"], units: [\"2\", \"3\"]} type: Temperature unit: \"degC\" read: {input: 2, as: s8} poll: every-10s",
            "either: class: LevelSensor type: Meter unit: \"-\" read: {input: 3, as: u16} poll: every-10s",
            "fan: class: LevelControl type: Meter unit: \"-\" min: 0 max: 9 read: {holding: 4, as: u8} write: {holding: 4, as: u8, rmw: false} poll: every-10s",
            "filter: class: LevelSensor type: Meter unit: \"-\" read: {holding: 5, as: u16} poll: every-10s",
            "model: class: BlobSensor type: text read: {input: 200, as: string, registers: 6} poll: every-10s",
        ]
    );
    has(&imported, 12, "Either: condition", "Units==1||Show_modes==1");
    has(&imported, 14, "Filter: writing", "least and greatest");
    has(&imported, 16, "Serial", "one character");
}

#[test]
fn a_key_that_many_have_is_told_once() {
    let channel = |at: usize| {
        format!("{{\"name\": \"C{at}\", \"reg_type\": \"input\", \"address\": {at}, \"group\": \"g\"}}")
    };
    let channels: Vec<String> = (0..9).map(channel).collect();
    let text =
        format!("{{\"device_type\": \"x\", \"device\": {{\"channels\": [\n{}]}}}}", channels.join(",\n"));
    let imported = imported("x.json", &text);
    let told: Vec<&str> = imported.left_out.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(told, ["channel C0: group, and 8 more like it"]);
}

/// A Boolean of EdgeX is one bit of a register, and 10.1 without quotes is its bit 10.
#[test]
fn an_edgex_profile_names_bits() {
    let text = "name: x\ndeviceResources:\n\
        - {name: A, attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 10.1}, properties: {valueType: Bool, readWrite: R}}\n\
        - {name: B, attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: \"10.1\"}, properties: {valueType: Bool, readWrite: RW}}\n\
        - {name: C, attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 11}, properties: {valueType: Bool, readWrite: RW}}\n\
        - {name: D, attributes: {primaryTable: INPUT_REGISTERS, startingAddress: 12, isByteSwap: true}, properties: {valueType: Int16, readWrite: R}}\n\
        - {name: Charge, attributes: {primaryTable: INPUT_REGISTERS, startingAddress: 13}, properties: {valueType: Int16, readWrite: R, units: C}}\n\
        - {name: E, attributes: {primaryTable: INPUT_REGISTERS, startingAddress: 14}, properties: {valueType: Int8, readWrite: R}}\n";
    let imported = imported("x.yaml", text);
    assert_eq!(
        lines(&imported.mappings[0]),
        [
            "a: class: BinarySensor type: X_IMPORTED_A read: {holding: 10, as: u16, bits: 10} poll: every-10s",
            "b: class: BinarySensor type: X_IMPORTED_B read: {holding: 10, as: u16, bits: 1} poll: every-10s",
            "c: class: BinaryControl type: Switch read: {holding: 11, as: u16, bits: 0} write: {holding: 11, as: u16, bits: 0, rmw: false} poll: every-10s",
            "d: class: LevelSensor type: Meter unit: \"-\" read: {input: 12, as: s16} poll: every-10s",
            "charge: class: LevelSensor type: Meter unit: \"C\" read: {input: 13, as: s16} poll: every-10s",
        ]
    );
    has(&imported, 4, "B: writing", "writes the whole register");
    has(&imported, 8, "resource E", "int8");
}

/// A key like this would be a Boolean to some readers of YAML.
#[test]
fn what_is_called_off_keeps_its_name() {
    let text = r#"
- type: tcp
  host: h
  name: "No"
  switches:
    - {name: "Off", slave: 1, address: 11, write_type: holding}
    - {name: "Yes", slave: 1, address: 12, write_type: holding}
    - {name: "Y", slave: 1, address: 13, write_type: holding}
"#;
    let imported = imported("x", text);
    let keys: Vec<_> =
        lines(&imported.mappings[0]).iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(keys, ["point-off", "point-yes", "point-y"], "{:#?}", imported.left_out);
    assert!(imported.mappings[0].text.contains("name: \"Off\""), "{}", imported.mappings[0].text);
}

#[test]
fn structures_and_sentinels_of_home_assistant_keep_their_meaning() {
    let text = r#"
- type: tcp
  host: h
  sensors:
    - {name: A, slave: 1, address: 1, data_type: custom, structure: ">f", count: 2}
    - {name: B, slave: 1, address: 3, data_type: custom, structure: "<i"}
    - {name: C, slave: 1, address: 5, data_type: custom, structure: "<i", swap: word}
    - {name: D, slave: 1, address: 7, data_type: int16, nan_value: 0x8000}
    - {name: E, slave: 1, address: 8, data_type: int16, nan_value: 7}
    - {name: F, slave: 1, address: 9, data_type: float32, nan_value: 7}
    - {name: N, slave: 1, address: 15, data_type: float32, nan_value: 0x7fc00000}
  switches:
    - {name: G, slave: 1, address: 11, write_type: holding, verify: }
  climates:
    - {name: H, slave: 1, address: 12, target_temp_register: [13, 14], scale: 0.1, target_temp_scale: 0.5}
"#;
    let imported = imported("x", text);
    assert_eq!(
        lines(&imported.mappings[0]),
        [
            "a: class: LevelSensor type: Meter unit: \"-\" read: {holding: 1, as: f32} poll: every-15s",
            "b: class: LevelSensor type: Meter unit: \"-\" read: {holding: 3, as: s32, order: DCBA} poll: every-15s",
            "d: class: LevelSensor type: Meter unit: \"-\" read: {holding: 7, as: s16, invalid: [-32768]} poll: every-15s",
            "e: class: LevelSensor type: Meter unit: \"-\" read: {holding: 8, as: s16, invalid: [7, -7]} poll: every-15s",
            "f: class: LevelSensor type: Meter unit: \"-\" read: {holding: 9, as: f32, invalid: [7, -7]} poll: every-15s",
            "point-n: class: LevelSensor type: Meter unit: \"-\" read: {holding: 15, as: f32} poll: every-15s",
            "g: class: BinaryControl type: Switch read: {holding: 11, map: {0: false, 1: true}} write: {holding: 11} poll: every-15s",
            "h: class: LevelSensor type: Temperature unit: \"degC\" read: {holding: 12, as: s16, scale: 0.1} poll: every-15s",
            "h-target: class: LevelControl type: Temperature unit: \"degC\" min: 5 max: 35 step: 0.5 read: {holding: 13, as: s16, scale: 0.5} write: {holding: 13, as: s16, scale: 0.5} poll: every-15s",
        ]
    );
    has(&imported, 7, "sensor C", "both turn bytes");
    assert!(!imported.left_out.iter().any(|left| left.what.contains("nan_value")), "{:?}", imported.left_out);
    has(&imported, 15, "target_temp_register", "only the first");
}

#[test]
fn what_cannot_be_read_is_told() {
    let told = |text: &str| import(None, &SourceFile::new("x", text)).unwrap_err().to_string();
    assert!(told("a: 1").contains("none of the known formats"));
    assert!(told("[1, 2").contains("not YAML"));
    assert!(told("modbus: !include modbus.yaml").contains("another file"));
    assert!(told("{\"device_type\": \"x\", \"device\": {\"protocol\": \"milur\"}}").contains("milur"));
    assert!(told("modbus: [{type: tcp, host: h, sensors: []}]").contains("no Modbus register"));
    let jinja = "{\n\"device_type\": \"x\",\n\"device\": {\"channels\": [\n{% for i in range(3) %}\n{\"name\": \"K{{ i }}\"},\n{% endfor %}\n]}}";
    assert!(told(jinja).contains("line 4: this is a Jinja template"));
    let error = import(Some(Format::EdgeX), &SourceFile::new("x", "[]")).unwrap_err();
    assert_eq!(error.to_string(), "line 1: a device profile is a map");
}

#[test]
fn names_that_are_alike_are_told_apart() {
    let text = "- {type: tcp, host: h, sensors: [{name: A b, slave: 1, address: 1}, {name: A-b, slave: 1, address: 2}, {name: A b, slave: 1, address: 3}, {name: \"Größe ${x}\", slave: 1, address: 4}]}";
    let imported = imported("x", text);
    let keys: Vec<String> =
        lines(&imported.mappings[0]).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(keys, ["a-b", "a-b-2", "a-b-2-2", "gr-e-x"]);
}

#[test]
fn a_text_of_home_assistant_needs_its_length() {
    let text = "- {type: tcp, host: h, sensors: [{name: Serial, slave: 1, address: 4, data_type: string, count: 6}, {name: Name, slave: 1, address: 20, data_type: string}]}";
    let imported = imported("x", text);
    let serial =
        "serial: class: BlobSensor type: text read: {holding: 4, as: string, registers: 6} poll: every-15s";
    assert_eq!(lines(&imported.mappings[0]), [serial]);
    has(&imported, 1, "Name", "count of registers");
}

/// A factor that is not read makes every value wrong: it must be told.
#[test]
fn a_value_of_the_wrong_kind_is_listed() {
    let text = "modbus:\n  - name: hub\n    type: tcp\n    host: 192.0.2.7\n    sensors:\n      - name: Flow\n        address: 3\n        scale: !secret factor\n        offset: abc\n        unit_of_measurement: W\n";
    let imported = imported("configuration.yaml", text);
    has(&imported, 8, "scale: !secret factor", "in another file");
    has(&imported, 9, "offset", "cannot be read");
    let hidden = "modbus:\n  - {name: hub, type: tcp, host: !secret inverter, sensors: [{name: A, slave: 1, address: 3}]}\n";
    let imported = import(None, &SourceFile::new("x", hidden)).unwrap();
    assert_eq!(imported.site, None, "the name of a secret is no host");
}
