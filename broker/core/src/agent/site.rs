//! `Device.X_USPBROKER_Site.`: whether the site file and its mappings are in use as they stand, and Reload().

use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;
use usp_proto::usp::notify::operation_complete::{OperationResp as Completed, OutputArgs};

use crate::Broker;
use crate::dm::Model;
use crate::dm::compute::datetime;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::output::Output;
use crate::services::commands::command_failed;
use crate::time::Wall;

/// Its path.
pub(crate) const SITE: &str = "Device.X_USPBROKER_Site.";

/// Longest text of `LastError`, in characters.
const LONGEST: usize = 4096;

/// What became of the files behind the devices.
#[derive(Debug, Default)]
pub struct SiteFiles {
    /// When the devices in use were read.
    loaded_at: Option<Wall>,
    /// Why a newer version of the files is not in use.
    refused: Option<String>,
}

/// Requests to read the files again, numbered in their order.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    asked: u64,
    /// Number of the request and of its row of `Request.`.
    waiting: Vec<(u64, u32)>,
}

impl Model {
    pub(crate) fn site_param(&self, name: &str) -> Option<String> {
        match name {
            "Status" => Some(if self.site.refused.is_some() { "Refused" } else { "Loaded" }.to_owned()),
            "LoadedAt" => Some(datetime(self.site.loaded_at)),
            "LastError" => self.site.refused.clone(),
            _ => None,
        }
    }
}

impl Broker {
    /// The files are in use as they were read just now.
    pub(crate) fn note_site(&mut self) {
        let loaded_at = self.model.now.known_wall();
        self.change_site(SiteFiles { loaded_at, refused: None });
    }

    /// The files have errors; the former devices stay.
    pub(crate) fn refuse_site(&mut self, why: &str) {
        let refused = Some(why.chars().take(LONGEST).collect());
        self.change_site(SiteFiles { loaded_at: self.model.site.loaded_at, refused });
    }

    fn change_site(&mut self, files: SiteFiles) {
        let Some(object) = self.model.schema.find(SITE) else { return };
        let at = ObjRef::new(object, &[]);
        let names = ["Status", "LoadedAt", "LastError"];
        let before = names.map(|name| self.model.text(&at, name));
        self.model.site = files;
        // The first site is where everything starts, not a change.
        let is_change = self.site_loaded;
        for (name, before) in names.into_iter().zip(before) {
            if is_change && self.model.text(&at, name) != before {
                self.emit_change(&at, name);
            }
        }
        self.commit(None);
    }

    /// Whether an async command of ours is the site's.
    pub(super) fn is_reload(&self, at: &ObjRef, name: &Name) -> bool {
        name.as_str() == "Reload" && self.model.schema.find(SITE) == Some(at.object)
    }

    /// `Reload()`: its OperationComplete comes once the files were read after this moment.
    pub(super) fn ask_reload(&mut self, row: u32) {
        let asked = self.agent.reloads.asked.wrapping_add(1);
        self.agent.reloads.asked = asked;
        self.agent.reloads.waiting.push((asked, row));
        self.note_status(row, "Active");
        self.outputs.push_back(Output::Reload(asked));
    }

    /// The files were read after request `upto` was heard.
    pub(crate) fn complete_reloads(&mut self, upto: u64) {
        let waiting = std::mem::take(&mut self.agent.reloads.waiting);
        let (done, still) = waiting.into_iter().partition(|(asked, _)| *asked <= upto);
        self.agent.reloads.waiting = still;
        for (_, row) in done {
            let outcome = match &self.model.site.refused {
                None => Completed::ReqOutputArgs(OutputArgs::default()),
                Some(why) => command_failed(&Fault::new(ErrCode::COMMAND_FAILURE, why.clone())),
            };
            self.complete_request(row, outcome);
        }
    }
}
