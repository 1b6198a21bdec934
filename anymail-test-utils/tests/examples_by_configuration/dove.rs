//! The example `dove`, as an app's crate would contain it.

#[path = "../../examples/dove/backend.rs"]
pub mod backend;
#[path = "../../examples/dove/factory.rs"]
pub mod factory;
#[path = "../../examples/dove/wire.rs"]
pub mod wire;
