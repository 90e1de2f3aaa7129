//! A smallest example of each class, with its test.

/// Class, capability, test.
pub(super) const CLASSES: [(&str, &str, &str); 8] = [
    (
        "BinaryControl",
        "  # Switched by Controllers, with Toggle(). A coil, or a register of 0 and 1.
  switch: {class: BinaryControl, type: Switch, name: Switch, read: {coil: 0}, write: {verify: 1s}}
",
        "  - {coil: {0: 1}, expect: {switch: true}, write: {switch: false}, sends: {coil: {0: 0}}}\n",
    ),
    (
        "LevelControl",
        "  # A number that Controllers set, with StepUp() and StepDown().
  level: {class: LevelControl, type: Position, unit: \"%\", name: Level, min: 0, max: 100, step: 5, read: {holding: 0, scale: 0.5}, write: {verify: 1s, coalesce: true}}
",
        "  - {holding: {0: 84}, expect: {level: 42}, write: {level: 50}, sends: {holding: {0: 100}}}\n",
    ),
    (
        "EnumControl",
        "  # States that Controllers choose from; their order is that of StepUp().
  mode: {class: EnumControl, type: OperatingMode, name: Mode, read: {holding: 0, map: {0: \"Off\", 1: Low, 2: High}}, write: {verify: 1s}}
",
        "  - {holding: {0: 1}, expect: {mode: Low}, write: {mode: High}, sends: {holding: {0: 2}}}\n",
    ),
    (
        "BinarySensor",
        "  # True while something is so. `hold: 5s` would keep it true for so long at least.
  contact: {class: BinarySensor, type: DoorOpen, name: Door, read: {discrete: 0}}
",
        "  - {discrete: {0: 1}, expect: {contact: true}}\n",
    ),
    (
        "LevelSensor",
        "  # A number with a unit.
  temperature: {class: LevelSensor, type: Temperature, unit: degC, name: Temperature, read: {input: 0, as: s16, scale: 0.1}, deadband: 0.2}
",
        "  - {input: {0: 0xffd3}, expect: {temperature: -4.5}}\n",
    ),
    (
        "MultiLevelSensor",
        "  # Several numbers with one unit that belong together.
  place: {class: MultiLevelSensor, type: Location, unit: deg, name: Place, values: {Latitude: {input: 0, as: f32}, Longitude: {input: 2, as: f32}}}
",
        "  - {input: {0: [0x4252, 0, 0x4158, 0]}, expect: {place: \"52.5,13.5\"}}\n",
    ),
    (
        "EnumSensor",
        "  # Named states; what the map does not have becomes its default.
  state: {class: EnumSensor, type: OperatingState, name: State, read: {input: 0, map: {0: Stopped, 1: Running, default: Unknown}}}
",
        "  - {input: {0: 1}, expect: {state: Running}}\n",
    ),
    (
        "BlobSensor",
        "  # Bytes or a text, such as a serial number; Controllers get it in base64. With `poll: once` it is read but once.
  serial: {class: BlobSensor, type: ascii, name: Serial number, read: {holding: 0, as: string, registers: 4}}
",
        "  - {holding: {0: [0x5553, 0x5031, 0, 0]}, expect: {serial: VVNQMQ==}}\n",
    ),
];
