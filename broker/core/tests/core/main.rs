//! The core as a whole, on a virtual clock: a broker with Controllers, Services, devices and a disk that are all made
//! up. Nothing here waits, and every run is the same.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod add_delete;
#[path = "../model/mod.rs"]
mod against_model;
mod agent;
mod bench;
mod borders;
mod controllers;
mod creations;
mod devices;
mod entries;
mod fanout;
mod figures;
mod follow;
mod get;
mod held;
mod honest;
mod hostile;
mod instances;
mod iot;
mod kept;
mod letters_agree;
mod limits;
mod messages;
mod model;
mod mqtt;
mod mqtt_chaos;
mod mqtt_peers;
mod mqtt_silence;
mod networks;
mod nodes;
mod notifications;
mod open_targets;
mod operate;
mod operate_late;
mod operate_rows;
mod permissions;
mod profiles;
mod promises;
mod properties;
mod records;
mod refusals;
mod registration;
mod reload;
mod rights;
mod rights_services;
mod services;
mod set;
mod shadows;
mod site_changes;
mod store;
mod subscriptions;
mod triggers;
mod vendor;
mod wishes;
