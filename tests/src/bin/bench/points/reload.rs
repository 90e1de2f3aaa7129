//! A mapping that 1,000 devices use, broken and mended while they run, and their site file in another order.

use std::time::Instant;

use usp_tests::wait::eventually;

use super::plant::Plant;
use super::{DEVICES, mapping};
use crate::table::{median, print};

/// Devices on each connection.
const UNITS: usize = 10;

const STATUS: &str = "Device.X_USPBROKER_Site.Status";

/// Measures and prints.
pub(super) fn measure(rounds: u32) {
    let mut plant = Plant::start(DEVICES, std::time::Duration::ZERO);
    let place = crate::world::place("");
    let good = mapping(0);
    place.write("points.yaml", &good);
    place.write("site.yaml", &site(&plant, false));
    let _broker = place.start();
    let cli = place.cli();
    let becomes = |status: &str| {
        let begun = Instant::now();
        eventually(status, || (cli.value(STATUS) == status).then_some(()));
        begun.elapsed().as_secs_f64() * 1e3
    };
    let all = || cli.values("Device.ProxiedDevice.*.Name");
    let before = all();
    assert_eq!(before.len(), DEVICES * UNITS);
    let told = eventually("all connections", || {
        Some(plant.tell()).filter(|told| told.connections >= DEVICES as u64)
    });
    let (mut refused, mut mended, mut changed, mut ordered) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        place.write("points.yaml", &good.replace("class: LevelControl", "class: LevelControll"));
        refused.push(becomes("Refused"));
        assert_eq!(all(), before, "nothing changes");
        place.write("points.yaml", &good);
        mended.push(becomes("Loaded"));
        let description = format!("Round {round}");
        let begun = Instant::now();
        place.write(
            "points.yaml",
            &good.replace("{type: Meter", &format!("{{type: Meter, description: {description}")),
        );
        let path = format!("Device.ProxiedDevice.{}.Description", DEVICES * UNITS);
        eventually("the new description", || (cli.value(&path) == description).then_some(()));
        changed.push(begun.elapsed().as_secs_f64() * 1e3);
        place.write("site.yaml", &site(&plant, round % 2 == 0));
        place.write("points.yaml", &good);
        let begun = Instant::now();
        eventually("the old description", || cli.value(&path).is_empty().then_some(()));
        ordered.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(all(), before, "numbers belong to the devices");
    }
    let again = plant.tell().connections - told.connections;
    let row = |name: &str, times: Vec<f64>, want: &str| {
        vec![name.to_owned(), format!("{:.0} ms{want}", median(times))]
    };
    let rows = vec![
        row("broken: until the reason is shown", refused, ""),
        row("mended: until it is applied", mended, " (≤ 1000 ms)"),
        row("another mapping: until the last device has it", changed, " (≤ 1000 ms)"),
        row("another order of the site and the old mapping", ordered, ""),
        vec!["connections made anew".to_owned(), again.to_string()],
    ];
    print(
        &format!(
            "{} devices, their mapping changed while they run; medians of {rounds} rounds",
            DEVICES * UNITS
        ),
        &rows,
    );
}

fn site(plant: &Plant, backwards: bool) -> String {
    let buses = plant.ports.iter().enumerate();
    let buses: String =
        buses.map(|(bus, port)| format!("  b{bus}: {{modbus_tcp: \"127.0.0.1:{port}\"}}\n")).collect();
    let device = |number: usize| {
        let (bus, unit) = (number % DEVICES, number / DEVICES + 1);
        format!("  d{number}: {{file: points.yaml, bus: b{bus}, unit: {unit}}}\n")
    };
    let mut devices: Vec<String> = (0..DEVICES * UNITS).map(device).collect();
    if backwards {
        devices.reverse();
    }
    format!("site: 1\nbuses:\n{buses}devices:\n{}", devices.concat())
}
