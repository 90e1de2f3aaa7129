//! The page as OpenMetrics has it (version 1.0.0): families of samples, each with its kind, `# EOF` at the end.

use std::fmt::{Display, Write};

use usp_adapters::{BusStatistics, DeviceStatistics};

/// What the driver knows about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// Peers that are connected, over sockets and WebSocket.
    pub(crate) connections: usize,
    /// Requests of Controllers that are under way.
    pub(crate) requests: usize,
    /// USP Records that came in.
    pub(crate) received: u64,
    /// USP Records that went out.
    pub(crate) sent: u64,
    /// What the store was asked to keep, in batches.
    pub(crate) batches: u64,
    /// Calls to devices.
    pub(crate) calls: u64,
    /// The buses with their devices.
    pub(crate) buses: Vec<BusStatistics>,
}

/// A page under way.
struct Page(String);

impl Page {
    /// A family: its kind and what it is.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# TYPE {name} {kind}"));
        self.line(format_args!("# HELP {name} {help}"));
    }

    fn line(&mut self, text: impl Display) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{text}").ok();
    }

    /// A family of one sample.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(format_args!("{}{} {value}", name, suffix(kind)));
    }

    /// A family with a sample for each bus.
    fn buses(
        &mut self,
        buses: &[BusStatistics],
        (name, kind, help): (&str, &str, &str),
        value: fn(&BusStatistics) -> f64,
    ) {
        self.family(name, kind, help);
        for bus in buses {
            self.line(format_args!("{name}{}{{bus=\"{}\"}} {}", suffix(kind), label(&bus.bus), value(bus)));
        }
    }

    /// A family with a sample for each device.
    fn devices(
        &mut self,
        buses: &[BusStatistics],
        (name, kind, help): (&str, &str, &str),
        value: fn(&DeviceStatistics) -> f64,
    ) {
        self.family(name, kind, help);
        for (bus, device) in buses.iter().flat_map(|bus| bus.devices.iter().map(move |device| (bus, device)))
        {
            let (bus, id) = (label(&bus.bus), label(&device.device.0));
            self.line(format_args!(
                "{name}{}{{bus=\"{bus}\",device=\"{id}\"}} {}",
                suffix(kind),
                value(device)
            ));
        }
    }
}

/// A counter's samples end like this.
fn suffix(kind: &str) -> &'static str {
    if kind == "counter" { "_total" } else { "" }
}

/// The value of a label, with what has a meaning there escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The whole page.
pub(crate) fn page(numbers: &Numbers) -> String {
    let mut page = Page(String::new());
    let devices = || numbers.buses.iter().flat_map(|bus| &bus.devices);
    page.single("usp_broker_connections", "gauge", "Peers that are connected.", numbers.connections);
    page.single("usp_broker_requests_pending", "gauge", "Requests under way.", numbers.requests);
    page.single("usp_broker_records_received", "counter", "USP Records that came in.", numbers.received);
    page.single("usp_broker_records_sent", "counter", "USP Records that went out.", numbers.sent);
    page.single("usp_broker_store_batches", "counter", "Changes handed to the store.", numbers.batches);
    page.single(
        "usp_broker_device_calls",
        "counter",
        "Reads, writes and commands for devices.",
        numbers.calls,
    );
    page.single("usp_broker_devices", "gauge", "Devices of the site.", devices().count());
    let online = devices().filter(|device| device.online).count();
    page.single("usp_broker_devices_online", "gauge", "Devices whose last exchange was answered.", online);
    buses(&mut page, &numbers.buses);
    exchanges(&mut page, &numbers.buses);
    cycles(&mut page, &numbers.buses);
    page.line("# EOF");
    page.0
}

fn buses(page: &mut Page, buses: &[BusStatistics]) {
    page.family("usp_broker_bus", "info", "The buses of the site.");
    for bus in buses {
        let (name, address) = (label(&bus.bus), label(&bus.address));
        page.line(format_args!(
            "usp_broker_bus_info{{bus=\"{name}\",protocol=\"{}\",address=\"{address}\"}} 1",
            bus.protocol
        ));
    }
    let connected = ("usp_broker_bus_connected", "gauge", "1: there is a connection.");
    page.buses(buses, connected, |bus| f64::from(u8::from(bus.connected)));
    let used = ("usp_broker_bus_utilisation_ratio", "gauge", "Share of the time with an exchange under way.");
    page.buses(buses, used, |bus| bus.utilisation / 100.0);
    page.buses(buses, ("usp_broker_bus_connects", "counter", "Connections made."), |bus| bus.connects as f64);
    let failed = ("usp_broker_bus_failed_connects", "counter", "Connections that could not be made.");
    page.buses(buses, failed, |bus| bus.failed_connects as f64);
    let restarts = ("usp_broker_bus_restarts", "counter", "Restarts after an internal error.");
    page.buses(buses, restarts, |bus| bus.restarts as f64);
    let lost = ("usp_broker_bus_lost", "counter", "Unasked readings dropped for newer ones.");
    page.buses(buses, lost, |bus| bus.lost as f64);
    page.buses(buses, ("usp_broker_bus_waiting", "gauge", "Calls without a reply so far."), |bus| {
        bus.waiting as f64
    });
}

