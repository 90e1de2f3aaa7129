//! The words of USP 1.4 (TR-369): Records and Messages, Endpoint IDs, Paths, error codes and the framing of UNIX domain
//! sockets.
//!
//! Pure: bytes and text in, values out, no input or output of its own, and no knowledge of any data model beyond names.
//!
//! | module | what of it |
//! |---|---|
//! | [`record`] | the envelope: encode, decode, and what to answer when it is bad |
//! | [`message`] | the content: building, naming and checking Messages |
//! | [`usp`], [`usp_record`] | the schema's own types, generated from `schema/` |
//! | [`endpoint_id`] | who is who |
//! | [`path`] | Paths of the instantiated and of the supported data model |
//! | [`err_code`] | the codes of Error Messages and of single failures |
//! | [`tr106`] | the text forms of values |
//! | [`uds_frame`], [`websocket`] | what two transports wrap around a Record |

pub mod endpoint_id;
pub mod err_code;
pub mod message;
pub mod path;
pub mod record;
pub mod tr106;
pub mod uds_frame;
pub mod websocket;
mod wire;

/// Messages as the schema `usp-msg` has them, generated.
#[expect(missing_docs, reason = "generated code; the standard documents the fields")]
pub mod usp {
    include!("generated/usp.rs");
}

/// Records as the schema `usp-record` has them, generated.
#[expect(missing_docs, reason = "generated code; the standard documents the fields")]
pub mod usp_record {
    include!("generated/usp_record.rs");
}

/// The USP version that is spoken: in each Record sent, and in GetSupportedProtocol.
pub const USP_VERSION: &str = "1.4";
