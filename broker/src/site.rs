//! Site and mapping files: found and read here, understood by `usp-mapping`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use usp_mapping::diagnostic::{self, Code, Diagnostic, MAX_BYTES, SourceFile};
use usp_mapping::draft::site::Use;
use usp_mapping::library::Catalog;
use usp_mapping::mapping::{BusKind, Site};
use usp_mapping::site::{NotFound, compile_site};
use usp_proto::endpoint_id::EndpointId;

use crate::cli::without_numbers;
use crate::config::Config;

/// Folders below a mapping folder are searched this deep: by protocol and vendor.
const DEPTH: usize = 3;

/// Why there are no devices.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A file cannot be read.
    #[error("the {what} {path}: {source}", path = .path.display())]
    Unreadable {
        /// In the user's words.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The site or a mapping has errors.
    #[error("{}", diagnostic::render(.0, false).trim_end())]
    Invalid(Vec<Diagnostic>),
}

/// Most problems that are told in one text.
const TOLD: usize = 5;

impl SiteError {
    /// For those who see no more than a line: each problem with its place and what to do, without the lines of the file.
    pub(crate) fn brief(&self) -> String {
        let Self::Invalid(found) = self else { return without_numbers(&self.to_string()) };
        let mut errors: Vec<&Diagnostic> = found.iter().filter(|found| found.is_error()).collect();
        // That a mapping file has errors follows from those errors.
        errors.sort_by_key(|error| error.code == Code::MappingFile);
        let errors: Vec<String> = errors.into_iter().map(ToString::to_string).collect();
        let told = errors.get(..errors.len().min(TOLD)).unwrap_or_default().join(" | ");
        match errors.len().saturating_sub(TOLD) {
            0 => told,
            more => format!("{told} | and {more} more"),
        }
    }
}

/// Reads and compiles the site of a configuration; without one there are no devices. What is not quite right comes along.
pub(crate) fn load(config: &Config) -> Result<(Site, Vec<Diagnostic>), SiteError> {
    load_noting(config, &Sources::default())
}

/// The files and folders that [`load`] reads, or would if they were there: what a change of the devices begins with.
pub(crate) fn sources(config: &Config) -> BTreeSet<PathBuf> {
    let sources = Sources::default();
    sources.borrow_mut().extend(config.site.iter().chain(&config.mappings).cloned());
    // What is wrong with them is told when they are loaded.
    load_noting(config, &sources).ok();
    sources.into_inner()
}

/// Every path that was looked at.
type Sources = RefCell<BTreeSet<PathBuf>>;

fn load_noting(config: &Config, sources: &Sources) -> Result<(Site, Vec<Diagnostic>), SiteError> {
    let Some(path) = &config.site else { return Ok((Site::default(), Vec::new())) };
    let file = read(path).map_err(|source| SiteError::Unreadable {
        what: "site file",
        path: path.clone(),
        source,
    })?;
    let finder = Finder::noting(&config.mappings, path, sources)?;
    let (site, found) = compile_site(&file, &|wanted| {
        if let Use::File(path) = wanted {
            sources.borrow_mut().insert(finder.base.join(path));
        }
        finder.find(wanted)
    });
    match site {
        Some(site) => Ok((site, found)),
        None => Err(SiteError::Invalid(found)),
    }
}

/// Gives each MQTT server whose site names no Client Identifier one of ours: always the same, so that a server ends the
/// half-open connection of a hub that comes back, and another one for each hub and bus. It has no more characters than
/// every server has to take (MQTT 3.1.1, 3.1.3.1).
pub(crate) fn name_clients(site: &mut Site, own: &EndpointId) {
    for bus in &mut site.buses {
        if let BusKind::Mqtt(server) = &mut bus.kind
            && server.client_id.is_none()
        {
            let number = fnv(own.to_string().bytes().chain([0]).chain(bus.name.bytes()));
            server.client_id = Some(format!("usp{number:016x}"));
        }
    }
}

/// FNV-1a, 64 bits: the same in every build.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// As [`load`]; warnings are logged.
pub(crate) fn load_and_log(config: &Config) -> Result<Site, SiteError> {
    let (site, warnings) = load(config)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(site)
}

/// Reads a file for diagnostics. Of one that is too large the beginning is enough to say so.
pub(crate) fn read(path: &Path) -> io::Result<SourceFile> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    let text = if text.len() > MAX_BYTES {
        String::from_utf8_lossy(&text).into_owned()
    } else {
        String::from_utf8(text).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                not_utf8(error.as_bytes(), error.utf8_error().valid_up_to()),
            )
        })?
    };
    Ok(SourceFile::new(&path.display().to_string(), &text))
}

/// What is wrong with a file that was saved in another encoding, and where.
fn not_utf8(bytes: &[u8], at: usize) -> String {
    let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let byte = bytes.get(at).copied().unwrap_or_default();
    // Of the encodings that people still save in, Latin-1 is the usual one.
    let meant = char::from(byte);
    let meant = if meant.is_control() { String::new() } else { format!(", `{meant}` in Latin-1") };
    format!("line {line}, column {column}: byte {byte:#04x}{meant} is no UTF-8; save the file as UTF-8")
}

/// Finds the mapping files that a site names.
pub(crate) struct Finder {
    catalog: Arc<Catalog>,
    base: PathBuf,
}

impl Finder {
    /// Searches `folders` before the library inside the program; `file: …` starts where the site file is.
    ///
    /// Errors: a folder, or a mapping file in it, cannot be read.
    pub(crate) fn new(folders: &[PathBuf], site: &Path) -> Result<Self, SiteError> {
        Self::noting(folders, site, &Sources::default())
    }

