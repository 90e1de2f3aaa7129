//! Mistakes that people make, each planted alone into a file that is otherwise right: `planted/*.md`.
//!
//! Each has exactly one message. It points at what stands between « and », says why and what to do; where it brings a
//! fix, the file is right afterwards. `UPDATE_EXPECT=1 cargo test -p usp-mapping --test planted` writes the
//! messages anew; read the difference.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use usp_mapping::check::check_file;
use usp_mapping::diagnostic::{Diagnostic, SourceFile, mend, render};
use usp_mapping::draft::site::Use;
use usp_mapping::library::Catalog;
use usp_mapping::site::NotFound;

/// What every mapping begins with, unless it says otherwise.
const PRELUDE: &str = "uspmap: 1\nprofile: acme.x\nversion: 1.0.0\ndevice: {type: Sensor}\n";

/// What is inside the program takes its time to read.
static BUILTIN: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

/// The file that is checked.
const NAME: &str = "planted.yaml";

/// One mistake.
struct Planted {
    title: String,
    /// The file that is checked.
    file: SourceFile,
    /// File and place of the mistake.
    at: (String, usize, usize),
    /// Files beside it.
    others: Vec<SourceFile>,
    /// What the checker shall say.
    expected: String,
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted");
    let mut pages: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    pages
}

fn page(path: &Path) -> Vec<Planted> {
    let text = fs::read_to_string(path).expect("a page");
    text.split("\n## ").skip(1).map(planted).collect()
}

fn planted(section: &str) -> Planted {
    let (title, rest) = section.split_once('\n').expect("a title");
    let mut blocks = rest.split("```yaml").skip(1).map(|block| block.split("```").next().expect("a block"));
    let first = blocks.next().expect("a file");
    let marked = first.trim_start_matches('\n');
    let whole = ["uspmap", "site:"].iter().any(|key| marked.contains(key));
    let marked = if whole { marked.to_owned() } else { format!("{PRELUDE}{marked}") };
    let mut at = None;
    let file = unmarked(NAME, &marked, &mut at);
    let others: Vec<SourceFile> = blocks
        .map(|block| {
            let (name, text) = block.trim_start().split_once('\n').expect("a name and a text");
            unmarked(name, text, &mut at)
        })
        .collect();
    let expected = rest.lines().filter_map(|line| line.strip_prefix("> ")).map(|line| format!("{line}\n"));
    Planted { title: title.to_owned(), file, at: at.expect("a mark"), others, expected: expected.collect() }
}

/// A file without its marks, which are remembered.
fn unmarked(name: &str, text: &str, at: &mut Option<(String, usize, usize)>) -> SourceFile {
    if let Some(start) = text.find('«') {
        let end = text.find('»').expect("the end of a mark") - '«'.len_utf8();
        *at = Some((name.to_owned(), start, end));
    }
    SourceFile::new(name, &text.replace(['«', '»'], ""))
}

impl Planted {
    fn check(&self, file: &SourceFile) -> Vec<Diagnostic> {
        check_file(file, &|wanted| match wanted {
            Use::File(path) => {
                let other = self.others.iter().find(|other| other.name() == path).cloned();
                other.ok_or_else(|| NotFound::Unreadable("no such file".to_owned()))
            }
            Use::Profile { .. } if self.others.is_empty() => BUILTIN.find(wanted),
            Use::Profile { .. } => Catalog::new(self.others.iter().cloned()).find(wanted),
        })
    }

    /// What is wrong with what the checker says.
    fn complaint(&self) -> Option<String> {
        let found = self.check(&self.file);
        let [only] = found.as_slice() else {
            return Some(format!("{} messages\n{}", found.len(), render(&found, false)));
        };
        let span = only.span;
        if (only.file.name().to_owned(), span.start, span.end) != self.at {
            return Some(format!("points elsewhere\n{}", render(&found, false)));
        }
        if only.help.as_deref().is_none_or(str::is_empty) {
            return Some(format!("does not say what to do: {only}"));
        }
        if only.fix.is_some() {
            let (mended, count) = mend(&self.file, &found);
            let left = self.check(&SourceFile::new(self.file.name(), &mended));
            if count != 1 || !left.is_empty() {
                return Some(format!("the fix is none\n{mended}\n{}", render(&left, false)));
            }
        }
        let said = said(only);
        (said != self.expected).then(|| format!("expected\n{}--- said\n{said}", self.expected))
    }
}

fn said(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, code, message, help, fix, .. } = diagnostic;
    let help = help.as_ref().map(|help| format!("help: {help}\n")).unwrap_or_default();
    let fix = fix.as_ref().map(|fix| format!("fix: `{}`\n", fix.text)).unwrap_or_default();
    format!("{severity}[{code}]: {message}\n{help}{fix}")
}

#[test]
fn every_mistake_has_one_message_that_tells_where_and_what_to_do() {
    let mut wrong = Vec::new();
    let mut titles = BTreeSet::new();
    for path in pages() {
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            update(&path);
        }
        for planted in page(&path) {
            wrong.extend(planted.complaint().map(|why| format!("## {}: {why}", planted.title)));
            assert!(titles.insert(planted.title.clone()), "{} is there twice", planted.title);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(titles.len() >= 40, "only {} mistakes", titles.len());
}

/// Writes what the checker says below each mistake.
fn update(path: &Path) {
    let text = fs::read_to_string(path).expect("a page");
    let mut sections = text.split("\n## ");
    let mut out = sections.next().expect("an introduction").trim_end().to_owned();
    for section in sections {
        let kept: Vec<&str> = section.lines().filter(|line| !line.starts_with("> ")).collect();
        let planted = planted(section);
        let said: String = planted.check(&planted.file).iter().map(said).collect();
        let said: String = said.lines().map(|line| format!("\n> {line}")).collect();
        out += &format!("\n\n## {}\n{said}", kept.join("\n").trim_end());
    }
    fs::write(path, out + "\n").expect("the page is written");
}
