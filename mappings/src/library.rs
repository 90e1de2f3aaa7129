//! The mapping files inside the program, and finding one by its profile.

use crate::diagnostic::SourceFile;
use crate::draft::site::{Requirement, Use, Version};
use crate::draft::{At, MappingDraft};
use crate::mapping::{ZigbeeOptions, ZigbeeWord};
use crate::site::NotFound;
use crate::words;
use crate::yaml;

/// Name and text of every mapping file inside the program, by name.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    macro_rules! files {
        ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../library/", $name)))),*] };
    }
    files![
        "ble/airthings-wave-plus.yaml",
        "ble/aranet-aranet4.yaml",
        "ble/bluemaestro-tempo-disc.yaml",
        "ble/bluetooth-environment.yaml",
        "ble/bluetooth-health-thermometer.yaml",
        "ble/bluetooth-heart-rate.yaml",
        "ble/bthome-thermometer.yaml",
        "ble/govee-h5074.yaml",
        "ble/qingping-cgg1.yaml",
        "ble/ruuvi-ruuvitag.yaml",
        "ble/shelly-blu-button.yaml",
        "ble/shelly-blu-door-window.yaml",
        "ble/shelly-blu-ht.yaml",
        "ble/shelly-blu-motion.yaml",
        "ble/switchbot-bot.yaml",
        "ble/switchbot-contact.yaml",
        "ble/switchbot-motion.yaml",
        "ble/switchbot-plug-mini.yaml",
        "ble/usp-demo-lock.yaml",
        "ble/xiaomi-lywsd03mmc-atc.yaml",
        "ble/xiaomi-lywsd03mmc-pvvx.yaml",
        "ble/xiaomi-lywsd03mmc.yaml",
        "coap/contiki-rest-example.yaml",
        "coap/ikea-tradfri-bulb.yaml",
        "coap/ikea-tradfri-outlet.yaml",
        "coap/ipso-climate-tlv.yaml",
        "coap/ipso-climate.yaml",
        "coap/ipso-light.yaml",
        "coap/ipso-outlet.yaml",
        "coap/ipso-power-meter.yaml",
        "coap/ipso-presence.yaml",
        "coap/ipso-thermostat.yaml",
        "coap/nordic-thread-light.yaml",
        "coap/usp-demo-climate.yaml",
        "coap/usp-demo-light.yaml",
        "line/denon-avr.yaml",
        "line/dsmr-p1-v2.yaml",
        "line/dsmr-p1-v4.yaml",
        "line/dsmr-p1-v5.yaml",
        "line/epson-escvp21.yaml",
        "line/fluvius-p1.yaml",
        "line/lg-rs232-tv.yaml",
        "line/plantower-pms5003.yaml",
        "line/vaisala-wxt520.yaml",
        "line/victron-mppt.yaml",
        "line/winsen-mh-z19b.yaml",
        "modbus/abb-b23.yaml",
        "modbus/carlo-gavazzi-em111.yaml",
        "modbus/carlo-gavazzi-em24-e1.yaml",
        "modbus/carlo-gavazzi-em340.yaml",
        "modbus/deye-sun-sg04lp3.yaml",
        "modbus/eastron-sdm120.yaml",
        "modbus/eastron-sdm630.yaml",
        "modbus/eastron-sdm72d-m-v2.yaml",
        "modbus/finder-type-7m38.yaml",
        "modbus/go-e-charger.yaml",
        "modbus/growatt-min-tl-xh.yaml",
        "modbus/heidelberg-energy-control.yaml",
        "modbus/huawei-sun2000.yaml",
        "modbus/janitza-umg604.yaml",
        "modbus/keba-p40.yaml",
        "modbus/moxa-iologik-e1214.yaml",
        "modbus/nibe-s-series.yaml",
        "modbus/peacefair-pzem-016.yaml",
        "modbus/schneider-iem3155.yaml",
        "modbus/siemens-pac2200.yaml",
        "modbus/siemens-rdf302.yaml",
        "modbus/sma-inverter.yaml",
        "modbus/solaredge-se.yaml",
        "modbus/stiebel-eltron-wpm.yaml",
        "modbus/sungrow-sg.yaml",
        "modbus/sunspec-inverter.yaml",
        "modbus/sunspec-meter.yaml",
        "modbus/systemair-save.yaml",
        "modbus/usp-demo-meter.yaml",
        "modbus/waveshare-poe-eth-relay-b.yaml",
        "modbus/waveshare-rtu-relay-8ch.yaml",
        "modbus/wirenboard-wb-mr6c-v3.yaml",
        "modbus/wirenboard-wb-msw-v3.yaml",
        "modbus/xy-md02.yaml",
        "mqtt/aqara-wsdcgq11lm.yaml",
        "mqtt/evcc-loadpoint.yaml",
        "mqtt/frient-emizb-141.yaml",
        "mqtt/go-e-charger-mqtt.yaml",
        "mqtt/ikea-led1545g12.yaml",
        "mqtt/opendtu-inverter.yaml",
        "mqtt/openmqttgateway-lywsd03mmc.yaml",
        "mqtt/shelly-door-window-2.yaml",
        "mqtt/shelly-plug-s.yaml",
        "mqtt/shelly-plus-1pm.yaml",
        "mqtt/shelly-roller-25.yaml",
        "mqtt/tasmota-pow.yaml",
        "mqtt/tasmota-relay-4ch.yaml",
        "mqtt/tasmota-th.yaml",
        "mqtt/vaillant-ebus-bai.yaml",
        "mqtt/valetudo-robot.yaml",
        "mqtt/victron-gx.yaml",
        "mqtt/wled-controller.yaml",
        "zigbee/danfoss-ally.yaml",
        "zigbee/develco-zhemi101.yaml",
        "zigbee/heiman-hs1sa.yaml",
        "zigbee/ikea-e1603.yaml",
        "zigbee/ikea-e1745.yaml",
        "zigbee/ikea-e1757.yaml",
        "zigbee/ikea-e1810.yaml",
        "zigbee/ikea-led1836g9.yaml",
        "zigbee/innr-sp-120.yaml",
        "zigbee/lumi-sensor-magnet-aq2.yaml",
        "zigbee/lumi-sensor-motion-aq2.yaml",
        "zigbee/lumi-weather.yaml",
        "zigbee/philips-lct015.yaml",
        "zigbee/philips-sml001.yaml",
        "zigbee/sonoff-snzb-01.yaml",
        "zigbee/sonoff-snzb-02.yaml",
        "zigbee/sonoff-snzb-03.yaml",
        "zigbee/sonoff-snzb-04.yaml",
        "zigbee/usp-demo-lamp.yaml",
        "zigbee/usp-demo-plug.yaml",
        "zigbee/usp-demo-room.yaml",
        "zigbee/yale-yrd226.yaml",
    ]
}

