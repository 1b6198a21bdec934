//! [`BackendFactory`]: the entry point of a backend crate, registered in a
//! [`Registry`](crate::Registry).
//!
//! The factories of core's own backends are in `builtin.rs`.

use std::fmt::Debug;
use std::sync::Arc;

use super::backend_url::{BackendUrl, UrlOptions};
use super::options::{OptionFault, OptionSpec, Options};
#[cfg(feature = "webhooks")]
use crate::receiving::Webhook;
use crate::sending::EmailBackend;

/// Builds backends of one kind from configured options.
///
/// ```
/// use std::sync::Arc;
/// use anymail_core::{
///     BackendFactory, EmailBackend, MailersConfig, OptionFault, OptionSpec, Options, Registry,
/// };
/// # use anymail_core::{Capabilities, PreparedMessage, Secret, SendError, SendStatus};
/// # #[derive(Debug)]
/// # struct AcmeBackend(Capabilities);
/// # impl AcmeBackend {
/// #     fn new(_: &str, _: Secret) -> Self { Self(Capabilities::default()) }
/// # }
/// # #[async_trait::async_trait]
/// # impl EmailBackend for AcmeBackend {
/// #     fn name(&self) -> &str { "acme" }
/// #     fn capabilities(&self) -> &Capabilities { &self.0 }
/// #     async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
/// #         Ok(SendStatus::unknown("acme", message.message()))
/// #     }
/// # }
///
/// #[derive(Debug)]
/// struct AcmeFactory;
///
/// const OPTIONS: [OptionSpec; 2] = [
///     OptionSpec::secret("api_key", "the key from Acme's settings page").required(),
///     OptionSpec::text("region", "eu or us; eu by default"),
/// ];
///
/// impl BackendFactory for AcmeFactory {
///     fn name(&self) -> &str {
///         "acme"
///     }
///
///     fn options(&self) -> &[OptionSpec] {
///         &OPTIONS
///     }
///
///     fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
///         let key = options.secret("api_key").ok_or(OptionFault::missing("api_key"))?;
///         let region = options.text("region").unwrap_or("eu");
///         if !["eu", "us"].contains(&region) {
///             return Err(OptionFault::new("region", "expected eu or us").into());
///         }
///         Ok(Arc::new(AcmeBackend::new(region, key.clone())))
///     }
/// }
///
/// let registry = Registry::new().with(AcmeFactory);
/// let config: MailersConfig = serde_json::from_str(
///     r#"{"backend": "acme", "options": {"api_key": "k", "regoin": "us"}}"#,
/// )?;
/// let error = config.build(&registry).unwrap_err();
/// assert!(error.to_string().contains("did you mean \"region\"?"));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait BackendFactory: Debug + Send + Sync {
    /// The backend's name in a configuration, in `snake_case`. It is the same as
    /// [`EmailBackend::name`].
    fn name(&self) -> &str;

    /// All options of the backend. Core rejects any other option, checks types and required
    /// options, and resolves secrets. The names `send_defaults` and `webhook_secret` are reserved
    /// for core.
    fn options(&self) -> &[OptionSpec];

    /// The [`BackendUrl`] schemes that select this backend, in lower case. By default its
    /// [`name`](Self::name) with `-` instead of `_`, which is not allowed in a scheme (RFC 3986,
    /// 3.1).
    fn url_schemes(&self) -> Vec<&str> {
        vec![self.name()]
    }

    /// Maps the parts of a URL before its query to options. Core reads the query, whose pairs are
    /// options by name, and checks all options as usual.
    ///
    /// By default no part is mapped, and a URL that has one is a fault.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url)
    }

    /// All options of the ESP's webhooks, such as a signing key. In a configuration they are next
    /// to the backend's options, so their names start with `webhook_`. An option that both the
    /// backend and the webhooks need is in both lists. Empty by default.
    fn webhook_options(&self) -> &[OptionSpec] {
        &[]
    }

    /// Builds the webhooks of the ESP from the [`webhook_options`](Self::webhook_options) and the
    /// configured authentication ([`Options::webhook_auth`]). Requires the feature `webhooks`.
    /// Returns none by default.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use anymail_core::{Event, OptionFault, Options, Secret, SignatureError, Webhook};
    /// # use anymail_core::{WebhookAuth, WebhookError, WebhookKind};
    /// # #[derive(Debug)]
    /// # struct Tracking(WebhookAuth);
    /// # impl Webhook for Tracking {
    /// #     fn esp(&self) -> &str { "acme" }
    /// #     fn kind(&self) -> WebhookKind { WebhookKind::Tracking }
    /// #     fn auth(&self) -> &WebhookAuth { &self.0 }
    /// #     fn read(&self, _: &http::Request<bytes::Bytes>) -> Result<Vec<Event>, WebhookError> {
    /// #         Ok(Vec::new())
    /// #     }
    /// # }
    /// # #[derive(Debug)]
    /// # struct AcmeSignature;
    /// # impl AcmeSignature {
    /// #     fn new(_: Secret) -> Result<Self, String> { Ok(Self) }
    /// # }
    /// # impl anymail_core::WebhookSignature for AcmeSignature {
    /// #     fn verify(&self, _: &http::Request<bytes::Bytes>) -> Result<(), SignatureError> { Ok(()) }
    /// # }
    /// fn webhooks(options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
    ///     let mut auth = options.webhook_auth();
    ///     if let Some(key) = options.secret("webhook_signing_key") {
    ///         let signature = AcmeSignature::new(key.clone())
    ///             .map_err(|problem| OptionFault::new("webhook_signing_key", problem))?;
    ///         auth = auth.and_signature(signature);
    ///     }
    ///     Ok(vec![Arc::new(Tracking(auth))])
    /// }
    /// ```
    ///
    /// A factory need not check that there is a secret: core refuses webhooks that accept
    /// unauthenticated requests unless the configuration explicitly allows it.
    ///
    /// # Errors
    /// All faults in the options that a type check cannot find. A fault must not quote a secret.
    #[cfg(feature = "webhooks")]
    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        let _ = options;
        Ok(Vec::new())
    }

    /// Returns why this build of the backend has no webhooks although its ESP has them, and what to
    /// do about it, for example ``enable the feature `webhooks` of anymail-acme``. An app that asks
    /// for its webhooks then gets an error instead of missing routes. `None` by default.
    fn webhooks_unavailable(&self) -> Option<&str> {
        None
    }

    /// Builds a backend. This sends nothing and need not validate the token.
    ///
    /// # Errors
    /// All faults in the options that a type check cannot find. A fault must not quote a secret.
    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>>;
}

/// The names of all options of a backend, including those of its webhooks.
pub(super) fn all_options(factory: &dyn BackendFactory) -> Vec<&'static str> {
    let mut names: Vec<_> = factory.options().iter().map(|spec| spec.name).collect();
    for spec in factory.webhook_options() {
        if !names.contains(&spec.name) {
            names.push(spec.name);
        }
    }
    names
}
