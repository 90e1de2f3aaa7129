//! `Device.USPServices.USPService.`: one row for each Service that has registered something.

use crate::Broker;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::ServiceId;

impl Broker {
    /// Makes, updates or takes away the Service's row: it has one while it has registered something (N-BRK.2, N-BRK.5).
    pub(crate) fn update_service_row(&mut self, id: ServiceId) {
        let Some(table) = self.model.table("Device.USPServices.USPService.") else { return };
        let Some(service) = self.services.get(id) else { return };
        let paths = service.registered.keys().cloned().collect::<Vec<_>>().join(",");
        let protocol = service.mtp.name();
        let (endpoint, old) = (service.endpoint.clone(), service.row);
        let row = match (old, paths.is_empty()) {
            (Some(row), true) => {
                self.model.rows.delete(&ObjRef::new(table, &[row]));
                None
            }
            (Some(row), false) => Some(row),
            (None, true) => None,
            (None, false) => {
                let row = self.model.rows.next_number(table, &[], true);
                self.model.rows.put(ObjRef::new(table, &[row]), Row { volatile: true, ..Row::default() });
                Some(row)
            }
        };
        if let Some(service) = self.services.get_mut(id) {
            service.row = row;
        }
        if let Some(row) = row {
            let at = ObjRef::new(table, &[row]);
            // One Endpoint ID may be an Agent and a Controller at once (R-ARC.1).
            let has_controller = self.sessions.controller_conn(&endpoint).is_some();
            self.put_param(&at, "EndpointID", endpoint.to_string());
            self.put_param(&at, "Protocol", protocol.to_owned());
            self.put_param(&at, "DataModelPaths", paths);
            self.put_param(&at, "HasController", has_controller.to_string());
        }
        if row != old {
            self.tell_service_ref(&endpoint);
        }
        self.commit(None);
    }
}