/// Mapping files by profile and version.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    profile: String,
    version: Version,
    file: SourceFile,
    is_own: bool,
}

impl Catalog {
    /// The files inside the program.
    pub fn builtin() -> Self {
        Self::new(std::iter::empty())
    }

    /// These files before those inside the program: of a profile that some of them have in a version that will do, no
    /// other is taken. A file without a profile and a version is left out.
    pub fn new(files: impl IntoIterator<Item = SourceFile>) -> Self {
        let own = files.into_iter().filter_map(entry);
        let inside = builtin().iter().filter_map(|(name, text)| inside(name, text));
        Self { entries: own.chain(inside).collect() }
    }

    /// Profile and version of every file, in the order of the search.
    pub fn profiles(&self) -> impl Iterator<Item = (&str, Version)> {
        self.entries.iter().map(|entry| (entry.profile.as_str(), entry.version))
    }

    /// The file of a profile in the newest version that will do, the first of equals.
    ///
    /// Errors: [`NotFound`]; always for [`Use::File`], which needs somebody who opens files.
    pub fn find(&self, wanted: &Use) -> Result<SourceFile, NotFound> {
        match wanted {
            Use::File(_) => Err(NotFound::Unreadable("no file can be opened here".to_owned())),
            Use::Profile { name, requirement } => self.profile(name, *requirement),
        }
    }

    /// The file that [`find`](Self::find) takes for any version of a profile, if it is none of those inside the program.
    pub fn own(&self, profile: &str) -> Option<&SourceFile> {
        let found = self.profile(profile, Requirement::Any).ok()?;
        let mut own = self.entries.iter().filter(|entry| entry.is_own);
        own.find(|entry| entry.file == found).map(|entry| &entry.file)
    }

