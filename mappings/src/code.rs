//! Kinds of problems.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal,)*) => {
        /// What kind of problem a [`Diagnostic`](crate::diagnostic::Diagnostic) reports. Numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])* $name = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What kind of problem it is, in one sentence.
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)*).trim_ascii(),)*
                }
            }
        }
    };
}

codes! {
    /// The file is not YAML.
    Syntax = 1,
    /// The file is too large, or nested too deeply.
    TooLarge = 2,
    /// A key occurs twice in one map.
    DuplicateKey = 3,
    /// A key that the language does not have.
    UnknownKey = 4,
    /// A key that must be there is missing.
    MissingKey = 5,
    /// A value of the wrong kind: a list where a number belongs, and the like.
    WrongKind = 6,
    /// A word that is none of those allowed here.
    UnknownWord = 7,
    /// A value that YAML readers understand differently unless it is quoted, or spelled otherwise.
    YamlTrap = 8,
    /// A number that is too small or too large.
    NumberRange = 9,
    /// A duration that is malformed or has no unit.
    Duration = 10,
    /// A name that is empty, or has characters or a length that it may not have.
    Name = 11,
    /// A version that is not `major.minor.patch`.
    Version = 12,
    /// The file is written in a version of the language that this program does not know.
    Language = 13,
    /// The file is neither a mapping nor a site.
    NeitherKind = 14,
    /// A `Type` that TR-181 does not list for the class.
    Type = 20,
    /// A `Unit` that TR-181 does not list.
    Unit = 21,
    /// A class whose values need a unit has none, or one that has no unit was given one.
    UnitPresence = 22,
    /// A key that this class of capability does not have.
    KeyOfClass = 23,
    /// A control that cannot be written, or a sensor that can.
    Access = 24,
    /// A capability that cannot be read although nothing else can be done with it.
    NoBinding = 25,
    /// Two capabilities, or two devices, with one Name.
    DuplicateName = 26,
    /// A text that is longer than TR-181 admits.
    TextLength = 27,
    /// A range whose first end is not below its last.
    Reversed = 28,
    /// A step, deadband or threshold that makes no sense.
    StepSize = 29,
    /// A class that cannot be made of such a raw value.
    ClassOfEncoding = 30,
    /// A `Unit` that is not metric.
    NotMetric = 31,
    /// A `Unit` that does not fit the `Type`.
    UnitOfType = 32,
    /// An address in 4xxxx notation, or one that looks like it.
    Notation = 40,
    /// A value that reaches beyond the last register.
    AddressRange = 41,
    /// A point with no table or with more than one.
    Table = 42,
    /// Register keys on a coil or a discrete input.
    RegisterKeys = 43,
    /// A write to a table that the protocol cannot write.
    ReadOnlyTable = 44,
    /// A bit range that does not fit the number.
    Bits = 45,
    /// A function code that cannot write this point.
    Function = 46,
    /// Read-modify-write where there is nothing to keep.
    ReadModifyWrite = 47,
    /// Verification that cannot be done.
    Verify = 48,
    /// A write that changes bits of a register which belong to something else.
    Clobber = 49,
    /// One raw value with two meanings.
    MapRaw = 50,
    /// One state for two raw values, where it has to be written.
    MapState = 51,
    /// A raw value that the point can never have.
    RawRange = 52,
    /// A map that is missing or does not belong here.
    MapPresence = 53,
    /// A state of the wrong kind for the class.
    MapKind = 54,
    /// A scale or offset that makes no sense.
    Scale = 55,
    /// A range that raw values cannot reach, or that has one in it which is no value.
    Unreachable = 56,
    /// Registers that two capabilities or events take differently, or what two controls write.
    Overlap = 57,
    /// A poll group that is not defined.
    UnknownPoll = 60,
    /// A poll group that nothing uses.
    UnusedPoll = 61,
    /// A reading would be stale before the next one is due.
    MaxAge = 62,
    /// A `${…}` that names no parameter, or is malformed.
    Placeholder = 70,
    /// A parameter's default is not one of its values.
    ParamDefault = 71,
    /// A `gives` that does not fit its parameter.
    ParamGives = 72,
    /// A test names no capability of the mapping, or has nothing to check.
    TestShape = 80,
    /// A test fails.
    TestFailed = 81,
    /// A test gives a register that no capability uses.
    UnusedCell = 82,
    /// A bus that is not defined.
    UnknownBus = 90,
    /// A profile that is not known.
    UnknownProfile = 91,
    /// No known version of the profile meets the requirement.
    ProfileVersion = 92,
    /// Two devices with one address on one bus.
    SharedAddress = 93,
    /// A bus address that is not `host:port`.
    BusAddress = 94,
    /// A device's parameter that its mapping does not have, does not admit, or needs.
    DeviceParam = 95,
    /// A mapping file that cannot be used.
    MappingFile = 96,
    /// A bus that no device uses.
    UnusedBus = 97,
    /// Two buses with one address.
    SharedBus = 98,
    /// Polling that takes more time than the line has.
    BusyLine = 99,
    /// An `extends` that cannot be followed.
    Extends = 100,
    /// A profile that extends itself.
    ExtendsCircle = 101,
    /// A `when` that names no parameter, or no value of one.
    Condition = 102,
    /// A command or event whose name is not `X_VENDOR_Name`.
    VendorName = 103,
    /// A command that cannot be sent as it is written.
    Command = 104,
    /// An event that cannot be seen, or that shows what is not there.
    Event = 105,
    /// A fingerprint that no device can have.
    Fingerprint = 106,
    /// A key, point or device of another protocol than the mapping's.
    Protocol = 107,
    /// A topic of MQTT that cannot be used as it is written.
    Topic = 108,
    /// A body that cannot be taken apart, or made, as it is written.
    Body = 109,
    /// A path that no resource of CoAP can have.
    Path = 110,
    /// A secret that stands in the file itself.
    Secret = 111,
    /// A poll of what cannot be asked.
    Unaskable = 112,
    /// A `timeout` that is over before an exchange can be.
    ShortTimeout = 113,
    /// Frames of a serial line that cannot be told apart.
    LineFrame = 114,
    /// A request or a pattern of a serial line that cannot be used as it is written.
    LineText = 115,
    /// Devices that cannot share a serial line.
    LineShared = 116,
    /// What is heard, read or written over Bluetooth and cannot be, as it is written.
    Ble = 117,
    /// A key or a passkey that a Bluetooth device has no use for, or lacks.
    BleSecret = 118,
    /// A cluster or an attribute of Zigbee that there is not.
    Cluster = 130,
    /// A command of Zigbee that there is not, or that cannot be sent or heard as it is written.
    ZigbeeCommand = 131,
    /// A value of Zigbee that is not of its type.
    ZclType = 132,
    /// An IEEE address that no device has.
    IeeeAddress = 133,
}

impl Code {
    /// `M001` …
    pub fn name(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:03}", *self as u16)
    }
}
