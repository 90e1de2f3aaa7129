//! What the Controller commands print: for people on two streams, with `--json` as one object.
//!
//! For people, standard output has results alone, and each fault is one line `error CODE NAME: text (where)` on standard
//! error. With `--json` everything is in the object, faults too, in the shape of [`Fault`].

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use usp_proto::err_code::ErrCode;
use usp_proto::usp;

use crate::cli::{Failure, print_line};

/// The answer to a command, ready to be shown.
pub(super) trait Report: Serialize {
    /// The results, for people; empty, or ending in a line break.
    fn text(&self) -> String;

    /// Everything that failed.
    fn faults(&self) -> Vec<&Fault>;

    /// What a person should know besides: why there may be no results.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether nothing failed and what was asked for is there.
    fn is_whole(&self) -> bool {
        self.faults().is_empty()
    }
}

/// Prints the report; the error says that something in it failed.
pub(super) fn show(report: &impl Report, json: bool) -> Result<(), Failure> {
    if json {
        print_line(to_json(report)?)?;
    } else {
        let text = report.text();
        if !text.is_empty() {
            print_line(text.trim_end_matches('\n'))?;
        }
        report.faults().iter().for_each(say);
        report.notes().iter().for_each(say);
    }
    if report.is_whole() { Ok(()) } else { Err(Failure::Shown) }
}

/// One line of JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::failed)
}

/// Prints one line. `false`: nobody reads any more, and the command should end.
pub(super) fn print_if_read(line: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(format!("standard output: {error}"))),
    }
}

/// One line on standard error.
pub(super) fn say(line: impl fmt::Display) {
    // Nobody is left to tell when standard error itself is closed.
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// One thing that failed: `{"code":7026,"name":"Invalid path","message":"…","path":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Fault {
    /// The code of TR-369's list.
    pub(super) code: u32,
    /// Its name there.
    pub(super) name: &'static str,
    /// The Agent's words.
    pub(super) message: String,
    /// Which path it is about; left out when it is about the whole request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
}

impl Fault {
    /// A fault of one path.
    pub(super) fn at(path: &str, code: u32, message: &str) -> Self {
        Self { code, name: ErrCode(code).name(), message: message.to_owned(), path: Some(path.to_owned()) }
    }

    /// Whether it says, of another path perhaps, what `other` says.
    pub(super) fn tells_the_same(&self, other: &Self) -> bool {
        (self.code, &self.message) == (other.code, &other.message)
    }

    /// A fault of one path, if there is one: code 0 means success.
    pub(super) fn unless_ok(path: &str, code: u32, message: &str) -> Option<Self> {
        (code != 0).then(|| Self::at(path, code, message))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} {}", self.code, self.name)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        // Often the Agent has named the path itself.
        match &self.path {
            Some(path) if !self.message.contains(path.as_str()) => write!(f, " ({path})"),
            _ => Ok(()),
        }
    }
}

/// The Agent's Error message: `{"error":{"code":…,"name":…,"message":…},"errors":[…]}`.
#[derive(Debug, serde::Serialize)]
pub(super) struct Refusal {
    error: Fault,
    errors: Vec<Fault>,
}

impl Refusal {
    /// Says which path the whole request was about, where the Agent names none.
    pub(super) fn about(mut self, path: &str) -> Self {
        if self.errors.is_empty() {
            self.error.path.get_or_insert_with(|| path.to_owned());
        }
        self
    }
}

impl From<usp::Error> for Refusal {
    fn from(error: usp::Error) -> Self {
        let whole = Fault {
            code: error.err_code,
            name: ErrCode(error.err_code).name(),
            message: error.err_msg,
            path: None,
        };
        let errors = error.param_errs.iter().map(|e| Fault::at(&e.param_path, e.err_code, &e.err_msg));
        Self { error: whole, errors: errors.collect() }
    }
}

impl Report for Refusal {
    fn text(&self) -> String {
        String::new()
    }

