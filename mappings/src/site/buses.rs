//! What is wrong with buses only when all of a site is known.

use std::collections::BTreeMap;

use super::Compiler;
use super::load::{Load, load};
use crate::code::Code;
use crate::draft::At;
use crate::mapping::{Bus, BusKind, Device, LineBus, LinePort, Protocol, SerialLine};
use crate::words::duration_text;

/// What is left for writes, retries and devices that think.
const FULL: f64 = 1.0;

impl Compiler<'_> {
    /// One connection or port is opened by each bus, and many gateways admit only one.
    pub(super) fn shared_buses(&mut self) {
        let mut seen: BTreeMap<String, &At<String>> = BTreeMap::new();
        for bus in &self.draft.buses {
            let Some(kind) = &bus.kind else { continue };
            let (address, serial) = match &kind.value {
                BusKind::ModbusRtu(line) => (line.port.clone(), true),
                BusKind::ModbusTcp { address } | BusKind::ModbusRtuTcp { address } => {
                    (address.to_string(), false)
                }
                // A server and a socket of our own serve any number of connections.
                BusKind::Mqtt(_) | BusKind::Coap(_) => continue,
                BusKind::Ble(radio) => (radio.adapter.to_string(), true),
                BusKind::Line(LineBus { port: LinePort::Serial(port), .. }) => (port.clone(), true),
                BusKind::Line(LineBus { port: LinePort::Tcp(address), .. }) => (address.to_string(), false),
                BusKind::Zigbee(bus) => {
                    (bus.described(), matches!(bus.port, crate::zigbee::ZigbeePort::Serial { .. }))
                }
            };
            let Some(first) = seen.get(&address) else {
                seen.insert(address, &bus.name);
                continue;
            };
            let message = format!("`{address}` is also the bus `{}`", first.value);
            let help = format!("put the devices on `{}`", first.value);
            if serial {
                self.report.error(Code::SharedBus, kind.span, message).help(help);
            } else {
                let help = help + ": as two buses it takes two connections, which many gateways refuse";
                self.report.warn(Code::SharedBus, kind.span, message).help(help);
            }
        }
    }

    /// A device whose answers can never be there in time.
    fn short_timeout(&mut self, device: &Device, load: &Load, line: &SerialLine) {
        let Some(options) = device.mapping.protocol.modbus() else { return };
        let found = self.draft.devices.iter().find(|draft| *draft.id.value == *device.id.0);
        let span = match found {
            Some(draft) if load.longest > options.timeout.as_secs_f64() => draft.id.span,
            _ => return,
        };
        let (milliseconds, enough) = (load.longest * 1000.0, (load.longest * 2.0 * 10.0).ceil() * 100.0);
        let message = format!(
            "an exchange takes {milliseconds:.0} ms and more at {} baud, and the mapping's `timeout` is {}",
            line.baud,
            duration_text(options.timeout)
        );
        self.report.warn(Code::ShortTimeout, span, message).help(format!(
            "every read would fail: write `timeout: {enough}ms` in the mapping, `max_registers` to read less at a \
             time, or raise `baud` (on the devices too)"
        ));
    }

    /// Gives each line what its devices need, which must be the same for all of them.
    pub(super) fn lines(&mut self, buses: &mut [Bus], devices: &[Device]) {
        for bus in buses {
            let BusKind::Line(line) = &mut bus.kind else { continue };
            let mut first: Option<&Device> = None;
            for device in devices.iter().filter(|device| device.bus == bus.name) {
                let Protocol::Line(options) = &device.mapping.protocol else { continue };
                let draft = self.draft.devices.iter().find(|draft| *draft.id.value == *device.id.0);
                let Some((span, id)) = draft.map(|draft| (draft.id.span, &draft.id.value)) else { continue };
                if let Err(what) = line.with(&options.manner) {
                    let other = first.map_or("", |first| &first.id.0);
                    let message = format!("`{id}` needs {what} than `{other}` on the same line");
                    let error = self.report.error(Code::LineShared, span, message);
                    error.help(
                        "put it on a line of its own: what comes over one is cut into frames in one way",
                    );
                } else if let Some(first) = first.filter(|first| first.mapping == device.mapping) {
                    let message = format!("`{id}` cannot be told from `{}` on the same line", first.id.0);
                    let error = self.report.error(Code::LineShared, span, message);
                    error.help("devices that share a line differ in what they are asked: give them a parameter for it, or put them on two lines");
                }
                first.get_or_insert(device);
            }
            let (serial, baud) = (matches!(line.port, LinePort::Serial(_)), line.settings.baud);
            let draft = self.draft.buses.iter().find(|draft| draft.name.value == bus.name);
            if let Some(draft) = draft.filter(|_| serial && baud.is_none() && first.is_some()) {
                let message = format!("nothing says how fast the bus `{}` is", bus.name);
                let error = self.report.absent(Code::MissingKey, draft.name.span, message);
                error.help("add `baud`, in bits a second: what the devices are set to, often 9600");
            }
        }
    }

    /// Serial lines that are too slow for what is polled on them.
    pub(super) fn busy_lines(&mut self, devices: &[Device]) {
        for bus in &self.draft.buses {
            let line = match bus.kind.as_ref().map(|kind| &kind.value) {
                Some(BusKind::ModbusRtu(line)) => Some(line),
                Some(BusKind::ModbusTcp { .. } | BusKind::ModbusRtuTcp { .. }) => None,
                Some(
                    BusKind::Mqtt(_)
                    | BusKind::Coap(_)
                    | BusKind::Line(_)
                    | BusKind::Ble(_)
                    | BusKind::Zigbee(_),
                )
                | None => {
                    continue;
                }
            };
            let on_it = devices.iter().filter(|device| device.bus == bus.name.value);
            let loads: Vec<_> = on_it.map(|device| (device, load(device, line))).collect();
            for (device, load) in &loads {
                if let Some(line) = line {
                    self.short_timeout(device, load, line);
                }
            }
            let share: f64 = loads.iter().map(|(_, load)| load.share).sum();
            if share <= FULL {
                continue;
            }
            let exchanges: f64 = loads.iter().map(|(_, load)| load.exchanges).sum();
            let most = loads.iter().max_by(|one, other| one.1.share.total_cmp(&other.1.share));
            let most = most.map_or(String::new(), |(device, load)| {
                format!("; `{}` alone takes {:.0} %", device.id.0, load.share * 100.0)
            });
            let Some(line) = line else {
                let message = format!(
                    "polling asks {exchanges:.0} requests a second, more than a network carries{most}"
                );
                let help = format!("poll {:.1} times more seldom", share * 1.25);
                self.report.warn(Code::BusyLine, bus.name.span, message).help(help);
                continue;
            };
            let message = format!(
                "polling takes {:.0} % of the line at {} baud: {exchanges:.1} requests a second{most}",
                share * 100.0,
                line.baud
            );
            self.report.warn(Code::BusyLine, bus.name.span, message).help(format!(
                "poll {:.1} times more seldom, raise `baud` (on the devices too), or divide the devices among several lines",
                share * 1.25
            ));
        }
    }
}
