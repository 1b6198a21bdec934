//! [`RedirectTo`] and [`AllowDomains`]: pre-send hooks that keep a staging system from sending to
//! real people.
//!
//! A configuration adds them after all other hooks. In code, add them last, because a later hook
//! could add recipients. `hooks.rs` says what a hook can do.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::Value;

use super::hooks::{HookError, PreSend, PreSendVerdict};
use super::recipients::Status;
use super::withheld::Withheld;
use crate::message::{
    Address, AddressError, AddressErrorReason as Reason, Field, Headers, JsonMap, MergeMap,
    Message, MessageFields,
};

/// Sends every message to one address instead of its recipients.
///
/// The headers `X-Anymail-Original-To`, `-Cc` and `-Bcc`, which the ESP must support, contain the
/// recipients.
///
/// A batch stays one message for each recipient, with the recipient's own values. Subaddresses (RFC
/// 5233) distinguish them: they are sent to `qa+1@example.com`, `qa+2@example.com` and so on for
/// `qa@example.com`, so the mail server must support subaddresses. `merge_headers` contains each
/// message's `X-Anymail-Original-To`.
///
/// Sender and `reply_to` are unchanged. An address in `esp_extra` cancels the message, because it
/// is not known whether the ESP would send to it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{Mailer, MemoryBackend, Message, RedirectTo};
///
/// let backend = MemoryBackend::new();
/// let outbox = backend.outbox();
/// let mailer = Mailer::builder(backend)
///     .pre_send(RedirectTo::new("qa@example.com".parse()?))
///     .build();
///
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.net")
///     .bcc("bob@example.net")
///     .build()?;
/// mailer.send(&message).await?;
///
/// let sent = &outbox.messages()[0].message;
/// let recipients: Vec<_> = sent.recipients().map(|address| address.email()).collect();
/// assert_eq!(recipients, ["qa@example.com"]);
/// let headers = sent.headers.value().ok_or("no headers")?;
/// assert_eq!(headers.get("X-Anymail-Original-To"), Some("ann@example.net"));
/// assert_eq!(headers.get("X-Anymail-Original-Bcc"), Some("bob@example.net"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTo(Address);

impl RedirectTo {
    /// Redirects to `address`.
    pub fn new(address: Address) -> Self {
        Self(address)
    }

    /// The address for the `n`th recipient of a batch.
    fn numbered(&self, n: usize) -> Result<Address, AddressError> {
        let (local, domain) = (self.0.local_part(), self.0.domain());
        let email = match local.strip_suffix('"') {
            Some(quoted) => format!("{quoted}+{n}\"@{domain}"),
            None => format!("{local}+{n}@{domain}"),
        };
        Address::new(self.0.name().unwrap_or_default(), &email)
    }

    fn redirect_batch(&self, message: &mut Message) -> Result<(), HookError> {
        let mut moved = Vec::new();
        for (at, old) in message.to.items().iter().enumerate() {
            moved.push((old.clone(), self.numbered(at + 1)?));
        }
        rekey(&mut message.merge_data, &moved);
        rekey(&mut message.merge_metadata, &moved);
        rekey(&mut message.merge_headers, &moved);
        let headers = message.merge_headers.value_or_default();
        for (old, new) in &moved {
            let mut own = headers.get(new).cloned().unwrap_or_default();
            own.insert(ORIGINAL_TO, &old.ascii_email())?;
            headers.insert(new.email(), own);
        }
        message.to = Field::Value(moved.into_iter().map(|(_, new)| new).collect());
        Ok(())
    }
}

const ORIGINAL_TO: &str = "X-Anymail-Original-To";
const ORIGINAL_CC: &str = "X-Anymail-Original-Cc";
const ORIGINAL_BCC: &str = "X-Anymail-Original-Bcc";

#[async_trait]
impl PreSend for RedirectTo {
    async fn pre_send(
        &self,
        message: &mut Message,
        _esp: &str,
    ) -> Result<PreSendVerdict, HookError> {
        let is_ours = |address: &Address| address.key() == self.0.key();
        if let Some(key) = address_in_extra(message, is_ours) {
            return Ok(cancel(&key));
        }
        if message.recipients().next().is_none() {
            return Ok(PreSendVerdict::Send);
        }
        let fields: &mut MessageFields = message;
        let headers = fields.headers.value_or_default();
        keep(headers, ORIGINAL_CC, fields.cc.items())?;
        keep(headers, ORIGINAL_BCC, fields.bcc.items())?;
        (fields.cc, fields.bcc) = (Field::Never, Field::Never);
        if fields.is_batch() {
            self.redirect_batch(message)?;
        } else {
            let headers = fields.headers.value_or_default();
            keep(headers, ORIGINAL_TO, fields.to.items())?;
            fields.to = Field::Value(vec![self.0.clone()]);
        }
        Ok(PreSendVerdict::Send)
    }
}

