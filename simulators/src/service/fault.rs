//! Why something was refused, as USP says it.

/// An error code and the reason in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (error {code})")]
pub struct Fault {
    /// TR-369 "Error Codes".
    pub code: u32,
    /// For people.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
