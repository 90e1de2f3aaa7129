//! Objects of the OMA registry that a home has, and what their resources are in the terms of TR-181.

/// What a resource is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Switch,
    Level,
    Detector,
    Gauge,
}

impl Shape {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Switch => "BinaryControl",
            Self::Level => "LevelControl",
            Self::Detector => "BinarySensor",
            Self::Gauge => "LevelSensor",
        }
    }

    /// Its type in a TLV body, which does not say it itself.
    pub(super) fn tlv(self) -> &'static str {
        match self {
            Self::Switch | Self::Detector => "bool",
            Self::Level => "int",
            Self::Gauge => "float",
        }
    }
}

/// One resource of an object.
pub(super) struct Part {
    pub(super) resource: u16,
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    /// `type` of its capability.
    pub(super) kind: &'static str,
    pub(super) unit: Option<&'static str>,
    pub(super) scale: Option<&'static str>,
    /// Least, greatest, step.
    pub(super) range: Option<(i16, i16, &'static str)>,
    pub(super) writable: bool,
    /// Not every device has it: it must have a link of its own.
    pub(super) optional: bool,
}

const fn gauge(resource: u16, key: &'static str, kind: &'static str, unit: &'static str) -> Part {
    let (shape, unit) = (Shape::Gauge, Some(unit));
    Part { resource, key, shape, kind, unit, scale: None, range: None, writable: false, optional: false }
}

const fn detector(resource: u16, key: &'static str, kind: &'static str) -> Part {
    Part { shape: Shape::Detector, unit: None, ..gauge(resource, key, kind, "-") }
}

const fn switch(resource: u16, key: &'static str) -> Part {
    Part { shape: Shape::Switch, kind: "Switch", unit: None, writable: true, ..gauge(resource, key, "", "-") }
}

const fn level(
    resource: u16,
    key: &'static str,
    kind: &'static str,
    unit: &'static str,
    range: (i16, i16, &'static str),
) -> Part {
    Part { shape: Shape::Level, range: Some(range), writable: true, ..gauge(resource, key, kind, unit) }
}

const fn optional(part: Part) -> Part {
    Part { optional: true, ..part }
}

/// Object, `device.type` of a device that has it, its resources.
pub(super) const OBJECTS: [(u16, &str, &[Part]); 18] = [
    (3301, "Sensor", &[gauge(5700, "illuminance", "Luminance", "lx")]),
    (3302, "Sensor", &[detector(5500, "presence", "MotionDetected")]),
    (3303, "Sensor", &[gauge(5700, "temperature", "Temperature", "degC")]),
    (3304, "Sensor", &[gauge(5700, "humidity", "Humidity", "%")]),
    (3305, "Meter", &[gauge(5800, "power", "Power", "W"), optional(gauge(5805, "energy", "Energy", "Wh"))]),
    (
        3306,
        "PowerStrip",
        &[switch(5850, "actuator"), optional(level(5851, "actuator-level", "Intensity", "%", PERCENT))],
    ),
    (3308, "Thermostat", &[level(5900, "set-point", "Temperature", "degC", (5, 35, "0.5"))]),
    (
        3311,
        "Light",
        &[switch(5850, "light"), optional(level(5851, "brightness", "Brightness", "%", PERCENT))],
    ),
    (3312, "PowerStrip", &[switch(5850, "outlet"), optional(gauge(5805, "outlet-energy", "Energy", "Wh"))]),
    (3315, "Sensor", &[gauge(5700, "pressure", "Pressure", "Pa")]),
    (3316, "Meter", &[gauge(5700, "voltage", "Meter", "V")]),
    (3317, "Meter", &[gauge(5700, "current", "Meter", "A")]),
    (3318, "Meter", &[gauge(5700, "frequency", "Meter", "Hz")]),
    (3325, "Sensor", &[gauge(5700, "concentration", "Concentration", "ppm")]),
    (3328, "Meter", &[gauge(5700, "active-power", "Power", "W")]),
    (3331, "Meter", &[gauge(5805, "total-energy", "Energy", "Wh")]),
    (3342, "Sensor", &[detector(5500, "switch", "X_USPBROKER_SwitchClosed")]),
    (3347, "Sensor", &[detector(5500, "button", "X_USPBROKER_ButtonPressed")]),
];

const PERCENT: (i16, i16, &str) = (0, 100, "1");
