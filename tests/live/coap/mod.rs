//! CoAP devices through the whole broker: servers of other hands, all of the library, the project's simulators with every
//! fault, and keys that must not be shown.

mod faults;
mod library;
mod real;
mod scan;
mod secrets;

use std::net::SocketAddr;

use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::wait::eventually;

/// The parameter of a capability of the first device.
pub(crate) fn path(device: &str, name: &str, class: &str) -> String {
    format!("Device.ProxiedDevice.[Name==\"{device}\"].IoTCapability.[Name==\"{name}\"].{class}.Value")
}

/// What a capability is, if it is good.
pub(crate) fn value(cli: &Cli, device: &str, name: &str, class: &str) -> Option<String> {
    cli.values(&path(device, name, class)).into_values().next()
}

/// Waits until a capability is this.
pub(crate) fn becomes(cli: &Cli, device: &str, name: &str, class: &str, wanted: &str) {
    eventually(&format!("{device} {name} {wanted}"), || {
        value(cli, device, name, class).filter(|value| value == wanted)
    });
}

/// Waits until a device is there, or is not.
pub(crate) fn online(cli: &Cli, device: &str, wanted: bool) {
    let path = format!("Device.ProxiedDevice.[Name==\"{device}\"].Online");
    eventually(&format!("{device} online {wanted}"), || {
        cli.values(&path).into_values().next().filter(|value| *value == wanted.to_string())
    });
}

/// A site of devices on CoAP: name, mapping (`use: …` or `file: …`), address, and what follows.
pub(crate) fn site(place: &Place, devices: &[(&str, &str, SocketAddr, &str)]) {
    let device = |(name, mapping, address, more): &(&str, &str, SocketAddr, &str)| {
        format!("  {name}: {{{mapping}, bus: lan, host: \"{address}\"{more}}}\n")
    };
    let devices: String = devices.iter().map(device).collect();
    place.write("site.yaml", &format!("site: 1\nbuses:\n  lan: {{coap: any}}\ndevices:\n{devices}"));
}
