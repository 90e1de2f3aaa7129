//! JSON Schemas of mapping and site files, which editors complete from.
//!
//! They are generated from the types below, which mirror what the reader takes; tests hold both together, key by key.
//! The checker knows more than a schema can say.

#[cfg(test)]
mod ble;
#[cfg(test)]
mod coap;
#[cfg(test)]
mod current;
#[cfg(test)]
mod extras;
#[cfg(test)]
mod line;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod modbus;
#[cfg(test)]
mod mqtt;
#[cfg(test)]
mod point;
#[cfg(test)]
mod site;
#[cfg(test)]
mod time;
#[cfg(test)]
mod values;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod whole;
#[cfg(test)]
mod zigbee;

/// JSON Schema (draft 7) of a mapping file.
pub const MAPPING: &str = include_str!("../schema/mapping.json");

/// JSON Schema (draft 7) of a site file.
pub const SITE: &str = include_str!("../schema/site.json");
