//! The committed code is what the schema gives (R-ENC.0, R-ENC.1).
//!
//! After a change of the schema: `UPDATE_GENERATED=1 cargo test -p usp-proto generated`.

use std::fs;
use std::path::Path;

#[test]
fn the_generated_code_fits_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    generate(&root.join("schema"), fresh.path());
    for file in ["usp.rs", "usp_record.rs"] {
        let new = fs::read_to_string(fresh.path().join(file)).unwrap();
        let committed = root.join("src/generated").join(file);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(&committed, &new).unwrap();
        }
        let old = fs::read_to_string(&committed).unwrap();
        assert!(
            old == new,
            "{file} does not fit the schema: run this test with UPDATE_GENERATED=1 and commit"
        );
    }
}

fn generate(schema: &Path, out: &Path) {
    let files = protox::compile(["usp-record.proto", "usp-msg.proto"], [schema]).unwrap();
    // Ordered maps: the same Message always gives the same bytes.
    prost_build::Config::new().btree_map(["."]).out_dir(out).compile_fds(files).unwrap();
    let file = out.join("usp.rs");
    fs::write(&file, by_hand(&fs::read_to_string(&file).unwrap())).unwrap();
}

/// One type is written by hand (`message/params.rs`), because long answers consist of it.
fn by_hand(code: &str) -> String {
    let generated = "    #[derive(Clone, PartialEq, ::prost::Message)]\n    pub struct ResolvedPathResult {";
    let (before, rest) = code.split_once(generated).unwrap();
    let (_, after) = rest.split_once("    }\n").unwrap();
    format!("{before}    pub use crate::message::params::ResolvedPathResult;\n{after}")
}
