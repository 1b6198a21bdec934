//! The Postmark backend.
