//! The signature: Magpie signs a timestamp and a token, and puts all three into the body.

use anymail_core::{
    Form, HmacSha256Keys, Secret, SignatureError, TimestampTolerance, WebhookAuthError,
    WebhookSignature,
};
use bytes::Bytes;
use http::Request;
use serde_json::Value;

/// Verifies `signature`, which is a form field or a JSON object.
///
/// The signature covers the timestamp and the token, but not the rest of the body. Anybody who
/// intercepts one post can forge others until its timestamp expires, so accept these webhooks only
/// over HTTPS.
#[derive(Debug)]
pub struct MagpieSignature {
    keys: HmacSha256Keys,
    tolerance: TimestampTolerance,
}

impl MagpieSignature {
    /// Accepts one key, or several during a key rotation.
    ///
    /// # Errors
    /// Returns [`WebhookAuthError`] if there is no key or a key is blank.
    pub fn new<K: Into<Secret>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, WebhookAuthError> {
        Ok(Self {
            keys: HmacSha256Keys::new(keys)?,
            tolerance: TimestampTolerance::default(),
        })
    }
}

impl WebhookSignature for MagpieSignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let Signed {
            time,
            token,
            signature,
        } = signed(request);
        let time = time.ok_or(SignatureError::Missing("timestamp"))?;
        let token = token.ok_or(SignatureError::Missing("token"))?;
        let signature = signature.ok_or(SignatureError::Missing("signature"))?;
        let seconds = time.parse();
        self.tolerance
            .check(seconds.map_err(|_| SignatureError::Malformed("timestamp"))?)?;
        let signed = [time.as_bytes(), token.as_bytes()];
        self.keys.verify_hex(&signed, signature.as_bytes())
    }
}

/// The signature as the body contains it.
struct Signed {
    time: Option<String>,
    token: Option<String>,
    signature: Option<String>,
}

fn signed(request: &Request<Bytes>) -> Signed {
    if let Ok(form) = Form::read(request) {
        let text = |name: &str| form.text(name).map(|text| text.into_owned());
        return Signed {
            time: text("timestamp"),
            token: text("token"),
            signature: text("signature"),
        };
    }
    let json: Option<Value> = serde_json::from_slice(request.body()).ok();
    let text = |name: &str| {
        let text = json.as_ref()?.get("signature")?.get(name)?.as_str()?;
        Some(text.to_owned())
    };
    Signed {
        time: text("timestamp"),
        token: text("token"),
        signature: text("signature"),
    }
}
