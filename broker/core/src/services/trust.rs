//! `Device.USPServices.Trust.`: which paths a Service may register (N-BRK.10).

use usp_proto::err_code::ErrCode;
use usp_proto::tr106;

use crate::Broker;
use crate::config::UdsTrust;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::input::MtpKind;

impl Broker {
    /// Whether a Service may register this path.
    ///
    /// Errors: 7028 when its row does not name it; who has no row may register nothing.
    pub(super) fn check_trust(&self, id: ServiceId, text: &str) -> Result<(), Fault> {
        let Some(targets) = self.trusted_paths(id) else { return Ok(()) };
        if tr106::split_list(&targets).any(|t| t == text || (t.ends_with('.') && text.starts_with(t))) {
            return Ok(());
        }
        let name = self.services.name(id);
        let why = format!("Device.USPServices.Trust. does not let {name} register {text}");
        Err(Fault::new(ErrCode::REGISTER_FAILURE, why))
    }

    /// `TargetPaths` of a Service; `None` where the socket is trusted as a whole and the table does not count.
    fn trusted_paths(&self, id: ServiceId) -> Option<String> {
        let service = self.services.get(id)?;
        let by_socket = self.config.uds.as_ref().is_some_and(|u| u.trust == UdsTrust::Socket);
        if service.mtp == MtpKind::Uds && by_socket {
            return None;
        }
        let table = self.model.table("Device.USPServices.Trust.");
        let row = table.and_then(|t| self.model.row_with(t, &[], "EndpointID", service.endpoint.as_str()));
        Some(row.and_then(|row| self.model.text(&row, "TargetPaths")).unwrap_or_default())
    }

    /// The table has changed: what a Service may register no more is taken from it, as if it had given it back.
    pub(crate) fn review_trust(&mut self) {
        let ids: Vec<ServiceId> = self.services.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(service) = self.services.get(id) else { continue };
            let lost: Vec<String> = service
                .registered
                .keys()
                .filter(|path| self.check_trust(id, path).is_err())
                .cloned()
                .collect();
            if lost.is_empty() {
                continue;
            }
            tracing::info!(service = self.services.name(id), ?lost, "no longer trusted with its paths");
            if let Some(service) = self.services.get_mut(id) {
                service.registered.retain(|path, _| !lost.contains(path));
            }
            self.take_away(id, &lost, "its Service is no longer trusted with it");
            self.update_service_row(id);
            self.sync_service(id);
            self.forget_bare_peer(id);
        }
    }
}
