//! The section `ble`.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::time::Period;
use super::values::{Company, Starts, Text, Uuid, ValueSize, Word};

/// How devices of this model behave on Bluetooth.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Ble {
    /// How long one exchange may take, a connection three times as long; `5s` unless told otherwise.
    timeout: Option<Period>,
    /// When the device is connected; `on_demand` unless told otherwise.
    connect: Option<Word<Connect>>,
    /// A connection that was not used for so long is given up; `10s` unless told otherwise.
    idle: Option<Period>,
    /// How often the device is heard: silent for four times as long it is offline.
    every: Option<Period>,
    /// What has to be between the device and the hub; `none` unless told otherwise.
    pair: Option<Word<Pair>>,
    /// What a scan knows devices of this model by.
    #[schemars(rename = "match")]
    known_by: Option<Match>,
}

/// When a device is connected.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub(super) enum Connect {
    /// When something is to be read or written, and until it was idle.
    OnDemand,
    /// Always.
    Keep,
    /// Never: it only advertises.
    Never,
}

/// What has to be between a device and the hub.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub(super) enum Pair {
    /// Nothing.
    None,
    /// A bond that nobody confirms.
    JustWorks,
    /// A bond for which the device's passkey is needed.
    Passkey,
}

/// What a scan knows devices of a model by; all of it must fit.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Match {
    /// They advertise data of this service.
    service_data: Option<Uuid>,
    /// They advertise this service.
    service: Option<Uuid>,
    /// They advertise data of this manufacturer.
    manufacturer: Option<Company>,
    /// How their name begins.
    name: Option<Text>,
    /// How the data that they advertise begins.
    starts: Option<Starts>,
    /// How many bytes it has.
    size: Option<ValueSize>,
}
