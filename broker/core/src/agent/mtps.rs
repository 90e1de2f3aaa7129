//! `Controller.{i}.MTP.{i}.`: over which transports a Controller talks to us, and which Service is behind it.
//!
//! A Controller connects to us, so a transport that it has come over gets a row by itself; a row that is not enabled keeps it
//! from coming that way. Rows for MQTT say where we reach the Controller and are made by Controllers or the configuration.

use usp_proto::endpoint_id::EndpointId;

use crate::Broker;
use crate::dm::Model;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::ObjId;

const TABLE: &str = "Device.LocalAgent.Controller.{i}.MTP.{i}.";

impl Broker {
    /// Whether a Controller may come over a transport.
    pub(crate) fn may_use_mtp(&self, controller: u32, protocol: &str) -> bool {
        let row = self.mtp_row(controller, protocol);
        row.is_none_or(|row| self.model.text(&row, "Enable").as_deref() == Some("true"))
    }

    fn mtp_row(&self, controller: u32, protocol: &str) -> Option<ObjRef> {
        let table = self.model.schema.find(TABLE)?;
        self.model.row_with(table, &[controller], "Protocol", protocol)
    }

    /// A Controller has come over a transport: from now on its rows say so, for as long as the Controller has one.
    pub(crate) fn note_mtp(&mut self, controller: u32, protocol: &str) {
        let (Some(table), None) = (self.model.schema.find(TABLE), self.mtp_row(controller, protocol)) else {
            return;
        };
        let row = self.controller_row(controller).and_then(|row| self.model.rows.get(&row));
        let Some(volatile) = row.map(|row| row.volatile) else { return };
        let rows = &mut self.model.rows;
        let number = match volatile {
            true => rows.passing_number(table, &[controller]),
            false => rows.next_number(table, &[controller], false),
        };
        let at = ObjRef::new(table, &[controller, number]);
        self.model.rows.put(at.clone(), Row { volatile, ..Row::default() });
        for (name, value) in [("Alias", format!("cpe-{number}")), ("Enable", "true".to_owned())] {
            self.put_param(&at, name, value);
        }
        self.put_param(&at, "Protocol", protocol.to_owned());
        self.commit(None);
    }

    /// A Controller is remembered from here on, and so is how it came.
    pub(crate) fn keep_controller(&mut self, row: &ObjRef) {
        self.set_volatile(row, false);
        let Some(table) = self.model.schema.find(TABLE) else { return };
        let given = self.model.rows.given(table, &row.numbers);
        if given > 0 {
            self.model.rows.claim_number(table, &row.numbers, given);
        }
        for mtp in self.mtps(table, row.number()) {
            self.set_volatile(&mtp, false);
        }
    }

    fn mtps(&self, table: ObjId, controller: u32) -> Vec<ObjRef> {
        self.model.rows.of_table(table, &[controller]).map(|(at, _)| at.clone()).collect()
    }

    /// A Service has a row now, or none any more: the rows of its Controller tell of it (N-BRK.7, N-BRK.8).
    pub(crate) fn tell_service_ref(&mut self, endpoint: &EndpointId) {
        let Some(table) = self.model.schema.find(TABLE) else { return };
        let Some(controller) = self.find_controller(endpoint).map(|row| row.number()) else { return };
        for mtp in self.mtps(table, controller) {
            if let Some(details) = self.details_of(&mtp) {
                self.emit_change(&details, "USPServiceRef");
            }
        }
    }

    /// The object of a row's transport, if it can name a Service.
    fn details_of(&self, mtp: &ObjRef) -> Option<ObjRef> {
        let protocol = self.model.text(mtp, "Protocol")?;
        let object = self.model.schema.find(&format!("{TABLE}{protocol}."))?;
        let names = self.model.schema.get(object)?.params.contains_key("USPServiceRef");
        names.then(|| ObjRef { object, numbers: mtp.numbers.clone() })
    }
}

impl Model {
    /// `USPServiceRef`: the Service that a Controller also is. It registers anew at each start, so this is not stored: a
    /// crash would leave a reference to a row that is somebody else's, or nobody's, afterwards.
    pub(crate) fn service_of_controller(&self, at: &ObjRef) -> Option<String> {
        let controller = self.table("Device.LocalAgent.Controller.")?;
        let controller = ObjRef::new(controller, at.numbers.get(..1)?);
        let endpoint = self.rows.param(&controller, "EndpointID")?;
        let services = self.table("Device.USPServices.USPService.")?;
        let row = self.row_with(services, &[], "EndpointID", endpoint)?;
        Some(self.path(&row).trim_end_matches('.').to_owned())
    }
}
