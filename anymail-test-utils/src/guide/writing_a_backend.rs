#![doc = include_str!("../../docs/writing_a_backend/1_start.md")]
#![doc = "\n`wire.rs`:\n\n```no_run"]
#![doc = include_str!("../../examples/pigeon/wire.rs")]
#![doc = "# fn main() {}\n```\n"]
#![doc = include_str!("../../docs/writing_a_backend/2_call.md")]
#![doc = "\n`backend.rs`:\n\n```no_run"]
#![doc = include_str!("../../examples/pigeon/backend.rs")]
#![doc = "# #[path = \"../../examples/pigeon/wire.rs\"] mod wire;"]
#![doc = "# fn main() {}\n```\n"]
#![doc = include_str!("../../docs/writing_a_backend/3_harness.md")]
#![doc = "\n`harness.rs`:\n\n```no_run"]
#![doc = include_str!("../../examples/pigeon/harness.rs")]
#![doc = "# #[path = \"../../examples/pigeon/backend.rs\"] mod backend;"]
#![doc = "# #[path = \"../../examples/pigeon/signature.rs\"] mod signature;"]
#![doc = "# #[path = \"../../examples/pigeon/webhook.rs\"] mod webhook;"]
#![doc = "# #[path = \"../../examples/pigeon/wire.rs\"] mod wire;"]
#![doc = "# fn main() {}\n```\n"]
#![doc = include_str!("../../docs/writing_a_backend/4_run.md")]
#![doc = include_str!("../../docs/writing_a_backend/5_receive.md")]
#![doc = "\n`webhook.rs`:\n\n```no_run"]
#![doc = include_str!("../../examples/pigeon/webhook.rs")]
#![doc = "# #[path = \"../../examples/pigeon/backend.rs\"] mod backend;"]
#![doc = "# #[path = \"../../examples/pigeon/wire.rs\"] mod wire;"]
#![doc = "# fn main() {}\n```\n"]
#![doc = "\n`signature.rs`:\n\n```no_run"]
#![doc = include_str!("../../examples/pigeon/signature.rs")]
#![doc = "# fn main() {}\n```\n"]
#![doc = include_str!("../../docs/writing_a_backend/6_use.md")]
#![doc = "\n`factory.rs`:\n\n```no_run"]
#![doc = include_str!("../../examples/pigeon/factory.rs")]
#![doc = "# #[path = \"../../examples/pigeon/backend.rs\"] mod backend;"]
#![doc = "# #[path = \"../../examples/pigeon/signature.rs\"] mod signature;"]
#![doc = "# #[path = \"../../examples/pigeon/webhook.rs\"] mod webhook;"]
#![doc = "# #[path = \"../../examples/pigeon/wire.rs\"] mod wire;"]
#![doc = "# fn main() {}\n```\n"]
#![doc = include_str!("../../docs/writing_a_backend/7_local.md")]

// The text in `docs/writing_a_backend` alternates with the files of the example. Each file is
// compiled again here as a doc test, so hidden lines declare the modules it uses.

// The link targets of the text.
#[allow(unused_imports, reason = "rustdoc uses them to resolve links")]
use anymail_core::{
    Address, AddressKey, BackendFactory, EmailBackend, Event, PreparedMessage, Secret, SendError,
    SendStatus, TimestampTolerance, Webhook, WebhookAuth, WebhookSignature,
};

#[allow(unused_imports, reason = "rustdoc uses them to resolve links")]
use crate::conformance::{
    Expected, File, Harness, LocalHarness, Mutants, Post, Profile, Sabotage, Signer, Target,
    Understood,
};
