//! [`BackendFactory`]: what a backend's crate gives to a [`Registry`](crate::Registry).
//!
//! The factories of core's own backends are in `builtin.rs`.

use std::fmt::Debug;
use std::sync::Arc;

use super::backend_url::{BackendUrl, UrlOptions};
use super::options::{OptionFault, OptionSpec, Options};
#[cfg(feature = "webhooks")]
use crate::receiving::Webhook;
use crate::sending::EmailBackend;

/// Makes backends of one kind from their options.
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
///             return Err(OptionFault::new("region", "it is neither eu nor us").into());
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
    /// The backend's name in a configuration: lower case, `snake_case`; the same as
    /// [`EmailBackend::name`].
    fn name(&self) -> &str;

    /// Every option that the backend takes. Core refuses all others, checks the kinds and what
    /// is required, and reads secrets from where they are kept. `send_defaults` and
    /// `webhook_secret` are core's own names.
    fn options(&self) -> &[OptionSpec];

    /// The schemes of the [`BackendUrl`]s that choose this backend, in lower case. By default its
    /// [`name`](Self::name). A scheme cannot have a `_` (RFC 3986, 3.1): it has a `-` in its place.
    fn url_schemes(&self) -> Vec<&str> {
        vec![self.name()]
    }

    /// Says which options the parts of a URL before its query are. Core reads the query, whose
    /// pairs are options by their names, and checks all of them as it does any other option.
    ///
    /// By default these parts are no options, and a URL that has one is a fault.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url)
    }

    /// Every option that the ESP's webhooks take, a signing key for example. They stand beside
    /// the backend's in a configuration, so their names begin with `webhook_`. An option of the
    /// backend that the webhooks need as well is in both lists. By default there are none.
    fn webhook_options(&self) -> &[OptionSpec] {
        &[]
    }

    /// Makes the webhooks of the backend's ESP, from the [`webhook_options`](Self::webhook_options)
    /// and from who may post ([`Options::webhook_auth`]) (feature `webhooks`). By default it has
    /// none.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use anymail_core::{OptionFault, Options, Secret, SignatureError, Webhook, WebhookAuth};
    /// # fn tracking(auth: WebhookAuth) -> Arc<dyn Webhook> { unimplemented!() }
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
    ///     Ok(vec![tracking(auth)])
    /// }
    /// ```
    ///
    /// If the webhooks take requests from everybody, core keeps them back, unless the
    /// configuration asks for that in so many words: a factory need not check that there is a
    /// secret.
    ///
    /// # Errors
    /// All that is wrong with the options beyond their kinds. A fault must not quote a secret.
    #[cfg(feature = "webhooks")]
    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        let _ = options;
        Ok(Vec::new())
    }

    /// Says why this build of the backend has no webhooks although its ESP has some, and what to
    /// do, for example ``turn on the feature `webhooks` of anymail-acme``. An app that asks for
    /// its webhooks then gets an error instead of routes that lack them. `None` by default.
    fn webhooks_unavailable(&self) -> Option<&str> {
        None
    }

    /// Makes a backend. Nothing is sent; a token that is wrong need not be found out.
    ///
    /// # Errors
    /// All that is wrong with the options beyond their kinds. A fault must not quote a secret.
    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>>;
}

/// The names of a backend's options, those of its webhooks included.
pub(super) fn all_options(factory: &dyn BackendFactory) -> Vec<&'static str> {
    let mut names: Vec<_> = factory.options().iter().map(|spec| spec.name).collect();
    for spec in factory.webhook_options() {
        if !names.contains(&spec.name) {
            names.push(spec.name);
        }
    }
    names
}
