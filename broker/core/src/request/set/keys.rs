//! What entries that hold together do to each other: unique keys, and Parameters that would get two values.

use std::collections::BTreeMap;

use usp_proto::usp::set::UpdateParamSetting;

use super::SetEntry;
use crate::Broker;
use crate::request::check::Effect;
use crate::request::unit::Step;

impl Broker {
    /// Whether unique keys stay unique, known before anybody else is asked. It depends on the final state, so what holds
    /// together is tried together and taken back.
    pub(super) fn try_keys(&mut self, entries: &mut [SetEntry], steps: &[Vec<Step>], apart: bool) {
        let savepoint = self.model.rows.savepoint();
        for steps in steps {
            self.try_stores(steps);
            if apart {
                self.blame_keys(entries, steps);
                self.model.rows.rollback(savepoint);
            }
        }
        if !apart {
            steps.iter().for_each(|steps| self.blame_keys(entries, steps));
        }
        self.model.rows.rollback(savepoint);
    }

    fn try_stores(&mut self, steps: &[Step]) {
        for step in steps {
            if let Step::Effect(Effect::Store { at, name, value }) = step {
                self.model.rows.set(at, name, value.clone());
            }
        }
    }

    fn blame_keys(&self, entries: &mut [SetEntry], steps: &[Step]) {
        for step in steps {
            let Step::Effect(effect @ Effect::Store { at, name, .. }) = step else { continue };
            if let Err(clash) = self.model.check_keys(at)
                && clash.params.contains(name)
                && let Some(entry) = entries.iter_mut().find(|e| e.failed.is_none() && e.has(effect))
            {
                entry.fail(&clash.fault, Some(effect));
            }
        }
    }
}

/// What holds together sets each Parameter to one value, in several entries as in one.
pub(super) fn blame_conflicts(entries: &mut [SetEntry], steps: &[Vec<Step>]) {
    let mut known: BTreeMap<(String, String), String> = BTreeMap::new();
    for (entry, steps) in entries.iter_mut().zip(steps) {
        for step in steps {
            let clash = settings_of(step).into_iter().find(|(object, param, value)| {
                let key = (object.clone(), param.clone());
                known.entry(key).or_insert_with(|| value.clone()) != value
            });
            if let Some((object, param, _)) = clash {
                entry.clash(step, object, &param);
            }
        }
    }
}

/// What a step sets: objects, Parameters and values, as far as they can be told apart.
fn settings_of(step: &Step) -> Vec<(String, String, String)> {
    match step {
        Step::Effect(effect) => {
            let value = match effect {
                Effect::Store { value, .. } => value.clone(),
                Effect::Write { value, .. } => value.to_usp(),
            };
            vec![(format!("{:?}", effect.at()), effect.name().to_string(), value)]
        }
        Step::SetAtService { object, .. } => {
            let of = |s: &UpdateParamSetting| (object.obj_path.clone(), s.param.clone(), s.value.clone());
            object.param_settings.iter().map(of).collect()
        }
        _ => Vec::new(),
    }
}
