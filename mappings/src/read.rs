//! From the tree to drafts, one kind of value at a time. Every problem is reported and none ends the reading.

mod extras;
pub(crate) mod fields;
pub(crate) mod mapping;
mod params;
mod place;
mod point;
mod protocol;
mod scalar;
mod secret;
#[cfg(test)]
pub(crate) mod seen;
pub(crate) mod site;
mod spelling;
mod vectors;

#[cfg(test)]
pub(crate) use self::protocol::{fingerprint_keys, read_keys, step_keys, write_keys};
pub(crate) use self::scalar::{as_boolean, is_boolean_word};
pub(crate) use self::spelling::spelled;
#[cfg(test)]
pub(crate) use self::vectors::keys as test_keys;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Fix, Nature, Severity, SourceFile, Span};
use crate::draft::Flaw;
use crate::mapping::ProtocolKind;
use crate::words::{only_nearest, quoted, suggestion};

/// What is read all the same, so that nothing seems to be missing for it.
const READ: [Code; 2] = [Code::Notation, Code::Reversed];

/// Collects the problems of one file and of those that it extends.
pub(crate) struct Report<'f> {
    files: &'f [SourceFile],
    pub(crate) found: Vec<Diagnostic>,
    /// What the unknown keys of the last map were probably meant to be.
    meant: Vec<String>,
    /// The protocol of the mapping that is read.
    pub(crate) protocol: ProtocolKind,
}

impl<'f> Report<'f> {
    pub(crate) fn new(file: &'f SourceFile) -> Self {
        Self::of(std::slice::from_ref(file))
    }

    /// Of a file and those that it extends.
    pub(crate) fn of(files: &'f [SourceFile]) -> Self {
        Self { files, found: Vec::new(), meant: Vec::new(), protocol: ProtocolKind::Modbus }
    }

    /// The text at a place.
    pub(crate) fn source(&self, span: Span) -> &'f str {
        let file = self.files.get(usize::from(span.file));
        file.and_then(|file| file.text().get(span.start..span.end)).unwrap_or_default()
    }

    /// Whether what stands there is in quotes.
    pub(crate) fn is_quoted(&self, span: Span) -> bool {
        self.source(span).starts_with(['"', '\''])
    }

    /// Whether this was found there already.
    pub(crate) fn has(&self, code: Code, span: Span) -> bool {
        self.found.iter().any(|found| found.code == code && found.span == span)
    }

    pub(crate) fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> Help<'_> {
        self.push(code, Severity::Error, span, message.into())
    }

    pub(crate) fn warn(&mut self, code: Code, span: Span, message: impl Into<String>) -> Help<'_> {
        self.push(code, Severity::Warning, span, message.into())
    }

    /// An error about something that is not there.
    pub(crate) fn absent(&mut self, code: Code, span: Span, message: impl Into<String>) -> Help<'_> {
        self.push(code, Severity::Error, span, message.into()).nature(Nature::Absence)
    }

    /// A warning about something that does not fit what else is there.
    pub(crate) fn unfit(&mut self, code: Code, span: Span, message: impl Into<String>) -> Help<'_> {
        self.push(code, Severity::Warning, span, message.into()).nature(Nature::Relation)
    }

    /// How many errors there were since then.
    pub(crate) fn errors(&self, since: usize) -> usize {
        self.found.iter().skip(since).filter(|found| found.is_error()).count()
    }

    /// What the errors since then mean for whatever they are about.
    pub(crate) fn flaw(&self, since: usize) -> Option<Flaw> {
        let errors = self.found.iter().skip(since).filter(|found| found.is_error());
        errors.map(|error| if READ.contains(&error.code) { Flaw::Told } else { Flaw::Unread }).max()
    }

    fn push(&mut self, code: Code, severity: Severity, span: Span, message: String) -> Help<'_> {
        let file = self.files.get(usize::from(span.file)).or(self.files.first()).cloned();
        let file = file.unwrap_or_else(|| SourceFile::new("", ""));
        let nature = Nature::Own;
        self.found.push(Diagnostic { code, severity, nature, message, file, span, help: None, fix: None });
        Help(self.found.last_mut())
    }
}

/// Lets the reporter of a problem add what to do about it.
pub(crate) struct Help<'d>(Option<&'d mut Diagnostic>);

impl Help<'_> {
    pub(crate) fn help(self, text: impl Into<String>) {
        if let Some(diagnostic) = self.0 {
            diagnostic.help = Some(text.into());
        }
    }

    fn nature(mut self, nature: Nature) -> Self {
        if let Some(diagnostic) = &mut self.0 {
            diagnostic.nature = nature;
        }
        self
    }

    /// What to write instead of what the problem points at; only where there can be no doubt.
    pub(crate) fn fix(mut self, text: impl Into<String>) -> Self {
        if let Some(diagnostic) = &mut self.0 {
            diagnostic.fix = Some(Fix { span: diagnostic.span, text: text.into() });
        }
        self
    }

    /// `did you mean …?`, with the nearest of these words as the fix if no other is as near, or else all of them.
    pub(crate) fn suggest(self, given: &str, words: &[&str]) {
        self.suggest_as(given, words, quoted);
    }

    /// As [`Self::suggest`], for a word that is only a part of what the problem points at.
    pub(crate) fn suggest_as(self, given: &str, words: &[&str], whole: impl Fn(&str) -> String) {
        let helped = match only_nearest(given, words.iter().copied()) {
            Some(word) => self.fix(whole(word)),
            None => self,
        };
        helped.help(suggestion(given, words));
    }
}

#[cfg(test)]
mod tests {
    use super::{mapping, protocol, vectors};
    use crate::mapping::ProtocolKind;

    #[test]
    fn every_key_is_in_the_reference() {
        let reference = include_str!("../README.md");
        let mut keys: Vec<&str> = mapping::KEYS.iter().chain(&mapping::CAPABILITY_KEYS).copied().collect();
        for kind in ProtocolKind::ALL {
            keys.extend(protocol::read_keys(kind));
            keys.extend(protocol::write_keys(kind));
            keys.extend(vectors::keys(kind));
        }
        for key in keys {
            let is_listed =
                reference.contains(&format!("`{key}`")) || reference.contains(&format!("`{key}."));
            assert!(is_listed, "`{key}` is not in README.md");
        }
    }
}
