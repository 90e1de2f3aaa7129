//! What other versions have: refused by name, so that nobody believes it to be in effect.

/// Sections and keys of the configuration's design that this version does not have.
const PLANNED: &[&str] =
    &["console", "controller.stomp", "controller.websocket", "stomp", "tls", "websocket.tls"];

/// Whether `path` names something that is designed but not built.
pub(super) fn is_planned(path: &str) -> bool {
    PLANNED.contains(&path)
}
