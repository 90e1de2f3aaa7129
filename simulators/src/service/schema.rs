//! The supported data model of the simulated Service: one of every kind that a Broker has to cope with.

use rust_decimal::Decimal;
use usp_proto::usp::get_supported_dm_resp::ParamValueType;

use super::fault::Fault;

/// A kind of object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// With `{i}` for rows and a dot at the end.
    pub(crate) path: String,
    /// Whether Controllers may add and delete rows.
    pub(crate) editable: bool,
    /// Sets of Parameters that are unique among the rows.
    pub(crate) keys: &'static [&'static [&'static str]],
    pub(crate) params: &'static [Param],
    pub(crate) commands: &'static [Command],
    pub(crate) events: &'static [Event],
}

/// A Parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
    pub(crate) default: &'static str,
}

/// What Controllers may do with a Parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// Read-only, and changes are not notified.
    Quiet,
    Write,
    /// When the row is made, and never again.
    Once,
    /// Reads as empty.
    Secret,
}

/// Types, with their bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Boolean,
    Int(i64, i64),
    Unsigned,
    Long,
    UnsignedLong,
    /// Bounds in whole units.
    Decimal(i64, i64),
    Text(usize),
    Choice(&'static [&'static str]),
    DateTime,
    Base64,
    Hex,
}

/// A Command: input arguments (and whether each is needed), output arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) inputs: &'static [(&'static str, bool)],
    pub(crate) outputs: &'static [&'static str],
    pub(crate) is_async: bool,
}

/// An Event and its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [&'static str],
}

const fn p(name: &'static str, kind: Kind, access: Access, default: &'static str) -> Param {
    Param { name, kind, access, default }
}

use Access::{Once, Quiet, Read, Secret, Write};

const ALIAS: Param = p("Alias", Kind::Text(64), Once, "");

const ROOT: &[Param] = &[
    p("Enable", Kind::Boolean, Write, "true"),
    p("Mode", Kind::Choice(&["Off", "Heat", "Cool", "Auto"]), Write, "Auto"),
    p("Setpoint", Kind::Decimal(5, 30), Write, "21.0"),
    p("Temperature", Kind::Decimal(-50, 100), Read, "19.5"),
    p("TemperatureOffset", Kind::Int(-5, 5), Write, "0"),
    p("Label", Kind::Text(64), Write, "Thermostat"),
    p("PIN", Kind::Text(16), Secret, ""),
    p("SerialNumber", Kind::Text(64), Read, "SIM-0001"),
    p("InstalledAt", Kind::DateTime, Read, "2026-01-02T03:04:05Z"),
    p("Icon", Kind::Base64, Write, "AAEC"),
    p("Fingerprint", Kind::Hex, Read, "0A1B2C3D"),
    p("Balance", Kind::Long, Write, "-4294967296"),
    p("Uptime", Kind::Unsigned, Quiet, "0"),
    p("CalibrationProgress", Kind::Unsigned, Read, "0"),
    p("ZoneNumberOfEntries", Kind::Unsigned, Read, "0"),
];

const STATS: &[Param] = &[
    p("SwitchCycles", Kind::UnsignedLong, Read, "9007199254740993"),
    p("Resets", Kind::Unsigned, Read, "0"),
];

const ZONE: &[Param] = &[
    ALIAS,
    p("Name", Kind::Text(64), Write, ""),
    p("Enable", Kind::Boolean, Write, "true"),
    p("Setpoint", Kind::Decimal(5, 30), Write, "20.0"),
    p("Temperature", Kind::Decimal(-50, 100), Read, "18.0"),
    p("ScheduleNumberOfEntries", Kind::Unsigned, Read, "0"),
];

const SCHEDULE: &[Param] =
    &[ALIAS, p("Start", Kind::Text(5), Write, "06:00"), p("Setpoint", Kind::Decimal(5, 30), Write, "20.0")];

const NOTIF_TYPES: &[&str] =
    &["ValueChange", "ObjectCreation", "ObjectDeletion", "OperationComplete", "Event"];

