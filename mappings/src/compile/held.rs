//! Windows of BinarySensors that the device itself holds.

use rust_decimal::Decimal;

use super::Compiler;
use super::meaning::reach;
use crate::code::Code;
use crate::draft::{At, CapabilityDraft};
use crate::mapping::{Capability, Class, Setting, Window};
use crate::port::PointId;

impl Compiler<'_> {
    pub(super) fn settings(&mut self) -> Vec<Setting> {
        let draft = self.draft;
        let sensors = (0u16..).map(PointId).zip(&draft.capabilities);
        let held = sensors.flat_map(|(of, cap)| cap.held.iter().map(move |held| (of, held)));
        let places = (0u16..).skip(draft.capabilities.len()).map(PointId);
        let held = held.filter(|(_, (_, like))| like.read.is_some()).zip(places);
        held.map(|((of, (window, like)), id)| Setting {
            of,
            window: window.value,
            like: self.member(&like.id.value, |this| this.setting(*window, like, id)),
        })
        .collect()
    }

    /// What the register can hold of what the Parameter can be.
    fn setting(&mut self, window: At<Window>, like: &CapabilityDraft, id: PointId) -> Capability {
        self.check_key(like);
        let most = window.value.most();
        let mut like =
            CapabilityDraft { valid: Some(At::new((Decimal::ZERO, most), window.span)), ..like.clone() };
        self.drop_maps(window.value, &mut like);
        let mut setting = self.like(&like, Class::LevelControl, id);
        if let Some(write) = &mut setting.write {
            let reached = reach(&write.transform, write.point.raw_kind());
            let (least, greatest) = reached.unwrap_or((Decimal::ZERO, most));
            setting.range = Some((least.max(Decimal::ZERO), greatest.min(most)));
            write.transform.valid = setting.range;
        }
        setting
    }

    /// A window has no states, and no other class would give it some.
    fn drop_maps(&mut self, window: Window, like: &mut CapabilityDraft) {
        let read = like.read.as_mut().and_then(|read| read.point.map.take());
        let write = like.write.as_mut().and_then(|write| write.point.map.take());
        for map in read.into_iter().chain(write) {
            let message = format!("`{}` is a number and has no `map`", window.key());
            let error = self.report.error(Code::MapPresence, map.span, message);
            error.help("use `scale` and `offset`");
        }
    }

    /// Tests call it by the sensor and the key, and a capability of a node may be called the same.
    fn check_key(&mut self, like: &CapabilityDraft) {
        let id = &like.id;
        if self.draft.capabilities.iter().any(|cap| cap.id.value == id.value) {
            let message = format!("`{}` is also a capability of a node", id.value);
            let error = self.report.error(Code::DuplicateName, id.span, message);
            error.help("give the node or its capability another key");
        }
    }
}
