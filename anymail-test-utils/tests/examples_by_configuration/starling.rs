//! The example `starling`, as an app's crate would contain it.

#[path = "../../examples/starling/backend.rs"]
pub mod backend;
#[path = "../../examples/starling/factory.rs"]
pub mod factory;
#[path = "../../examples/starling/signature.rs"]
pub mod signature;
#[path = "../../examples/starling/webhook.rs"]
pub mod webhook;
#[path = "../../examples/starling/wire.rs"]
pub mod wire;
