//! What every ESP has in common.