fn exchanges(page: &mut Page, buses: &[BusStatistics]) {
    let online = ("usp_broker_device_online", "gauge", "1: the last exchange was answered.");
    page.devices(buses, online, |device| f64::from(u8::from(device.online)));
    page.devices(buses, ("usp_broker_device_requests", "counter", "Exchanges begun."), |device| {
        device.exchanges.requests as f64
    });
    page.devices(
        buses,
        ("usp_broker_device_refusals", "counter", "Exchanges that were refused."),
        |device| device.exchanges.refusals as f64,
    );
    page.devices(
        buses,
        ("usp_broker_device_timeouts", "counter", "Exchanges without an answer."),
        |device| device.exchanges.timeouts as f64,
    );
    let garbled = ("usp_broker_device_garbled", "counter", "Exchanges whose answer could not be understood.");
    page.devices(buses, garbled, |device| device.exchanges.garbled as f64);
    let failures = ("usp_broker_device_failures", "counter", "Exchanges that failed for another reason.");
    page.devices(buses, failures, |device| device.exchanges.failures as f64);
    page.devices(
        buses,
        ("usp_broker_device_waiting", "gauge", "Calls in the queue of the device."),
        |device| device.waiting as f64,
    );
}

fn cycles(page: &mut Page, buses: &[BusStatistics]) {
    let all = || buses.iter().flat_map(|bus| &bus.devices);
    let all = || all().flat_map(|device| device.cycles.iter().map(move |cycle| (device, cycle)));
    for (name, kind, help) in [
        ("usp_broker_poll_cycles", "counter", "Rounds of a poll group."),
        (
            "usp_broker_poll_cycle_seconds",
            "gauge",
            "From when the last round was due until all of it was read.",
        ),
        ("usp_broker_poll_cycle_max_seconds", "gauge", "The longest of these."),
    ] {
        page.family(name, kind, help);
        for (device, cycle) in all() {
            let value = match name {
                "usp_broker_poll_cycles" => Some(cycle.rounds as f64),
                "usp_broker_poll_cycle_seconds" => cycle.last.map(|time| time.as_secs_f64()),
                _ => cycle.max.map(|time| time.as_secs_f64()),
            };
            let Some(value) = value else { continue };
            let (id, group) = (label(&device.device.0), label(&cycle.group));
            page.line(format_args!("{name}{}{{device=\"{id}\",group=\"{group}\"}} {value}", suffix(kind)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use usp_adapters::{CycleStatistics, Exchanges, Signal};
    use usp_mapping::port::DeviceId;

    use super::*;
    use crate::figures::tests::bus;

    fn numbers() -> Numbers {
        let cycle = |group: &str, last| CycleStatistics {
            group: group.into(),
            every: Duration::from_secs(1),
            last,
            max: last,
            rounds: 3,
        };
        let device = DeviceStatistics {
            device: DeviceId("me\"ter".into()),
            online: true,
            exchanges: Exchanges { requests: 7, refusals: 1, timeouts: 2, garbled: 0, failures: 0 },
            waiting: 4,
            signal: Signal::default(),
            cycles: vec![cycle("fast", Some(Duration::from_millis(250))), cycle("slow", None)],
        };
        let bus = BusStatistics { waiting: 4, utilisation: 12.5, devices: vec![device], ..bus(0) };
        Numbers { connections: 2, received: 9, buses: vec![bus], ..Numbers::default() }
    }

    #[test]
    fn samples_have_their_labels_and_suffixes() {
        let page = page(&numbers());
        for line in [
            "usp_broker_connections 2",
            "usp_broker_records_received_total 9",
            "usp_broker_devices_online 1",
            "usp_broker_bus_info{bus=\"plant\",protocol=\"modbus-tcp\",address=\"127.0.0.1:502\"} 1",
            "usp_broker_bus_utilisation_ratio{bus=\"plant\"} 0.125",
            "usp_broker_device_requests_total{bus=\"plant\",device=\"me\\\"ter\"} 7",
            "usp_broker_poll_cycle_seconds{device=\"me\\\"ter\",group=\"fast\"} 0.25",
            "usp_broker_poll_cycles_total{device=\"me\\\"ter\",group=\"slow\"} 3",
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\n{page}");
        }
        assert!(!page.contains("cycle_seconds{device=\"me\\\"ter\",group=\"slow\"}"), "it was never read");
        assert!(page.ends_with("# EOF\n"));
    }

    /// Each family is there once, before its samples, and no sample is without one.
    #[test]
    fn every_sample_stands_below_its_family() {
        let page = page(&numbers());
        let (mut families, mut current) = (Vec::new(), String::new());
        for line in page.lines().filter(|line| *line != "# EOF") {
            match line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                Some((name, _)) => {
                    assert!(!families.contains(&name), "{name} twice");
                    families.push(name);
                    name.clone_into(&mut current);
                }
                None if line.starts_with("# HELP ") => {
                    assert!(line.contains(&format!(" {current} ")), "{line}")
                }
                None => assert!(line.starts_with(&current), "{line} below {current}"),
            }
        }
        assert!(families.len() > 20);
    }
}
