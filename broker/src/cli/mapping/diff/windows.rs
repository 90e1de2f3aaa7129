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

#[cfg(test)]
mod tests {
    use usp_mapping::compile::compile_file;
    use usp_mapping::diagnostic::{SourceFile, render};

    use super::*;

    fn detector(hold: &str) -> Mapping {
        let text = format!(
            "uspmap: 1\nprofile: acme.detector\nversion: 1.0.0\ndevice: {{type: Sensor}}\ncapabilities:\n  motion: {{class: \
             BinarySensor, type: MotionDetected, {hold}read: {{discrete: 3}}}}\n"
        );
        let (mapping, found) = compile_file(&SourceFile::new("detector.yaml", &text));
        mapping.unwrap_or_else(|| panic!("{}", render(&found, false)))
    }

    fn differs(old: &str, new: &str) -> Vec<(String, String, Bump)> {
        let (old, new) = (detector(old), detector(new));
        let all = windows((&old, &old.capabilities[0]), (&new, &new.capabilities[0]));
        all.into_iter().flatten().map(|it| (it.old, it.new, it.needs)).collect()
    }

    #[test]
    fn where_a_window_is_held_is_a_change_and_losing_it_a_great_one() {
        let first = "hold: 5s, ";
        let held = "hold: {read: {holding: 4, scale: 1000}, write: {verify: false}}, ";
        let fixed = "hold: {read: {holding: 4, scale: 1000}}, ";
        let read = "in the device at holding 4 u16 × 1000, once";
        let written =
            "; written to holding 4 u16 × 1000 by SingleRegister, not verified, dropped after 5000 ms";
        let (first_text, both, fixed_text) =
            ("5000 ms".to_owned(), format!("{read}{written}"), read.to_owned());
        assert_eq!(differs(first, held), [(first_text.clone(), both.clone(), Bump::Patch)]);
        assert_eq!(differs(held, fixed), [(both.clone(), fixed_text.clone(), Bump::Major)]);
        assert_eq!(differs(fixed, ""), [(fixed_text, String::new(), Bump::Major)]);
        assert_eq!(differs("", held), [(String::new(), both, Bump::Minor)]);
        assert_eq!(differs(held, held), []);
    }
}
