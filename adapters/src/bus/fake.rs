//! Mappings for tests.
