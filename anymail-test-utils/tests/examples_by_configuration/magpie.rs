//! The example `magpie`, as an app's crate would contain it.

#[path = "../../examples/magpie/backend.rs"]
pub mod backend;
#[path = "../../examples/magpie/factory.rs"]
pub mod factory;
#[path = "../../examples/magpie/signature.rs"]
pub mod signature;
#[path = "../../examples/magpie/webhook.rs"]
pub mod webhook;
#[path = "../../examples/magpie/wire.rs"]
pub mod wire;
