//! Serial lines in a site file.

use std::sync::Arc;

use super::{LineBus, LinePort, LineSettings};
use crate::code::Code;
use crate::draft::At;
use crate::mapping::BusKind;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::Node;

/// Usual port of serial device servers that pass bytes on as they are.
const PORT: u16 = 4001;

impl Report<'_> {
    /// A bus that is a serial port.
    pub(crate) fn line_on_port(&mut self, node: &Node, fields: &Fields<'_>) -> Option<At<BusKind>> {
        let port = self.serial_port(node)?;
        let settings = self.line_settings(fields);
        let line = |port| BusKind::Line(LineBus { port: LinePort::Serial(port), settings, manner: None });
        Some(port.map(line))
    }

    /// A bus that is a serial port elsewhere.
    pub(crate) fn line_over_tcp(&mut self, node: &Node) -> Option<At<BusKind>> {
        let address = self.bus_address(node, PORT)?;
        let line = |address| {
            BusKind::Line(LineBus {
                port: LinePort::Tcp(address),
                settings: LineSettings::default(),
                manner: None,
            })
        };
        Some(address.map(line))
    }

    /// The path of a device file.
    pub(crate) fn serial_port(&mut self, node: &Node) -> Option<At<String>> {
        let port = self.text(node)?;
        if !port.value.starts_with('/') {
            let message = format!("`{}` is no serial port", port.value);
            self.error(Code::BusAddress, node.span, message).help(
                "write the path of its device file, best the one in /dev/serial/by-id/, which stays the same",
            );
            return None;
        }
        Some(port)
    }
}

impl LineBus {
    /// The same with what a device on it needs. Errors: what of it another device, or the site, wants otherwise.
    pub(crate) fn with(&mut self, manner: &Arc<super::LineManner>) -> Result<(), &'static str> {
        match &self.manner {
            None => {
                if matches!(self.port, LinePort::Serial(_)) {
                    self.settings = self.settings.or(manner.usual);
                }
                self.manner = Some(Arc::clone(manner));
                Ok(())
            }
            Some(known) if known == manner => Ok(()),
            Some(known) if known.usual != manner.usual && self.settings == known.usual => {
                Err("its port set otherwise")
            }
            Some(_) => Err("other frames"),
        }
    }
}
