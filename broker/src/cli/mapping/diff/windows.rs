//! Sensitivity, HoldTime and RestTime, each with a first value or held by the device.

use usp_mapping::mapping::{Capability, Mapping, Setting, Window};

use super::changes::{Field, field, offered, poll, read, write};
use super::version::Bump;

/// What differs between the windows of two BinarySensors.
pub(super) fn windows(
    (of_old, old): (&Mapping, &Capability),
    (of_new, new): (&Mapping, &Capability),
) -> Vec<Option<Field>> {
    let differs = |window: Window| {
        let (held, now_held) = (held(of_old, old, window), held(of_new, new, window));
        let (was, is) = (shown(of_old, old, window, held), shown(of_new, new, window, now_held));
        let fixed = |held: Option<&Setting>| held.is_some_and(|setting| setting.like.write.is_none());
        let needs =
            if fixed(now_held) && !fixed(held) { Bump::Major } else { offered(was.as_ref(), is.as_ref()) };
        field(window.key(), needs, &was.unwrap_or_default(), &is.unwrap_or_default())
    };
    Window::ALL.into_iter().map(differs).collect()
}

fn held<'m>(mapping: &'m Mapping, sensor: &Capability, window: Window) -> Option<&'m Setting> {
    let is_of = |setting: &&Setting| mapping.model(setting.of).is_some_and(|of| of.id == sensor.id);
    mapping.settings.iter().filter(|setting| setting.window == window).find(is_of)
}

fn shown(mapping: &Mapping, sensor: &Capability, window: Window, held: Option<&Setting>) -> Option<String> {
    if let Some(Setting { like, .. }) = held {
        let written = like.write.as_ref().map(|to| format!("; written to {}", write(mapping, Some(to))));
        let (from, when) = (read(like.read.as_ref()), poll(mapping, like));
        return Some(format!("in the device at {from}, {when}{}", written.unwrap_or_default()));
    }
    let millis = |time: std::time::Duration| format!("{} ms", time.as_millis());
    match window {
        Window::Sensitivity => sensor.sensitivity.map(|first| first.to_string()),
        Window::HoldTime => sensor.hold.map(millis),
        Window::RestTime => sensor.rest.map(millis),
    }
}
