//! The factories of core's own backends.
//!
//! The backends and their options are documented in `backends`.

use std::sync::Arc;

#[cfg(feature = "mime")]
use super::backend_url::{BackendUrl, UrlOptions};
use super::factory::BackendFactory;
use super::options::{OptionFault, OptionSpec, Options};
use crate::backends::{ConsoleBackend, Failover, MemoryBackend, Outbox, RoundRobin};
use crate::sending::EmailBackend;

type Built = Result<Arc<dyn EmailBackend>, Vec<OptionFault>>;

/// Its backends share the registry's outbox.
#[derive(Debug)]
pub(super) struct MemoryFactory(pub(super) Outbox);

impl BackendFactory for MemoryFactory {
    fn name(&self) -> &str {
        "memory"
    }

    fn options(&self) -> &[OptionSpec] {
        &[]
    }

    fn build(&self, _: &Options) -> Built {
        Ok(Arc::new(MemoryBackend::with_outbox(self.0.clone())))
    }
}

#[derive(Debug)]
pub(super) struct ConsoleFactory;

impl BackendFactory for ConsoleFactory {
    fn name(&self) -> &str {
        "console"
    }

    fn options(&self) -> &[OptionSpec] {
        &[]
    }

    fn build(&self, _: &Options) -> Built {
        Ok(Arc::new(ConsoleBackend::new()))
    }
}

#[cfg(feature = "mime")]
#[derive(Debug)]
pub(super) struct FileFactory;

#[cfg(feature = "mime")]
impl BackendFactory for FileFactory {
    fn name(&self) -> &str {
        "file"
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] = [OptionSpec::text(
            "folder",
            "the folder to store messages in; created if it does not exist",
        )
        .required()];
        &OPTIONS
    }

    /// Maps the path to the folder: `file:///var/mail`.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url).path("folder")
    }

    fn build(&self, options: &Options) -> Built {
        let folder = options
            .text("folder")
            .ok_or(OptionFault::missing("folder"))?;
        let backend = crate::backends::FileBackend::new(folder)
            .map_err(|error| OptionFault::new("folder", format!("{folder:?}: {error}")))?;
        Ok(Arc::new(backend))
    }
}

const MEMBERS: [OptionSpec; 2] = [
    OptionSpec::mailers("members", "the mailers or backends to send with, in order").required(),
    OptionSpec::seconds(
        "rest",
        "seconds before a member that failed is tried first again; 60 by default",
    ),
];

fn no_members() -> Vec<OptionFault> {
    OptionFault::new("members", "expected at least one member").into()
}

#[derive(Debug)]
pub(super) struct FailoverFactory;

impl BackendFactory for FailoverFactory {
    fn name(&self) -> &str {
        "failover"
    }

    fn options(&self) -> &[OptionSpec] {
        &MEMBERS
    }

    fn build(&self, options: &Options) -> Built {
        let members = options.members("members");
        if members.is_empty() {
            return Err(no_members());
        }
        let mut backend = Failover::new(members.to_vec()).unsupported(options.unsupported());
        if let Some(rest) = options.seconds("rest") {
            backend = backend.rest(rest);
        }
        Ok(Arc::new(backend))
    }
}

#[derive(Debug)]
pub(super) struct RoundRobinFactory;

impl BackendFactory for RoundRobinFactory {
    fn name(&self) -> &str {
        "round_robin"
    }

    fn options(&self) -> &[OptionSpec] {
        &MEMBERS
    }

    fn build(&self, options: &Options) -> Built {
        let members = options.members("members");
        if members.is_empty() {
            return Err(no_members());
        }
        let mut backend = RoundRobin::new(members.to_vec()).unsupported(options.unsupported());
        if let Some(rest) = options.seconds("rest") {
            backend = backend.rest(rest);
        }
        Ok(Arc::new(backend))
    }
}
