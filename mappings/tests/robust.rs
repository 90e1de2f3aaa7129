//! No text makes the checker panic, hang or use memory without bound; a mapping comes out exactly when no diagnostic is
//! an error; and every diagnostic points into its file.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use usp_mapping::check::check_file;
use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{Code, Diagnostic, SourceFile, has_errors, mend, render};
use usp_mapping::library::{Catalog, builtin};
use usp_mapping::site::compile_site;

fn check(text: &str) -> Vec<Diagnostic> {
    let catalog = Catalog::builtin();
    check_file(&SourceFile::new("x.yaml", text), &|wanted| catalog.find(wanted))
}

fn survives(text: &str) {
    let file = SourceFile::new("x.yaml", text);
    let (mapping, found) = compile_file(&file);
    assert_eq!(mapping.is_some(), !has_errors(&found), "{text}");
    let catalog = Catalog::default();
    let (site, found_in_site) = compile_site(&file, &|wanted| catalog.find(wanted));
    assert_eq!(site.is_some(), !has_errors(&found_in_site), "{text}");
    for diagnostic in found.iter().chain(&found_in_site) {
        assert!(text.get(diagnostic.span.start..diagnostic.span.end).is_some(), "{diagnostic}");
        assert!(!diagnostic.to_string().is_empty());
    }
    drop(render(&found, false));
    let (mended, count) = mend(&file, &found);
    if count > 0 {
        drop(compile_file(&SourceFile::new("x.yaml", &mended)));
    }
}

/// A library file with a piece cut out and another put in.
fn damaged() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        "[ -~]{0,6}",
        Just("\n".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("!!int ".to_owned()),
        Just("é".to_owned()),
        Just("99999999999999999999999999999999999999".to_owned()),
        Just("-0x8000000000000000000000000000000000".to_owned()),
        Just("0.00000000000000000000000000000000001".to_owned()),
        Just("79228162514264337593543950335".to_owned()),
        Just("-79228162514264337593543950335".to_owned()),
        Just("[[[[".to_owned()),
        Just("~".to_owned()),
        Just("0..255".to_owned()),
    ];
    (0..builtin().len(), any::<prop::sample::Index>(), 0usize..12, bits).prop_map(|(which, at, cut, put)| {
        let text = builtin()[which].1;
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        [text.get(..start), Some(&put), text.get(end..)].into_iter().flatten().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_lines(lines in proptest::collection::vec("[ a-z0-9:{}\\[\\]&*!|>'\"%@`#,?~-]{0,30}", 0..12)) {
        survives(&lines.join("\n"));
    }

    #[test]
    fn any_damage(text in damaged()) {
        survives(&text);
    }

    #[test]
    fn extreme_numbers(
        scale in "-?[0-9]{1,28}(\\.[0-9]{1,20})?", offset in "-?[0-9]{1,29}", min in "-?[0-9]{1,29}",
        max in "-?[0-9]{1,29}", step in "[0-9]{1,29}",
        encoding in prop::sample::select(vec!["u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64"]),
        address in 0u32..70_000, bits in "[0-9]{1,3}\\.\\.[0-9]{1,3}",
    ) {
        for bits in [String::new(), format!(", bits: {bits}")] {
            survives(&format!(
                "uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {{type: Meter}}\ncapabilities:\n  a: {{class: LevelControl, \
                 type: Power, unit: W, read: {{holding: {address}, as: {encoding}, scale: {scale}, offset: {offset}{bits}}}, \
                 write: {{}}, min: {min}, max: {max}, step: {step}, valid: [{min}, {max}]}}\ntests:\n  - {{holding: \
                 {{{address}: [1, 2, 3, 4]}}, expect: {{a: 1}}, write: {{a: {min}}}, sends: {{holding: {{{address}: 1}}}}, \
                 refuses: {{a: {max}}}}}\n"
            ));
        }
    }
}

fn only_code(text: &str) -> Code {
    let found = check(text);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].code
}

#[test]
fn too_much_is_refused() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='k').map(|at| {
            let before = char::from(at as u8 - 1);
            format!("{at}: &{at} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n")
        }).collect::<String>();
    let says = |text: &str| check(text).first().map(ToString::to_string).unwrap_or_default();
    assert_eq!(only_code(&bomb), Code::TooLarge);
    assert!(says(&bomb).contains("aliases (`*name`) make more than 100000 values"), "{}", says(&bomb));
    let within = says("uspmap: 1\na: &a [*a]\n");
    assert!(within.contains("an alias (`*name`) stands in what it is the name of"), "{within}");
    let binary = says("uspmap: 1\u{0}\n");
    assert!(binary.contains("is this a text file?"), "{binary}");
    assert_eq!(only_code(&"[".repeat(100_000)), Code::TooLarge);
    assert_eq!(only_code(&"x".repeat((1 << 20) + 1)), Code::TooLarge);
    assert_eq!(only_code(&format!("uspmap: [{}]", "1,".repeat(100_001))), Code::TooLarge);
}

#[test]
fn many_problems_take_reasonable_time() {
    let head = "uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {type: Meter}\n";
    let keys: String = (0..5000).map(|at| format!("k{at}: 1\n")).collect();
    assert_eq!(check(&format!("{head}{keys}")).len(), 5001, "every unknown key, and no capabilities");
    let tests: String = (0..200).map(|at| format!("  - {{expect: {{x{at}: 1}}}}\n")).collect();
    let caps: String = (0..2000)
        .map(|at| format!("  c{at}: {{class: LevelSensor, type: Power, unit: W, read: {{input: {at}}}}}\n"))
        .collect();
    assert_eq!(check(&format!("{head}capabilities:\n{caps}tests:\n{tests}")).len(), 200);
}

/// A map has at most 4096 entries, but there may be many nodes.
#[test]
fn tens_of_thousands_of_wrong_capabilities_take_reasonable_time() {
    let wrong: String = (0..4090).map(|at| format!("c{at}: {{}}, ")).collect();
    let nodes: String =
        (0..11).map(|at| format!("  n{at}: {{type: Light, capabilities: {{{wrong}}}}}\n")).collect();
    let found =
        check(&format!("uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {{type: Meter}}\nnodes:\n{nodes}"));
    assert!(found.len() >= 11 * 4090, "{}", found.len());
}

#[test]
fn a_large_file_on_one_line_is_checked_in_reasonable_time() {
    let caps: Vec<String> = (0..4000)
        .map(|at| format!("c{at}: {{class: LevelSensor, type: Power, unit: W, read: {{input: {at}}}}}"))
        .collect();
    let head = "{uspmap: 1, profile: a.b, version: 1.0.0, device: {type: Meter}, capabilities: {";
    assert_eq!(check(&format!("{head}{}}}}}", caps.join(", "))), []);
}

#[test]
fn a_large_file_is_checked_in_reasonable_time() {
    let mut text =
        "uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {type: Meter}\ncapabilities:\n".to_owned();
    for at in 0..4000 {
        text += &format!("  c{at}: {{class: LevelSensor, type: Power, unit: W, read: {{input: {at}}}}}\n");
    }
    assert_eq!(check(&text), []);
}

/// What a fuzzer is given to begin with, and found.
#[test]
fn no_body_of_the_corpus_does_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/payload");
    let bodies: Vec<Vec<u8>> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("a body"))
        .collect();
    assert!(bodies.len() >= 10, "only {} bodies", bodies.len());
    bodies.iter().for_each(|body| usp_mapping::payload::fuzzed(body));
}