fn keep(headers: &mut Headers, name: &str, addresses: &[Address]) -> Result<(), HookError> {
    if !addresses.is_empty() {
        let emails: Vec<_> = addresses.iter().map(Address::ascii_email).collect();
        headers.insert(name, &emails.join(", "))?;
    }
    Ok(())
}

/// Moves each recipient's values to the address that replaces it.
fn rekey<T: Clone>(field: &mut Field<MergeMap<T>>, moved: &[(Address, Address)]) {
    if let Some(map) = field.value_mut() {
        let values = moved
            .iter()
            .filter_map(|(old, new)| Some((new.email(), map.get(old)?.clone())));
        *map = values.collect();
    }
}

/// Sends only to recipients in certain domains.
///
/// All others are removed, and the status lists them as [`Failed`](crate::Status::Failed) with the
/// reason. A message that loses all of its `to` is cancelled, and so is one with an address of
/// another domain in `esp_extra`, because it is not known whether the ESP would send to it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{AllowDomains, Mailer, MemoryBackend, Message, SendErrorKind, Status};
///
/// let mailer = Mailer::builder(MemoryBackend::new())
///     .pre_send(AllowDomains::new(["example.com"])?)
///     .build();
///
/// let mut message = Message::builder()
///     .from("shop@example.com")
///     .to("qa@example.com")
///     .cc("ann@example.net")
///     .build()?;
/// let status = mailer.send(&message).await?;
/// assert_eq!(status.recipient("qa@example.com").map(|r| r.status), Some(Status::Sent));
/// assert_eq!(status.recipient("ann@example.net").map(|r| r.status), Some(Status::Failed));
///
/// message.to = vec!["ann@example.net".parse()?].into();
/// let error = mailer.send(&message).await.unwrap_err();
/// assert_eq!(error.kind(), SendErrorKind::Cancelled);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowDomains(BTreeSet<String>);

impl AllowDomains {
    /// Allows these domains, but not their subdomains. Without any, every message is cancelled.
    ///
    /// # Errors
    /// [`AddressError`] if a domain is not valid.
    pub fn new<D: AsRef<str>>(domains: impl IntoIterator<Item = D>) -> Result<Self, AddressError> {
        let domain = |text: D| {
            let text = text.as_ref().trim();
            match Address::new("", &format!("someone@{text}")) {
                Ok(address) => Ok(comparable_domain(&address)),
                Err(_) => Err(AddressError::new(text, text, Reason::InvalidDomain)),
            }
        };
        let domains = domains.into_iter().map(domain);
        domains.collect::<Result<_, _>>().map(Self)
    }

    fn allows(&self, address: &Address) -> bool {
        self.0.contains(&comparable_domain(address))
    }
}

#[async_trait]
impl PreSend for AllowDomains {
    async fn pre_send(
        &self,
        message: &mut Message,
        _esp: &str,
    ) -> Result<PreSendVerdict, HookError> {
        if let Some(key) = address_in_extra(message, |address| self.allows(address)) {
            return Ok(cancel(&key));
        }
        let mut others = message
            .recipients()
            .filter(|address| !self.allows(address))
            .peekable();
        if others.peek().is_none() {
            return Ok(PreSendVerdict::Send);
        }
        let domains: Vec<_> = self.0.iter().map(String::as_str).collect();
        let reason = format!("not an allowed domain (allowed: {})", domains.join(", "));
        let withheld = others.map(|address| Withheld::new(address, Status::Failed, &*reason));
        Ok(PreSendVerdict::SendWithout(withheld.collect()))
    }
}

fn comparable_domain(address: &Address) -> String {
    address.ascii_domain().to_ascii_lowercase()
}

fn cancel(key: &str) -> PreSendVerdict {
    PreSendVerdict::Cancel(format!(
        "esp_extra.{key} may contain a recipient's address, which the ESP would see"
    ))
}

/// The first key of `esp_extra` whose value may contain an address, except those that are `fine`.
/// The value may be a token and is not reported.
fn address_in_extra(message: &Message, fine: impl Fn(&Address) -> bool) -> Option<String> {
    let suspect = |text: &str| {
        let all_fine = |list: Vec<Address>| list.iter().all(&fine);
        text.contains('@') && !Address::parse_list(text).is_ok_and(all_fine)
    };
    let extra: &JsonMap = message.esp_extra.value()?;
    let found = extra
        .iter()
        .find(|(key, value)| suspect(key) || texts(value).iter().any(|text| suspect(text)));
    found.map(|(key, _)| crate::message::excerpt(key))
}

/// All strings in a JSON value, including keys. Walks without recursion, because the depth has not
/// been checked yet.
fn texts(value: &Value) -> Vec<&str> {
    let mut texts = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => texts.push(text.as_str()),
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                texts.extend(map.keys().map(String::as_str));
                open.extend(map.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    texts
}