    /// The whole is not told when one of its parts tells the same.
    fn faults(&self) -> Vec<&Fault> {
        let told = self.errors.iter().any(|part| part.tells_the_same(&self.error));
        let whole = (!told).then_some(&self.error);
        whole.into_iter().chain(&self.errors).collect()
    }
}

/// Names and values in the order in which people read them; a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(pub(super) Vec<(String, String)>);

impl Values {
    /// Sorted, each name with `prefix` before it.
    pub(super) fn sorted(prefix: &str, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut values: Vec<_> =
            pairs.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect();
        values.sort_by(|(a, _), (b, _)| natural(a, b));
        Self(values)
    }

    /// `name = value` lines with the equals signs below each other, each after `indent`.
    pub(super) fn lines(&self, indent: &str) -> String {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        self.0.iter().map(|(name, value)| format!("{indent}{name:width$} = {}\n", one_line(value))).collect()
    }

    /// `name=value name=value`, with values that need it in quotes.
    pub(super) fn inline(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        pairs.join(" ")
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A value cannot break the line or move the cursor: control characters are shown as escapes.
pub(super) fn one_line(value: &str) -> String {
    value
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"' || c == '=');
    if plain { one_line(value) } else { format!("{:?}", value) }
}

/// Orders paths as people read them: `A.2.` before `A.10.`, an object before what is in it, and of that the Parameters
/// before the objects.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    place(a).cmp(place(b))
}

fn place(path: &str) -> impl Iterator<Item = (bool, u64, &str)> {
    let last = path.matches('.').count();
    // A name comes after all numbers.
    let number = |segment: &str| segment.parse().unwrap_or(u64::MAX);
    path.split('.').enumerate().map(move |(at, segment)| (at < last, number(segment), segment))
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::error::ParamError;

    use super::*;

    #[test]
    fn orders_instance_numbers_by_size() {
        let mut paths = ["D.A.10.X", "D.A.9.X", "D.A.", "D.A.9.", "D.B", "D.A.9.1.", "D.A.C.X"];
        paths.sort_by(|a, b| natural(a, b));
        assert_eq!(paths, ["D.B", "D.A.", "D.A.9.", "D.A.9.X", "D.A.9.1.", "D.A.10.X", "D.A.C.X"]);
    }

    #[test]
    fn aligns_values_and_keeps_them_on_their_line() {
        let pairs = [("B", "x\ny"), ("Alias", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let values = Values::sorted("D.", pairs);
        assert_eq!(values.lines("  "), "  D.Alias = 1\n  D.B     = x\\ny\n");
        assert_eq!(to_json(&values).unwrap(), r#"{"D.Alias":"1","D.B":"x\ny"}"#);
        let args =
            Values(vec![("A".into(), "a b".into()), ("B".into(), "".into()), ("C".into(), "3".into())]);
        assert_eq!(args.inline(), r#"A="a b" B="" C=3"#);
    }

    #[test]
    fn a_fault_names_code_text_and_path_once() {
        let fault = Fault::at("Device.No.", 7026, "unknown object");
        assert_eq!(fault.to_string(), "error 7026 Invalid path: unknown object (Device.No.)");
        let fault = Fault::at("Device.No.", 7026, "Device.No. is unknown");
        assert_eq!(fault.to_string(), "error 7026 Invalid path: Device.No. is unknown");
        assert_eq!(Fault::unless_ok("Device.", 0, ""), None);
        let same = ParamError { param_path: "Device.X".into(), err_code: 7013, err_msg: "read-only".into() };
        let refusal = |err_msg: &str| {
            let error =
                usp::Error { err_code: 7013, err_msg: err_msg.into(), param_errs: vec![same.clone()] };
            Refusal::from(error).faults().len()
        };
        assert_eq!((refusal("read-only"), refusal("one Parameter failed")), (1, 2));
        assert_eq!(
            Fault::at("Device.X", 7850, "jammed").to_string(),
            "error 7850 Vendor error: jammed (Device.X)"
        );
    }
}
