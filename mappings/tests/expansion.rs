//! What is done to a mapping before it is read: `extends`, `when`, parameters.

use std::sync::Arc;

use usp_mapping::compile::{compile_file, compile_file_with};
use usp_mapping::diagnostic::{Code, Diagnostic, SourceFile, render};
use usp_mapping::draft::site::Use;
use usp_mapping::library::Catalog;
use usp_mapping::mapping::{Mapping, Site};
use usp_mapping::site::{NotFound, compile_site};

const BASE: &str = "uspmap: 1
profile: acme.base
version: 1.2.0
device: {type: Meter, description: The base}
params: {place: {string: 8, default: home}}
modbus: {max_gap: 4, order: CDAB}
poll: {fast: 1s, slow: 60s}
capabilities:
  voltage: {class: LevelSensor, type: Meter, unit: V, read: {input: 0, as: u32, scale: 0.1}, poll: fast}
  current: {class: LevelSensor, type: Meter, unit: A, name: \"I at ${place}\", read: {input: 2, as: u32}, poll: slow}
  power: {class: LevelSensor, type: Power, unit: W, read: {input: 4, as: u32}, poll: slow}
tests:
  - {input: {0: [2302, 0]}, expect: {voltage: 230.2}}
";

const OWN: &str = "uspmap: 1
profile: acme.own
version: 2.0.0
extends: acme.base@^1
device: {description: The own}
modbus: {max_gap: null, timeout: 2s}
capabilities:
  voltage: {read: {scale: 0.01}}
  power: null
  energy: {class: LevelSensor, type: Energy, unit: kWh, read: {input: 8, as: u32}, poll: slow}
tests:
  - {input: {0: [23020, 0]}, expect: {voltage: 230.2}}
";

/// The files of a folder.
fn check(texts: &[(&str, &str)]) -> (Option<Mapping>, Vec<Diagnostic>) {
    let files = || texts.iter().map(|(name, text)| SourceFile::new(name, text));
    let catalog = Catalog::new(files());
    let file = files().next().expect("a file");
    compile_file_with(&file, &|wanted| catalog.find(wanted))
}

fn told(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

fn ids(mapping: &Mapping) -> Vec<&str> {
    mapping.capabilities.iter().map(|cap| cap.id.as_str()).collect()
}

fn address(mapping: &Mapping, id: &str) -> u16 {
    let cap = mapping.capabilities.iter().find(|cap| cap.id == id).expect(id);
    cap.read.as_ref().expect("a read").parts[0].point.modbus().expect("Modbus").address
}

#[test]
fn maps_are_merged_and_null_takes_out() {
    let (mapping, found) = check(&[("own.yaml", OWN), ("base.yaml", BASE)]);
    assert!(found.is_empty(), "\n{}", render(&found, false));
    let mapping = mapping.expect("nothing was found");
    assert_eq!(ids(&mapping), ["voltage", "current", "energy"], "the order of the base, then what is new");
    assert_eq!((mapping.profile.as_str(), mapping.version.as_str()), ("acme.own", "2.0.0"));
    assert_eq!((mapping.device_type.as_str(), mapping.description.as_str()), ("Meter", "The own"));
    let options = mapping.protocol.modbus().expect("Modbus");
    assert_eq!((options.max_gap.input, options.timeout.as_secs()), (0, 2), "one removed, one added");
    assert_eq!(mapping.capabilities[1].name, "I at home", "parameters are inherited");
}

#[test]
fn a_problem_is_told_where_it_stands() {
    let base = BASE.replace("unit: A", "unit: Ampere");
    let (mapping, found) = check(&[("own.yaml", OWN), ("base.yaml", &base)]);
    assert!(mapping.is_none());
    let [problem] = found.as_slice() else { panic!("{:?}", told(&found)) };
    assert_eq!((problem.file.name(), problem.span.line, problem.code), ("base.yaml", 10, Code::Unit));
    assert!(render(&found, false).contains("base.yaml:10"), "{}", render(&found, false));

    let own = OWN.replace("scale: 0.01", "scale: 0");
    let (_, found) = check(&[("own.yaml", &own), ("base.yaml", BASE)]);
    assert_eq!((found[0].file.name(), found[0].span.line, found[0].code), ("own.yaml", 8, Code::Scale));
}

#[test]
fn what_cannot_be_extended_is_told() {
    let at = |own: &str, others: &[(&str, &str)]| {
        let mut all = vec![("own.yaml", own)];
        all.extend_from_slice(others);
        let (mapping, found) = check(&all);
        assert!(mapping.is_none(), "{own}");
        found.first().map(|problem| (problem.code, problem.span.line)).expect("a problem")
    };
    assert_eq!(at(OWN, &[]), (Code::Extends, 4), "nobody has it");
    let newer = BASE.replace("version: 1.2.0", "version: 2.0.0");
    assert_eq!(at(OWN, &[("base.yaml", &newer)]), (Code::Extends, 4), "no version will do");
    let itself = OWN.replace("extends: acme.base@^1", "extends: acme.own");
    assert_eq!(at(&itself, &[]), (Code::ExtendsCircle, 4));
    let round = BASE.replace("params:", "extends: acme.own\nparams:");
    assert_eq!(at(OWN, &[("base.yaml", &round)]).0, Code::ExtendsCircle);
    let old = BASE.replace("uspmap: 1", "uspmap: 2");
    assert_eq!(at(OWN, &[("base.yaml", &old)]).0, Code::Language);
    assert_eq!(
        at(&OWN.replace("acme.base@^1", "acme.base@next"), &[("base.yaml", BASE)]).0,
        Code::ProfileVersion
    );
}

#[test]
fn a_chain_ends() {
    let name = |at: usize| format!("acme.n{at}");
    let texts: Vec<(String, String)> = (0..12)
        .map(|at| {
            let text = BASE
                .replace("acme.base", &name(at))
                .replace("params:", &format!("extends: {}\nparams:", name(at + 1)));
            (format!("{at}.yaml"), text)
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (mapping, found) = check(&texts);
    assert!(mapping.is_none());
    assert!(told(&found)[0].contains("more than 8 files extend one another"), "{:?}", told(&found));
}

const PARAMS: &str = "uspmap: 1
profile: acme.params
version: 1.0.0
device: {type: Meter}
params:
  phase: {enum: [L1, L2, L3], default: L1, gives: {base: [0, 100, 200], letter: [A, B, C]}}
  board: {int: [1, 4], default: 1, gives: {first: [0x1000, 0x2000, 0x3000, 0x4000]}}
  start: {int: [0, 1000], default: 10}
  relay: {bool: false}
  order: {enum: [ABCD, CDAB], default: ABCD}
capabilities:
  voltage: {class: LevelSensor, type: Meter, unit: V, name: \"U ${phase}\", description: \"Clamp ${letter}\", read: {input: \"${base}\"}}
  current: {class: LevelSensor, type: Meter, unit: A, read: {input: [\"${base}\", 2], as: f32, order: \"${order}\"}}
  power: {class: LevelSensor, type: Power, unit: W, read: {holding: [\"${first}\", \"${start}\", 5]}}
  only-first: {when: {phase: L1}, class: LevelSensor, type: Power, unit: W, read: {input: 50}}
  switch: {when: {relay: true, phase: [L1, L2]}, class: BinaryControl, type: Switch, read: {coil: 0}, write: {}}
tests:
  - {input: {0: 230}, expect: {voltage: 230}}
  - {params: {phase: L2}, input: {100: 231}, expect: {voltage: 231}}
  - {params: {order: CDAB}, input: {2: [0x3333, 0x4366]}, expect: {current: 230.2}}
  - {params: {board: 3, start: 7}, holding: {0x300c: 9}, expect: {power: 9}}
  - {params: {relay: true}, coil: {0: 1}, expect: {switch: true}}
";

fn site(devices: &str) -> Site {
    let text = format!("site: 1\nbuses: {{b: {{modbus_tcp: \"h:1\"}}}}\ndevices:\n{devices}");
    let find = |wanted: &Use| match wanted {
        Use::File(_) => Ok(SourceFile::new("params.yaml", PARAMS)),
        Use::Profile { .. } => Err(NotFound::Profile { known: Vec::new() }),
    };
    let (site, found) = compile_site(&SourceFile::new("site.yaml", &text), &find);
    assert!(found.is_empty(), "\n{}", render(&found, false));
    site.expect("nothing was found")
}

#[test]
fn parameters_stand_for_whole_values() {
    let (mapping, found) = compile_file(&SourceFile::new("params.yaml", PARAMS));
    assert!(found.is_empty(), "\n{}", render(&found, false));
    let mapping = mapping.expect("nothing was found");
    assert_eq!(ids(&mapping), ["voltage", "current", "power", "only-first"]);
    assert_eq!((address(&mapping, "current"), address(&mapping, "power")), (2, 0x100f));
    let site = site(
        "  a: {file: x, bus: b, unit: 1, params: {phase: L2, relay: true}}\n  \
         b: {file: x, bus: b, unit: 2, params: {phase: L2, relay: true}}\n  \
         c: {file: x, bus: b, unit: 3, params: {board: 4, start: 0}}\n",
    );
    let mappings: Vec<&Arc<Mapping>> = site.devices.iter().map(|device| &device.mapping).collect();
    assert_eq!(ids(mappings[0]), ["voltage", "current", "power", "switch"]);
    assert_eq!((mappings[0].capabilities[0].name.as_str(), address(mappings[0], "current")), ("U L2", 102));
    assert_eq!(mappings[0].capabilities[0].description, "Clamp B");
    assert!(Arc::ptr_eq(mappings[0], mappings[1]), "equal parameters share one mapping");
    assert_eq!(address(mappings[2], "power"), 0x4005);
}

#[test]
fn every_test_has_its_parameters() {
    for (good, bad) in [
        ("input: {100: 231}, expect: {voltage: 231}", "input: {100: 231}, expect: {voltage: 232}"),
        ("[0x3333, 0x4366]", "[0x4366, 0x3333]"),
        ("params: {board: 3", "params: {board: 2"),
        ("params: {relay: true}, ", ""),
        ("params: {phase: L2}", "params: {phase: L9}"),
        ("params: {phase: L2}", "params: {phases: L2}"),
    ] {
        let (mapping, found) = compile_file(&SourceFile::new("params.yaml", &PARAMS.replacen(good, bad, 1)));
        let code = found.first().map(|problem| problem.code);
        assert!(
            mapping.is_none() && matches!(code, Some(Code::TestFailed | Code::TestShape)),
            "{bad}: {:?}",
            told(&found)
        );
    }
}

/// What the defaults do not show is found too.
#[test]
fn every_value_of_an_enum_is_checked() {
    let broken = PARAMS.replace("base: [0, 100, 200]", "base: [0, 100, 65535]");
    let (mapping, found) = compile_file(&SourceFile::new("params.yaml", &broken));
    assert!(mapping.is_none());
    let told = told(&found);
    assert!(told[0].contains("the parts add up to 65537, with `phase: L3`"), "{told:?}");
    let broken = PARAMS.replace("read: {coil: 0}, write: {}", "read: {coil: 0}");
    let (_, found) = compile_file(&SourceFile::new("params.yaml", &broken));
    assert!(found.iter().any(|problem| problem.message.ends_with("with `relay: true`")), "{found:?}");
}

#[test]
fn what_is_wrong_with_parameters_is_told() {
    for (good, bad, code) in [
        ("when: {phase: L1}", "when: {fase: L1}", Code::Condition),
        ("when: {phase: L1}", "when: {phase: L4}", Code::Condition),
        ("when: {phase: L1}", "when: L1", Code::Condition),
        ("letter: [A, B, C]", "letter: [A, B]", Code::ParamGives),
        ("\"U ${phase}\"", "\"U ${fase}\"", Code::Placeholder),
        ("input: \"${base}\"", "input: \"${bass}\"", Code::Placeholder),
        ("input: \"${base}\"", "input: \"1${base}\"", Code::Placeholder),
        ("input: \"${base}\"", "input: \"${letter}\"", Code::WrongKind),
        ("relay: {bool: false}", "relay: {bool: maybe}", Code::WrongKind),
    ] {
        let (mapping, found) = compile_file(&SourceFile::new("params.yaml", &PARAMS.replacen(good, bad, 1)));
        assert!(mapping.is_none(), "{bad}");
        assert!(found.iter().any(|problem| problem.code == code), "{bad}: {:?}", told(&found));
    }
}

/// As vendors print them, and wherever an address may stand.
#[test]
fn addresses_are_hexadecimal_too() {
    let text = "uspmap: 1\nprofile: acme.hex\nversion: 1.0.0\ndevice: {type: Sensor}\n\
        params: {base: {int: [0, 0xffff], default: 0x1F0}}\n\
        capabilities:\n  \
          a: {class: LevelSensor, type: Power, unit: W, read: {input: 0x1F4, as: s16, exponent: {input: 0x1F5}}}\n  \
          b: {class: LevelControl, type: Power, unit: W, min: 0, max: 10, read: {holding: [\"${base}\", 0x04]}, write: {holding: 0x0204}}\n\
        fingerprint: [{input: 0x1F6, equals: 0x55}]\n\
        commands:\n  X_ACME_Reset: {send: [{holding: 0x210, value: 0x55}]}\n\
        tests:\n  \
          - {input: {0x1F4: 12, 0x1F5: 0}, holding: {0x1F4: 7}, expect: {a: 12, b: 7}}\n  \
          - {write: {b: 5}, sends: {holding: {0x204: 5}}}\n  \
          - {params: {base: 0x300}, holding: {0x304: 8}, expect: {b: 8}}\n  \
          - {command: {X_ACME_Reset: {}}, sends: {holding: {0x210: 0x55}}}\n";
    let (mapping, found) = check(&[("hex.yaml", text)]);
    assert!(mapping.is_some() && found.is_empty(), "{:?}", told(&found));
}