    /// As [`Self::new`], with further mapping files that come before those of the folders.
    pub(crate) fn with(folders: &[PathBuf], site: &Path, named: &[SourceFile]) -> Result<Self, SiteError> {
        let mut files = named.to_vec();
        for folder in folders {
            gather(folder, DEPTH, &mut files, &Sources::default())?;
        }
        Ok(Self::within(Arc::new(Catalog::new(files)), site))
    }

    fn noting(folders: &[PathBuf], site: &Path, sources: &Sources) -> Result<Self, SiteError> {
        let mut files = Vec::new();
        for folder in folders {
            gather(folder, DEPTH, &mut files, sources)?;
        }
        Ok(Self::within(Arc::new(Catalog::new(files)), site))
    }

    /// The same profiles for whoever names files relative to another site file: they are read once.
    pub(crate) fn at(&self, site: &Path) -> Self {
        Self::within(Arc::clone(&self.catalog), site)
    }

    fn within(catalog: Arc<Catalog>, site: &Path) -> Self {
        Self { catalog, base: site.parent().unwrap_or(Path::new("")).to_owned() }
    }

    /// Every profile that can be had.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn find(&self, wanted: &Use) -> Result<SourceFile, NotFound> {
        match wanted {
            Use::File(path) => {
                read(&self.base.join(path)).map_err(|error| NotFound::Unreadable(error.to_string()))
            }
            Use::Profile { .. } => self.catalog.find(wanted),
        }
    }
}

/// All mapping files of a folder and those below it, by name.
fn gather(
    folder: &Path,
    depth: usize,
    files: &mut Vec<SourceFile>,
    sources: &Sources,
) -> Result<(), SiteError> {
    sources.borrow_mut().insert(folder.to_owned());
    let wrong = |what, path: &Path| {
        let path = path.to_owned();
        move |source| SiteError::Unreadable { what, path, source }
    };
    let entries = fs::read_dir(folder).map_err(wrong("mapping folder", folder))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && depth > 0 {
            gather(&path, depth - 1, files, sources)?;
        } else if path.is_file()
            && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            sources.borrow_mut().insert(path.clone());
            files.push(read(&path).map_err(wrong("mapping file", &path))?);
        }
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_in_one_line_without_pictures() {
        let text = "site: 1\nbuses:\n  a: {modbus_tcp: \"h\"}\ndevices:\n  d: {use: usp.demo-meter, bus: b, unit: 1}\n";
        let (_, found) =
            compile_site(&SourceFile::new("site.yaml", text), &|_| Err(NotFound::Unreadable(String::new())));
        let told = SiteError::Invalid(found).brief();
        assert!(told.starts_with("site.yaml:3:19: error[M094]: `h` is no network address; help: "), "{told}");
        assert!(told.contains(" | site.yaml:5:33: error[M090]: there is no bus `b`"), "{told}");
        assert!(!told.contains(['\n', '^']), "{told}");
    }

    #[test]
    fn what_is_wrong_with_a_mapping_is_told_before_who_uses_it() {
        let device = |at: usize| format!("  d{at}: {{file: m.yaml, bus: a, unit: {at}}}\n");
        let text = "site: 1\nbuses:\n  a: {modbus_tcp: \"h:502\"}\ndevices:\n".to_owned()
            + &(1..9).map(device).collect::<String>();
        let mapping = "uspmap: 1\nprofile: x.y\nversion: 1.0.0\ndevice: {type: Meter}\ncapabilities:\n  a: {class: Level}\n";
        let (_, found) =
            compile_site(&SourceFile::new("site.yaml", &text), &|_| Ok(SourceFile::new("m.yaml", mapping)));
        let told = SiteError::Invalid(found).brief();
        assert!(told.starts_with("m.yaml:6:3: error[M005]: "), "{told}");
        assert_eq!(told.matches("the mapping file m.yaml has errors").count(), 1, "{told}");
    }

    #[test]
    fn a_file_in_another_encoding_is_told_where() {
        let told = not_utf8(b"a: 1\nb: \"20 \xb0C\"", 12);
        assert_eq!(told, "line 2, column 8: byte 0xb0, `°` in Latin-1 is no UTF-8; save the file as UTF-8");
    }

    #[test]
    fn a_client_is_always_the_same_and_never_another_hubs() {
        let text = "site: 1\nbuses:\n  a: {mqtt: \"h:1883\"}\n  b: {mqtt: \"h:1883\", client_id: mine}\n  c: {mqtt: \"h:1883\"}\ndevices: {}\n";
        let site =
            compile_site(&SourceFile::new("site.yaml", text), &|_| Err(NotFound::Unreadable(String::new())));
        let names = |own: &str| {
            let mut site = site.0.clone().unwrap();
            name_clients(&mut site, &own.parse().unwrap());
            let name = |bus: usp_mapping::mapping::Bus| match bus.kind {
                BusKind::Mqtt(server) => server.client_id.unwrap(),
                other => panic!("{other:?}"),
            };
            site.buses.into_iter().map(name).collect::<Vec<_>>()
        };
        let ours = names("self::hub1");
        assert_eq!(ours, ["usp35e36ff376633a52", "mine", "usp35e36df3766336ec"]);
        let theirs = names("self::hub2");
        assert!(ours[0] != ours[2] && ours[0] != theirs[0] && ours[0].len() <= 23, "{ours:?} {theirs:?}");
    }

    #[test]
    fn a_file_without_end_is_read_no_further_than_to_its_refusal() {
        let file = read(Path::new("/dev/zero")).unwrap();
        assert_eq!(file.text().len(), MAX_BYTES + 1);
        let (site, problems) = compile_site(&file, &|_| Err(NotFound::Unreadable(String::new())));
        assert!(site.is_none());
        assert_eq!(problems.iter().map(|problem| problem.code.name()).collect::<Vec<_>>(), ["M002"]);
    }
}
