//! Kinds of problems.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal,)*) => {
        /// What kind of problem a [`Diagnostic`](crate::diagnostic::Diagnostic) reports. Numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])* $name = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What kind of problem it is, in one sentence.
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)*).trim_ascii(),)*
                }
            }
        }
    };
}

codes! {
    /// The file is not YAML.
    Syntax = 1,
    /// The file is too large, or nested too deeply.
    TooLarge = 2,
}

impl Code {
    /// `M001` …
    pub fn name(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:03}", *self as u16)
    }
}