    /// The mapping for Zigbee devices that say this of themselves: one's own before those inside the program, one that has
    /// the model word by word before one that has how it begins, then the newest.
    pub fn zigbee(&self, manufacturer: &str, model: &str) -> Option<SourceFile> {
        let fitting = self.entries.iter().filter_map(|entry| {
            let (fits, exactly) = self.is_for(&entry.file, manufacturer, model);
            fits.then_some((entry, exactly))
        });
        let best = fitting.rev().max_by_key(|(entry, exactly)| (entry.is_own, *exactly, entry.version));
        best.map(|(entry, _)| entry.file.clone())
    }

    /// Whether a file is for such devices, and whether it names the model word by word.
    fn is_for(&self, file: &SourceFile, manufacturer: &str, model: &str) -> (bool, bool) {
        let told =
            file.text().lines().any(|line| line.starts_with("zigbee:") || line.starts_with("extends:"));
        if !told {
            return (false, false);
        }
        let Some(draft) = MappingDraft::parse_with(file, &|wanted| self.find(wanted)).0 else {
            return (false, false);
        };
        let words = |all: &[At<String>]| all.iter().map(|at| ZigbeeWord::parse(&at.value)).collect();
        let (manufacturers, models) = (words(&draft.zigbee.manufacturers), words(&draft.zigbee.models));
        let options = ZigbeeOptions { manufacturers, models, ..ZigbeeOptions::default() };
        let exactly = options.models.iter().any(|word| !word.open && word.fits(model));
        (options.fits(manufacturer, model), exactly)
    }

    fn profile(&self, name: &str, requirement: Requirement) -> Result<SourceFile, NotFound> {
        let versions: Vec<&Entry> = self.entries.iter().filter(|entry| entry.profile == name).collect();
        let fitting = versions.iter().filter(|entry| requirement.admits(entry.version));
        // `max_by_key` takes the last of equals; the first in the order of the search is wanted.
        match fitting.rev().max_by_key(|entry| (entry.is_own, entry.version)) {
            Some(entry) => Ok(entry.file.clone()),
            None if versions.is_empty() => {
                let mut known: Vec<String> = self.entries.iter().map(|entry| entry.profile.clone()).collect();
                known.dedup();
                Err(NotFound::Profile { known })
            }
            None => {
                Err(NotFound::Version { found: versions.iter().map(|e| e.version.to_string()).collect() })
            }
        }
    }
}

/// What to do about a profile that nobody knows.
pub fn advice(name: &str, known: &[String]) -> String {
    let near = words::alike(name, known.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{}`? ", near.join("`, `"))).unwrap_or_default();
    format!(
        "{near}`usp-broker mapping list` has them all; one of your own is found in the folder of `--mappings FOLDER`, \
         of the broker in those of `mappings` in `[agent]`"
    )
}

/// Only what stands at the top is looked at: what a file extends may not be known yet.
fn entry(file: SourceFile) -> Option<Entry> {
    let root = yaml::parse(&file).ok()?;
    let text = |key: &str| match &yaml::value(&root, key)?.kind {
        yaml::Kind::Scalar { text, .. } => Some(text.clone()),
        yaml::Kind::List(_) | yaml::Kind::Map(_) => None,
    };
    let version = Version::parse(&text("version")?)?;
    Some(Entry { profile: text("profile")?, version, file, is_own: true })
}

/// The files inside the program have profile and version on lines of their own: a start of the program need not read
/// them all.
fn inside(name: &str, text: &str) -> Option<Entry> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let (profile, version) = (value("profile:")?, Version::parse(value("version:")?)?);
    Some(Entry { profile: profile.to_owned(), version, file: SourceFile::new(name, text), is_own: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_inside_are_known_as_they_are_read() {
        for (name, text) in builtin() {
            let (quick, read) = (inside(name, text), entry(SourceFile::new(name, text)));
            let known = |entry: Option<Entry>| entry.map(|entry| (entry.profile, entry.version));
            let quick = known(quick);
            assert!(quick.is_some() && quick == known(read), "{name}");
        }
    }
}