/// TR-181 `Device.LocalAgent.Subscription.{i}.`
const SUBSCRIPTION: &[Param] = &[
    ALIAS,
    p("Enable", Kind::Boolean, Write, "false"),
    p("Recipient", Kind::Text(256), Read, "Device.LocalAgent.Controller.1"),
    p("ID", Kind::Text(64), Once, ""),
    p("CreationDate", Kind::DateTime, Read, "0001-01-01T00:00:00Z"),
    p("NotifType", Kind::Choice(NOTIF_TYPES), Write, ""),
    p("ReferenceList", Kind::Text(4096), Write, ""),
    p("Persistent", Kind::Boolean, Write, "false"),
    p("TimeToLive", Kind::Unsigned, Write, "0"),
    p("NotifRetry", Kind::Boolean, Write, "false"),
    p("NotifExpiration", Kind::Unsigned, Write, "0"),
];

/// TR-181 `Device.LocalAgent.Request.{i}.`
const REQUEST: &[Param] = &[
    ALIAS,
    p("Originator", Kind::Text(256), Read, "Device.LocalAgent.Controller.1"),
    p("Command", Kind::Text(256), Read, ""),
    p("CommandKey", Kind::Text(256), Read, ""),
    p(
        "Status",
        Kind::Choice(&["Requested", "Active", "Canceling", "Success", "Error", "Canceled"]),
        Read,
        "Requested",
    ),
];

const CONTROLLER: &[Param] =
    &[ALIAS, p("EndpointID", Kind::Text(256), Read, ""), p("Enable", Kind::Boolean, Read, "true")];

const LOCAL_AGENT: &[Param] = &[
    p("EndpointID", Kind::Text(256), Read, ""),
    p("SubscriptionNumberOfEntries", Kind::Unsigned, Read, "0"),
    p("RequestNumberOfEntries", Kind::Unsigned, Read, "0"),
    p("ControllerNumberOfEntries", Kind::Unsigned, Read, "0"),
];

const fn c(
    name: &'static str,
    inputs: &'static [(&'static str, bool)],
    outputs: &'static [&'static str],
    is_async: bool,
) -> Command {
    Command { name, inputs, outputs, is_async }
}

const ROOT_COMMANDS: &[Command] = &[
    c("Reset()", &[], &["Previous"], false),
    c("Calibrate()", &[("Reference", true), ("Steps", false)], &["Offset"], true),
];

const ZONE_COMMANDS: &[Command] = &[
    c("Identify()", &[("Count", false)], &["Blinked"], false),
    c("Boost()", &[("Degrees", false)], &["Setpoint"], true),
];

const REQUEST_COMMANDS: &[Command] = &[c("Cancel()", &[], &[], false)];

/// Every kind of object, the parent before its children. `root` ends in a dot.
pub(crate) fn objects(root: &str) -> Vec<Object> {
    let at = |path: String, params| Object {
        path,
        editable: false,
        keys: &[],
        params,
        commands: &[],
        events: &[],
    };
    vec![
        Object {
            commands: ROOT_COMMANDS,
            events: &[Event { name: "Alarm!", args: &["Code", "Text"] }],
            ..at(root.to_owned(), ROOT)
        },
        at(format!("{root}Stats."), STATS),
        Object {
            editable: true,
            keys: &[&["Alias"], &["Name"]],
            commands: ZONE_COMMANDS,
            events: &[Event { name: "WindowOpened!", args: &["Duration"] }],
            ..at(format!("{root}Zone.{{i}}."), ZONE)
        },
        Object {
            editable: true,
            keys: &[&["Alias"]],
            ..at(format!("{root}Zone.{{i}}.Schedule.{{i}}."), SCHEDULE)
        },
        at("Device.LocalAgent.".into(), LOCAL_AGENT),
        Object {
            editable: true,
            keys: &[&["Alias"], &["Recipient", "ID"]],
            ..at("Device.LocalAgent.Subscription.{i}.".into(), SUBSCRIPTION)
        },
        Object {
            keys: &[&["Originator", "Command", "CommandKey"], &["Alias"]],
            commands: REQUEST_COMMANDS,
            ..at("Device.LocalAgent.Request.{i}.".into(), REQUEST)
        },
        Object {
            keys: &[&["Alias"], &["EndpointID"]],
            ..at("Device.LocalAgent.Controller.{i}.".into(), CONTROLLER)
        },
    ]
}

