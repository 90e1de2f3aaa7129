//! Devices on a serial line, with its timing.

use std::time::Duration;

use usp_simulators::mischief::Fault;
use usp_simulators::modbus::{LineSettings, ModbusLine};
use usp_simulators::value::SimValue;
use usp_tests::place::Place;
use usp_tests::things::meter;
use usp_tests::wait::eventually;

use crate::ACTOR;

/// Two meters on one line: read, switched with confirmation, and one that falls silent while the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_on_a_serial_line_are_read_and_written() {
    let settings =
        LineSettings { baud: 115_200, bits_per_character: 11, delay: Duration::from_millis(1), strict: true };
    let line = ModbusLine::open(settings, [(1, meter(1)), (2, meter(2))], true).unwrap();
    let place = Place::new(ACTOR, "");
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses:\n  line: {{modbus_rtu: {}, baud: 115200, parity: even}}\ndevices:\n  \
             one: {{use: usp.demo-meter, bus: line, unit: 1}}\n  two: {{use: usp.demo-meter, bus: line, unit: 2}}\n",
            line.path().display()
        ),
    );
    let broker = place.start();
    let cli = place.cli();
    let online = |device: &str| cli.values(&format!("Device.ProxiedDevice.[Name==\"{device}\"].Online"));
    eventually("both devices", || {
        ["one", "two"].iter().all(|device| online(device).values().all(|is| is == "true")).then_some(())
    });
    let address = cli.values("Device.ProxiedDevice.[Name==\"two\"].X_USPBROKER_Address");
    let expected = format!("modbus-rtu:{}/2", line.path().display());
    assert_eq!(address.into_values().collect::<Vec<_>>(), [expected]);

    let relay = eventually("its relay", || {
        let all = cli.values("Device.ProxiedDevice.[Name==\"two\"].IoTCapability.*.BinaryControl.Value");
        all.into_keys().next()
    });
    cli.ok(&["set", &format!("{relay}=true")]);
    assert_eq!(line.unit(2).unwrap().get("relay"), Some(SimValue::Bool(true)));
    assert_eq!(line.unit(1).unwrap().get("relay"), Some(SimValue::Bool(false)));

    line.unit(1).unwrap().fault(Fault::Silent);
    eventually("the silent one to be offline", || {
        online("one").values().all(|is| is == "false").then_some(())
    });
    cli.ok(&["set", &format!("{relay}=false")]);
    assert_eq!(cli.value(&relay), "false");
    assert!(online("two").values().all(|is| is == "true"));
    line.unit(1).unwrap().clear_faults();
    eventually("it to be back", || online("one").values().all(|is| is == "true").then_some(()));
    assert_eq!(line.broken_silences(), 0);
    drop(broker);
}

/// As udev shows it: the stable name vanishes, and leads to another device file when the adapter is there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_is_unplugged_and_back_as_another_device_file() {
    let settings =
        LineSettings { baud: 115_200, bits_per_character: 11, delay: Duration::from_millis(1), strict: true };
    let open = || ModbusLine::open(settings, [(1, meter(1))], true).unwrap();
    let place = Place::new(ACTOR, "");
    std::fs::create_dir(place.path("by-id")).unwrap();
    let port = place.path("by-id/usb-adapter-if00-port0");
    let plug = |line: &ModbusLine| std::os::unix::fs::symlink(line.path(), &port).unwrap();
    let first = open();
    // It stays taken, so that the second line has another.
    let name = first.path().to_owned();
    let held = std::fs::File::open(&name).unwrap();
    plug(&first);
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses: {{line: {{modbus_rtu: {}, baud: 115200, parity: even}}}}\ndevices: {{one: {{use: \
             usp.demo-meter, bus: line, unit: 1}}}}\n",
            port.display()
        ),
    );
    let _broker = place.start();
    let cli = place.cli();
    let online = |wanted: &str| {
        let values = cli.values("Device.ProxiedDevice.1.Online");
        values.values().all(|is| is == wanted).then_some(())
    };
    eventually("the device", || online("true"));
    let relay = eventually("its relay", || {
        cli.values("Device.ProxiedDevice.1.IoTCapability.*.BinaryControl.Value").into_keys().next()
    });

    drop(first);
    std::fs::remove_file(&port).unwrap();
    eventually("it to be unplugged", || online("false"));
    assert_ne!(cli.run(&["set", &format!("{relay}=true")]).code, 0, "nobody is there to do it");

    let second = open();
    assert_ne!(second.path(), name);
    drop(held);
    plug(&second);
    eventually("it to be back", || online("true"));
    cli.ok(&["set", &format!("{relay}=true")]);
    assert_eq!(second.unit(1).unwrap().get("relay"), Some(SimValue::Bool(true)));
    assert_eq!(second.broken_silences(), 0);
}
