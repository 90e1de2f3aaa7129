//! `Device.X_USPBROKER_Site.`: what Controllers are told of the files behind the devices.

use usp_core::input::Input;

use crate::bench::World;

const SITE: &str = "Device.X_USPBROKER_Site.";
const RELOAD: &str = "Device.X_USPBROKER_Site.Reload()";

#[test]
fn errors_are_shown_and_the_former_devices_stay() {
    let mut w = World::new();
    w.site("meter: box");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, &format!("{SITE}Status")), format!("{SITE}Status=Loaded"));
    assert_eq!(w.get(c, &format!("{SITE}LoadedAt")), format!("{SITE}LoadedAt=2026-01-01T00:00:00Z"));
    w.subscribe(c, "s", "ValueChange", SITE);

    w.wait(5);
    w.input(Input::SiteRefused("site.yaml:3: no".to_owned()));
    let told = w.notes(c);
    assert!(told.iter().any(|note| note.contains("Status=Refused")), "{told:?}");
    assert!(told.iter().any(|note| note.contains("LastError=site.yaml:3: no")), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Name"), "Device.ProxiedDevice.1.Name=The meter");
    // The same again is no change.
    w.input(Input::SiteRefused("site.yaml:3: no".to_owned()));
    assert_eq!(w.notes(c), Vec::<String>::new());

    w.site("meter: box");
    let told = w.notes(c);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().any(|note| note.contains("LoadedAt=2026-01-01T00:00:05Z")), "{told:?}");
    assert_eq!(w.get(c, &format!("{SITE}LastError")), format!("{SITE}LastError="));
}

#[test]
fn reload_completes_once_the_files_were_read_after_it() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "o", "OperationComplete", SITE);
    w.operate(c, RELOAD, "first", &[]);
    w.operate(c, RELOAD, "second", &[]);
    assert_eq!(w.reloads, [1, 2]);
    // Read when only the first had been heard.
    w.site("");
    w.input(Input::Reloaded(1));
    let told = w.notes(c);
    assert!(told.len() == 1 && told[0].contains("first"), "{told:?}");
    w.input(Input::SiteRefused("site.yaml: cannot be read".to_owned()));
    w.input(Input::Reloaded(2));
    assert_eq!(w.notes(c), [format!("o: OperationComplete {RELOAD} 'second' 7022")]);
    assert_eq!(
        w.get(c, "Device.LocalAgent.RequestNumberOfEntries"),
        "Device.LocalAgent.RequestNumberOfEntries=0"
    );
}

#[test]
fn a_very_long_error_is_cut() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.input(Input::SiteRefused("é".repeat(10_000)));
    let shown = w.get(c, &format!("{SITE}LastError"));
    assert_eq!(shown.chars().filter(|c| *c == 'é').count(), 4096);
}
