//! Dove's side of the wire, for the conformance suite.

#![allow(
    clippy::indexing_slicing,
    reason = "indexing a JSON object returns null for a missing key"
)]

use std::sync::Arc;

use anymail_core::{EmailBackend, SmtpConfig, SmtpTls};
use anymail_test_utils::conformance::{HarnessError, SmtpHarness, SmtpTarget, Understood};
use serde_json::Value;

use super::backend::Dove;

/// Knows Dove's header.
pub struct DoveHarness;

impl SmtpHarness for DoveHarness {
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let config = SmtpConfig::new(&*target.host)
            .port(target.port)
            .tls(SmtpTls::None)
            .password(&*target.user, &*target.secret)
            .timeout(target.timeout);
        Ok(Arc::new(Dove::new(config)?))
    }

    /// A header that Dove does not understand stays in the message, where every recipient sees it.
    fn understand(&self, mail: &mut Understood) {
        let headers = &mut mail.headers;
        let is_ours = |(name, _): &(String, String)| name.eq_ignore_ascii_case("x-dove-api");
        let Some(place) = headers.iter().position(is_ours) else {
            return;
        };
        let value = headers.get(place).map(|(_, value)| &**value);
        let json: Option<Value> = value.and_then(|value| serde_json::from_str(value).ok());
        let Some(json) = json else { return };
        headers.remove(place);
        let tags = json["category"].as_array().into_iter().flatten();
        mail.tags = tags.filter_map(Value::as_str).map(str::to_owned).collect();
        let pairs = json["unique_args"].as_object().into_iter().flatten();
        let pairs = pairs.map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        mail.metadata = pairs.flatten().collect();
        mail.send_at = json["send_at"].as_i64();
        let flag = |name: &str| {
            let enable = json["filters"][name]["settings"]["enable"].as_i64()?;
            Some(enable == 1)
        };
        mail.track_opens = flag("opentrack");
        mail.track_clicks = flag("clicktrack");
    }
}
