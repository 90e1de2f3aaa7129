//! References to secrets. A secret that stands in the file itself is refused, and never repeated.

use super::Report;
use crate::code::Code;
use crate::secret::SecretRef;
use crate::yaml::Node;

impl Report<'_> {
    /// `file:PATH` or `env:NAME`.
    pub(crate) fn secret(&mut self, node: &Node, what: &str) -> Option<SecretRef> {
        let text = self.spelling(node)?;
        let found = SecretRef::parse(&text.value);
        if found.is_none() {
            let message = format!("{what} stands in the file itself, for everybody who can read it");
            let error = self.error(Code::Secret, node.span, message);
            error.help("put it into a file that only the hub reads and write \"file:PATH\", or write \"env:NAME\" for an environment variable");
        }
        found
    }
}
