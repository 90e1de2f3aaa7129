//! `usp-broker mapping import`: mappings out of other programs' files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use usp_mapping::import::{Format, Imported, ImportedMapping, LeftOut, import};

use crate::cli::{Failure, in_json, print_line};
use crate::site;

/// Make mappings of Home Assistant's modbus YAML, ESPHome's modbus_controller, EdgeX profiles or Wiren Board templates
///
/// Everything that cannot be carried over is listed with its line and the reason. A file may describe several devices: each
/// becomes a mapping, and a site file says where they are, if the file knows it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The file of the other program
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose file it is; told from what is in it if this is left out
    #[arg(long, value_name = "FORMAT", value_parser = Format::ALL.map(Format::name))]
    from: Option<String>,
    /// Where to write: a file for one mapping, a folder for any number and the site file
    #[arg(short = 'o', long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// One JSON object: {"format", "mappings", "site", "left_out"}, or {"error"}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Import) -> Result<(), Failure> {
    in_json(args.json, made(args))
}

fn made(args: &Import) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    let file = site::read(&args.file).map_err(|error| Failure::invalid(format!("{name}: {error}")))?;
    let format = args.from.as_deref().and_then(Format::named);
    let imported = import(format, &file).map_err(|error| Failure::invalid(format!("{name}: {error}")))?;
    let written = args.output.as_deref().map(|output| write(output, &imported)).transpose()?;
    if args.json {
        return show_json(&imported, written.as_deref());
    }
    if written.is_none() {
        show(&imported)?;
    }
    tell(&name, &imported, written.as_deref().unwrap_or_default());
    Ok(())
}

/// Writes what was made; the paths.
fn write(output: &Path, imported: &Imported) -> Result<Vec<PathBuf>, Failure> {
    let is_folder = output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if let ([mapping], false) = (imported.mappings.as_slice(), is_folder) {
        put(output, &mapping.text)?;
        return Ok(vec![output.to_owned()]);
    }
    if !is_folder {
        let count = imported.mappings.len();
        let message =
            format!("the file describes {count} devices: give a folder, such as `-o {}/`", output.display());
        return Err(Failure::invalid(message));
    }
    fs::create_dir_all(output).map_err(|error| Failure::failed(format!("{}: {error}", output.display())))?;
    let mut paths = Vec::new();
    let texts =
        imported.mappings.iter().map(|mapping| (format!("{}.yaml", mapping.profile), mapping.text.as_str()));
    let site = imported.site.as_deref().map(|site| ("site.yaml".to_owned(), site));
    for (name, text) in texts.chain(site) {
        let path = output.join(name);
        put(&path, text)?;
        paths.push(path);
    }
    Ok(paths)
}

/// A file that is there already may be somebody's work.
fn put(path: &Path, text: &str) -> Result<(), Failure> {
    super::folder_of(path)?;
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::AlreadyExists {
            "; remove it first, or choose another name"
        } else {
            ""
        };
        Failure::failed(format!("{}: {error}{hint}", path.display()))
    })
}

/// One mapping as it is, so that it can go into a file; several each under its name.
fn show(imported: &Imported) -> Result<(), Failure> {
    if let [mapping] = imported.mappings.as_slice() {
        return print_line(mapping.text.trim_end());
    }
    for mapping in &imported.mappings {
        print_line(format!("### {}.yaml\n{}", mapping.profile, mapping.text))?;
    }
    match &imported.site {
        Some(site) => print_line(format!("### site.yaml\n{}", site.trim_end())),
        None => Ok(()),
    }
}

/// What became of it, on standard error: the mapping itself may be in a pipe.
fn tell(name: &str, imported: &Imported, written: &[PathBuf]) {
    let mut out = io::stderr().lock();
    let capabilities: usize = imported.mappings.iter().map(|mapping| mapping.capabilities).sum();
    let (devices, left) = (imported.mappings.len(), imported.left_out.len());
    let mut text =
        format!("{}: devices: {devices}, capabilities: {capabilities}, left out: {left}\n", imported.format);
    for path in written {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    for LeftOut { line, what, why } in &imported.left_out {
        text.push_str(&format!("{name}:{line}: {what}: {why}\n"));
    }
    // Nobody is left to tell when standard error itself is closed.
    out.write_all(text.as_bytes()).ok();
}

fn show_json(imported: &Imported, written: Option<&[PathBuf]>) -> Result<(), Failure> {
    let mapping = |mapping: &ImportedMapping| json!({"profile": mapping.profile, "capabilities": mapping.capabilities, "text": mapping.text});
    let left = |left: &LeftOut| json!({"line": left.line, "what": left.what, "why": left.why});
    let written =
        written.map(|paths| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
    print_line(json!({
        "format": imported.format.name(),
        "mappings": imported.mappings.iter().map(mapping).collect::<Vec<_>>(),
        "site": imported.site,
        "left_out": imported.left_out.iter().map(left).collect::<Vec<_>>(),
        "written": written,
    }))
}