impl Kind {
    pub(crate) fn usp(self) -> ParamValueType {
        match self {
            Self::Boolean => ParamValueType::ParamBoolean,
            Self::Int(..) => ParamValueType::ParamInt,
            Self::Unsigned => ParamValueType::ParamUnsignedInt,
            Self::Long => ParamValueType::ParamLong,
            Self::UnsignedLong => ParamValueType::ParamUnsignedLong,
            Self::Decimal(..) => ParamValueType::ParamDecimal,
            Self::Text(_) | Self::Choice(_) => ParamValueType::ParamString,
            Self::DateTime => ParamValueType::ParamDateTime,
            Self::Base64 => ParamValueType::ParamBase64,
            Self::Hex => ParamValueType::ParamHexBinary,
        }
    }

    /// The value as it is kept: 7011 for another type, 7012 for a value that is not allowed.
    pub(crate) fn accept(self, text: &str) -> Result<String, Fault> {
        let wrong_type = || Fault::new(7011, format!("{text:?} is not {}", self.usp().as_str_name()));
        let bounds = |good: bool| {
            if good { Ok(()) } else { Err(Fault::new(7012, format!("{text:?} is not allowed"))) }
        };
        match self {
            Self::Boolean => match text {
                "true" | "1" => return Ok("true".to_owned()),
                "false" | "0" => return Ok("false".to_owned()),
                _ => return Err(wrong_type()),
            },
            Self::Int(low, high) => {
                let number: i64 = text.parse().map_err(|_| wrong_type())?;
                bounds((low..=high).contains(&number))?;
            }
            Self::Unsigned => bounds(text.parse::<u64>().map_err(|_| wrong_type())? <= u64::from(u32::MAX))?,
            Self::Long => drop(text.parse::<i64>().map_err(|_| wrong_type())?),
            Self::UnsignedLong => drop(text.parse::<u64>().map_err(|_| wrong_type())?),
            Self::Decimal(low, high) => {
                let number: Decimal = text.parse().map_err(|_| wrong_type())?;
                bounds((Decimal::from(low)..=Decimal::from(high)).contains(&number))?;
            }
            Self::Text(most) => bounds(text.chars().count() <= most)?,
            Self::Choice(choices) => bounds(choices.contains(&text))?,
            Self::DateTime => {
                let shaped = text.len() >= 19 && text.as_bytes().get(10) == Some(&b'T');
                shaped.then_some(()).ok_or_else(wrong_type)?;
            }
            Self::Base64 => {
                let letters =
                    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
                (letters && text.len().is_multiple_of(4)).then_some(()).ok_or_else(wrong_type)?;
            }
            Self::Hex => {
                let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
                (digits && text.len().is_multiple_of(2)).then_some(()).ok_or_else(wrong_type)?;
            }
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_type() {
        for object in objects("Device.X_T.") {
            for param in object.params.iter().filter(|param| !param.default.is_empty()) {
                assert!(param.kind.accept(param.default).is_ok(), "{}{}", object.path, param.name);
            }
        }
    }

    #[test]
    fn types_and_bounds() {
        let check = |kind: Kind, text: &str, expected: Result<&str, u32>| {
            let seen = kind.accept(text).map_err(|fault| fault.code);
            assert_eq!(seen, expected.map(str::to_owned), "{kind:?} {text}");
        };
        check(Kind::Boolean, "1", Ok("true"));
        check(Kind::Boolean, "on", Err(7011));
        check(Kind::Int(-5, 5), "-5", Ok("-5"));
        check(Kind::Int(-5, 5), "6", Err(7012));
        check(Kind::Decimal(5, 30), "21.5", Ok("21.5"));
        check(Kind::Decimal(5, 30), "31", Err(7012));
        check(Kind::Decimal(5, 30), "warm", Err(7011));
        check(Kind::Choice(&["A", "B"]), "C", Err(7012));
        check(Kind::Unsigned, "4294967296", Err(7012));
        check(Kind::UnsignedLong, "18446744073709551615", Ok("18446744073709551615"));
        check(Kind::Base64, "AAE", Err(7011));
        check(Kind::Hex, "0g", Err(7011));
        check(Kind::DateTime, "yesterday", Err(7011));
        check(Kind::Text(3), "four", Err(7012));
    }
}
