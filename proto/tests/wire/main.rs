//! What `usp-proto` puts on the wire and takes from it.

mod generated;
