//! What has to be set up at a device so that what a mapping reads is said: bindings, reports, enrolments.

use rust_decimal::Decimal;

use super::{ZclType, ZigbeeAttribute, ZigbeeFrom, ZigbeeRead, zcl};
use crate::mapping::{Mapping, Protocol, ReadPoint};

/// What has to be set up after a device has joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZigbeeSetup {
    /// Endpoint and cluster that are bound to the coordinator, each once.
    pub bindings: Vec<(u8, u16)>,
    /// What is reported, what goes into one Configure Reporting command together.
    pub reports: Vec<ZigbeeReporting>,
    /// Endpoints whose IAS zone is enrolled.
    pub zones: Vec<u8>,
}

/// Reports of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeReporting {
    /// Endpoint.
    pub endpoint: u8,
    /// Cluster.
    pub cluster: u16,
    /// Manufacturer code.
    pub manufacturer: Option<u16>,
    /// Attribute, type, least and most seconds, least change; each attribute once.
    pub attributes: Vec<(u16, ZclType, u16, u16, Option<Decimal>)>,
}

/// The IAS zone cluster.
const IAS_ZONE: u16 = 0x0500;

impl ZigbeeReporting {
    /// The Configure Reporting command for it.
    pub fn frame(&self) -> zcl::Frame {
        zcl::configure_reporting(self.manufacturer, &self.attributes)
    }
}

impl Mapping {
    /// What has to be set up at a Zigbee device of this model; nothing for other protocols.
    pub fn zigbee_setup(&self) -> ZigbeeSetup {
        let mut setup = ZigbeeSetup::default();
        let Protocol::Zigbee(options) = &self.protocol else { return setup };
        let reads = self.points().filter_map(|point| point.read).flat_map(|read| read.places());
        for place in reads {
            let ReadPoint::Zigbee(read) = place else { continue };
            setup.add(read, options.enroll);
        }
        setup
    }
}

impl ZigbeeSetup {
    fn add(&mut self, read: &ZigbeeRead, enroll: bool) {
        let place = (read.endpoint, read.cluster);
        let is_told = match &read.from {
            ZigbeeFrom::Attribute(attribute) => attribute.report.is_some() || attribute.told.is_some(),
            ZigbeeFrom::Command(_) => true,
        };
        if read.cluster == IAS_ZONE && is_told && enroll && !self.zones.contains(&read.endpoint) {
            self.zones.push(read.endpoint);
        }
        // An IAS zone sends to where it is enrolled.
        let by_zone = read.cluster == IAS_ZONE && enroll;
        if is_told && !by_zone && !self.bindings.contains(&place) {
            self.bindings.push(place);
        }
        if let ZigbeeFrom::Attribute(attribute) = &read.from {
            self.report(read, attribute);
        }
    }

    fn report(&mut self, read: &ZigbeeRead, attribute: &ZigbeeAttribute) {
        let Some(report) = &attribute.report else { return };
        let key = (read.endpoint, read.cluster, read.manufacturer);
        let mut all = self.reports.iter_mut();
        let entry = (attribute.id, attribute.kind, report.min, report.max, report.change);
        match all.find(|known| (known.endpoint, known.cluster, known.manufacturer) == key) {
            Some(known) => match known.attributes.iter_mut().find(|(id, ..)| *id == attribute.id) {
                // Whoever wants to know more decides.
                Some(same) => {
                    same.2 = same.2.min(entry.2);
                    same.3 = same.3.min(entry.3);
                    same.4 = same.4.zip(entry.4).map(|(one, other)| one.min(other));
                }
                None => known.attributes.push(entry),
            },
            None => self.reports.push(ZigbeeReporting {
                endpoint: read.endpoint,
                cluster: read.cluster,
                manufacturer: read.manufacturer,
                attributes: vec![entry],
            }),
        }
    }
}
