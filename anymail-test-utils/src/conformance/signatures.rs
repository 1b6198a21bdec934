//! Signed webhooks: which posts are accepted, and what the response to others reveals.
//!
//! The harness describes how an ESP signs (`signer.rs`). `spellings.rs` provides unusual spellings
//! of signatures and header names, and `webhooks.rs` contains what holds for every webhook.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use anymail_core::{
    Event, MemoryReplayGuard, Webhook, WebhookErrorKind, WebhookKind, answer_webhook, handled_once,
};
use bytes::Bytes;
use http::{Request, Response};
use uuid::Uuid;

use super::posts::Posts;
use super::responses::nonsense;
use super::rig::Rig;
use super::secrets::holds;
use super::signer::{Signer, Signing};
use super::spellings::{over_the_wire, spellings};
use super::trial::{Stop, Trial, Verdict, trial};
use super::webhooks::{events, parse, start_of};

pub(super) fn trials(kinds: &[WebhookKind]) -> Vec<Trial> {
    const VERIFY: &str = "your WebhookSignature::verify; Signer::sign";
    let of_kind = |&kind: &WebhookKind| {
        [
            on_desks(kind, "a_signed_post_is_read", VERIFY, read),
            on_desks(kind, "header_names_may_be_in_any_case", VERIFY, any_case),
            on_desks(
                kind,
                "a_post_without_the_right_signature_is_not_read",
                "your WebhookSignature::verify: compare the whole signature, for example \
                 with HmacSha256Keys; the webhook's auth() must return what it was created with",
                forged,
            ),
            on_desks(
                kind,
                "a_signature_is_valid_for_a_limited_time",
                "TimestampTolerance::check in your WebhookSignature::verify; Signer::tolerance",
                limited,
            ),
            on_desks(
                kind,
                "an_unsigned_post_is_not_read",
                "Webhook::parse must not be overridden",
                verified_first,
            ),
            on_desks(
                kind,
                "any_bytes_for_a_signature_are_refused",
                "how your WebhookSignature::verify decodes a signature",
                any_bytes,
            ),
            on_desks(
                kind,
                "without_a_key_no_post_is_read",
                "the constructor of your WebhookSignature must refuse an empty key and an empty list of keys",
                keyless,
            ),
            on_desks(
                kind,
                "a_post_that_is_signed_again_is_handled_once",
                "your events' dedup_key must not depend on the signature or its time",
                anew,
            ),
            on_desks(
                kind,
                "signing_keys_are_in_no_debug_output_response_or_log",
                "anymail_core::Secret or HmacSha256Keys for everything that holds a key",
                unprinted,
            )
            .traced(),
        ]
    };
    kinds.iter().flat_map(of_kind).collect()
}

/// A rule that is tested with each signed webhook of a kind.
fn on_desks<F, R>(kind: WebhookKind, name: &str, look_at: &str, check: F) -> Trial
where
    F: Fn(Arc<Rig>, SigningDesk) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Verdict> + Send,
{
    let name = format!("signatures::{kind}::{name}");
    trial(name, look_at, move |rig| async move {
        let rig = Arc::new(rig);
        for desk in desks(&rig, kind)? {
            check(Arc::clone(&rig), desk).await?;
        }
        Ok(())
    })
}

/// A webhook that verifies signatures, the ESP that creates them, and the keys.
struct SigningDesk {
    signer: Arc<dyn Signer>,
    posts: Posts,
    new: String,
    old: String,
    other: String,
}

fn desks(rig: &Rig, kind: WebhookKind) -> Verdict<Vec<SigningDesk>> {
    let signer = rig
        .signer()
        .ok_or_else(|| Stop::skip("this ESP does not sign"))?;
    let (new, old) = (format!("new{}", rig.secret), format!("old{}", rig.secret));
    let auth = signer.auth(&[&new, &old]);
    let auth = auth.map_err(|error| rig.fail(format!("Signer::auth failed: {error}")))?;
    let posts = rig.webhooks(auth).into_iter();
    let desk = |posts| SigningDesk {
        signer: Arc::clone(&signer),
        posts,
        new: new.clone(),
        old: old.clone(),
        other: format!("other{}", Uuid::new_v4().simple()),
    };
    Ok(posts
        .filter(|posts| posts.webhook.kind() == kind)
        .map(desk)
        .collect())
}

impl SigningDesk {
    fn webhook(&self) -> &dyn Webhook {
        &*self.posts.webhook
    }

    /// Returns the signed request; `None` if it cannot carry a signature with this spelling.
    fn spelt(
        &self,
        request: &Request<Bytes>,
        key: &str,
        spell: &(dyn Fn(&str) -> Vec<u8> + Send + Sync),
    ) -> Option<Request<Bytes>> {
        let mut signed = request.clone();
        let how = Signing {
            key,
            unix_seconds: now(),
            spell,
        };
        self.signer.sign(&mut signed, &how).ok()?;
        Some(signed)
    }

    /// Returns the request, signed this many seconds from now.
    fn signed(
        &self,
        rig: &Rig,
        request: &Request<Bytes>,
        key: &str,
        seconds: i64,
    ) -> Verdict<Request<Bytes>> {
        let mut signed = request.clone();
        let how = Signing {
            key,
            unix_seconds: now().saturating_add(seconds),
            spell: &|signature| signature.into(),
        };
        let made = self.signer.sign(&mut signed, &how);
        made.map_err(|error| rig.fail(format!("Signer::sign failed: {error}")))?;
        Ok(signed)
    }

    fn tolerance(&self) -> Option<i64> {
        self.signer.tolerance()?.as_secs().try_into().ok()
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}

/// Fails unless the request is refused for its signature, and the response reveals nothing else.
async fn refused(
    rig: &Rig,
    webhook: &dyn Webhook,
    request: &Request<Bytes>,
    what: &str,
) -> Verdict {
    let kind = match parse(rig, webhook, request)? {
        Err(error) => error.kind(),
        Ok(events) => {
            return Err(rig.fail(format!(
                "{what}: expected a refusal, but {} events were read",
                events.len()
            )));
        }
    };
    rig.ensure(
        matches!(
            kind,
            WebhookErrorKind::NoSecret | WebhookErrorKind::WrongSecret
        ),
        || format!("{what}: expected NoSecret or WrongSecret, got {kind:?}"),
    )?;
    let handled = AtomicUsize::new(0);
    let response = respond(webhook, request, &handled).await;
    rig.ensure(handled.load(Ordering::SeqCst) == 0, || {
        format!("{what}: its events were handled")
    })?;
    let status = response.status();
    rig.ensure(
        status == webhook.status(kind) && !status.is_success(),
        || format!("{what}: the response was {status}"),
    )?;
    rig.ensure(response.body().is_empty(), || {
        format!(
            "{what}: the response reveals the reason: {}",
            start_of(response.body())
        )
    })
}

async fn respond(
    webhook: &dyn Webhook,
    request: &Request<Bytes>,
    handled: &AtomicUsize,
) -> Response<Bytes> {
    let handler = async |_: Event| {
        handled.fetch_add(1, Ordering::SeqCst);
        Ok::<(), Infallible>(())
    };
    answer_webhook(webhook, request, handler).await
}

async fn read(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    let near = desk.tolerance().unwrap_or_default() / 2;
    for request in desk.posts.requests() {
        for key in [&desk.new, &desk.old] {
            for seconds in [0, -near, near] {
                let signed = desk.signed(&rig, request, key, seconds)?;
                let found = events(&rig, desk.webhook(), &signed)?;
                rig.ensure(!found.is_empty(), || {
                    format!(
                        "a signed post contains no event: {}",
                        start_of(request.body())
                    )
                })?;
            }
        }
    }
    Ok(())
}

async fn any_case(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    for request in desk.posts.requests() {
        let signed = desk.signed(&rig, request, &desk.new, 0)?;
        for case in [str::to_ascii_uppercase, str::to_ascii_lowercase] {
            let arrived = over_the_wire(&signed, case).await;
            let arrived = arrived
                .map_err(|error| rig.fail(format!("loopback connection failed: {error}")))?;
            events(&rig, desk.webhook(), &arrived)?;
        }
    }
    Ok(())
}

async fn of_other_bodies(rig: &Rig, desk: &SigningDesk, request: &Request<Bytes>) -> Verdict {
    let mut longer = desk.signed(rig, request, &desk.new, 0)?;
    *longer.body_mut() = [longer.body(), &b" "[..]].concat().into();
    let what = "the signature of a body with one space less";
    refused(rig, desk.webhook(), &longer, what).await?;
    let others = desk.posts.requests();
    for other in others.filter(|other| other.body() != request.body()) {
        let mut another = desk.signed(rig, request, &desk.new, 0)?;
        another.body_mut().clone_from(other.body());
        let what = "the signature of another post";
        refused(rig, desk.webhook(), &another, what).await?;
    }
    Ok(())
}

/// Whether a post has a signature before it is signed. Such a post cannot show what happens to an
/// unsigned one.
fn has_a_signature(desk: &SigningDesk, request: &Request<Bytes>) -> bool {
    const MARK: &str = "markofasignature";
    /// The length of a field name in JSON or in a form.
    const BEFORE: usize = 11;
    let Some(signed) = desk.spelt(request, &desk.new, &|_| MARK.into()) else {
        return false;
    };
    let mut headers = signed.headers().iter();
    if let Some((name, _)) = headers.find(|(_, value)| *value == MARK) {
        return request.headers().contains_key(name);
    }
    let (with, without) = (signed.body(), request.body());
    let at = |body: &[u8], word: &[u8]| body.windows(word.len()).position(|it| it == word);
    let before = at(with, MARK.as_bytes())
        .and_then(|mark| with.get(mark.saturating_sub(BEFORE)..mark))
        .filter(|before| before.len() == BEFORE);
    before.is_some_and(|before| at(without, before).is_some())
}

async fn forged(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    let webhook = desk.webhook();
    for request in desk.posts.requests() {
        rig.ensure(!has_a_signature(&desk, request), || {
            "a post of Harness::webhooks already has a signature: remove it, \
             Signer::sign adds it"
                .to_owned()
        })?;
        refused(&rig, webhook, request, "a post without a signature").await?;
        let by_another = desk.signed(&rig, request, &desk.other, 0)?;
        refused(&rig, webhook, &by_another, "a signature with another key").await?;

        if desk.signer.covers_body() {
            of_other_bodies(&rig, &desk, request).await?;
        }

        type Spelling = fn(&str) -> String;
        let spellings: [(&str, Spelling); 8] = [
            ("an empty signature", |_| String::new()),
            ("a blank signature", |_| " ".to_owned()),
            ("the beginning of the right signature", |right| {
                right.chars().take(right.chars().count() / 2).collect()
            }),
            ("the first 8 characters of the right signature", |right| {
                right.chars().take(8).collect()
            }),
            ("the right signature without its first part", |right| {
                right.chars().skip(right.chars().count() / 2).collect()
            }),
            ("the right signature twice, as one word", |right| {
                right.repeat(2)
            }),
            ("zeros instead of a signature", |right| {
                "0".repeat(right.len())
            }),
            ("the right signature backwards", |right| {
                right.chars().rev().collect()
            }),
        ];
        for (what, spelling) in spellings {
            let spelt = desk.spelt(request, &desk.new, &|right| spelling(right).into_bytes());
            if let Some(spelt) = spelt {
                refused(&rig, webhook, &spelt, what).await?;
            }
        }
    }
    Ok(())
}

async fn limited(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    const DAY: i64 = 86_400;
    let Some(tolerance) = desk.tolerance() else {
        return Err(Stop::skip("this ESP does not sign a time"));
    };
    for request in desk.posts.requests() {
        for away in [
            tolerance.saturating_mul(2).saturating_add(5),
            tolerance + DAY,
            400 * DAY,
        ] {
            for (seconds, what) in [(-away, "old"), (away, "from the future")] {
                let signed = desk.signed(&rig, request, &desk.new, seconds)?;
                let what = format!("a signature that is {away} s {what}");
                refused(&rig, desk.webhook(), &signed, &what).await?;
            }
        }
    }
    Ok(())
}

/// The length from which texts are tried with only one post.
const LONG: usize = 10_000;

async fn verified_first(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    for (number, request) in desk.posts.requests().enumerate() {
        // Long texts take time, so one post is enough.
        let limit = match number {
            0 => desk.webhook().body_limit(),
            _ => LONG,
        };
        for body in nonsense().into_iter().filter(|body| body.len() <= limit) {
            if desk.signer.covers_body() {
                let mut changed = desk.signed(&rig, request, &desk.new, 0)?;
                *changed.body_mut() = body.clone();
                let what = format!("the body {} with another body's signature", start_of(&body));
                refused(&rig, desk.webhook(), &changed, &what).await?;
            }
            let mut unsigned = request.clone();
            *unsigned.body_mut() = body;
            refused(
                &rig,
                desk.webhook(),
                &unsigned,
                "nonsense without a signature",
            )
            .await?;
        }
    }
    Ok(())
}

async fn any_bytes(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    for (number, request) in desk.posts.requests().enumerate() {
        for place in 0..spellings("").len() {
            let spell = |wrong: &str| spellings(wrong).swap_remove(place);
            if number > 0 && spell("abcdef").len() > LONG {
                continue;
            }
            let spelt = desk.spelt(request, &desk.other, &spell);
            // A signature within the body may make the body too long, which is a different error.
            let limit = desk.webhook().body_limit();
            let Some(spelt) = spelt.filter(|spelt| spelt.body().len() <= limit) else {
                continue;
            };
            let what = format!("{} for a signature", start_of(&spell("abcdef")));
            refused(&rig, desk.webhook(), &spelt, &what).await?;
        }
    }
    Ok(())
}

async fn keyless(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    for keys in [&[][..], &[""]] {
        let Ok(auth) = desk.signer.auth(keys) else {
            continue;
        };
        for posts in rig.webhooks(auth) {
            for request in posts.requests() {
                for key in [&desk.new, ""] {
                    let signed = desk.spelt(request, key, &|signature| signature.into());
                    let request = signed.as_ref().unwrap_or(request);
                    let what = format!("with {} empty keys, a post", keys.len());
                    refused(&rig, &*posts.webhook, request, &what).await?;
                }
                let what = format!("with {} empty keys, a post without a signature", keys.len());
                refused(&rig, &*posts.webhook, request, &what).await?;
            }
        }
    }
    Ok(())
}

async fn anew(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    let guard = Arc::new(MemoryReplayGuard::default());
    for webhook in handled_once([Arc::clone(&desk.posts.webhook)], guard) {
        for request in desk.posts.requests() {
            let handled = AtomicUsize::new(0);
            let before = -desk.tolerance().unwrap_or_default() / 2;
            let first = desk.signed(&rig, request, &desk.new, before)?;
            let expected = events(&rig, &webhook, &first)?.len();
            let second = desk.signed(&rig, request, &desk.old, 0)?;
            for request in [&first, &first, &second] {
                let status = respond(&webhook, request, &handled).await.status();
                rig.ensure(status.is_success(), || format!("the response was {status}"))?;
            }
            let handled = handled.into_inner();
            rig.ensure(handled == expected, || {
                format!("{expected} events were posted three times, but {handled} were handled")
            })?;
        }
    }
    Ok(())
}

async fn unprinted(rig: Arc<Rig>, desk: SigningDesk) -> Verdict {
    let webhook = desk.webhook();
    for request in desk.posts.requests() {
        let wrong = desk.signed(&rig, request, &desk.other, 0)?;
        let right = desk.signed(&rig, request, &desk.new, 0)?;
        let old = desk.signed(&rig, request, &desk.new, -400 * 86_400)?;
        for request in [request, &wrong, &right, &old] {
            if let Err(error) = parse(&rig, webhook, request)? {
                let text = format!("{error} {error:?} {}", error.response_text());
                unheard(&rig, "an error", &text)?;
            }
            let response = respond(webhook, request, &AtomicUsize::new(0)).await;
            unheard(&rig, "a response", &format!("{response:?}"))?;
        }
    }
    let auth = webhook.auth();
    let debug = format!("{webhook:?} {webhook:#?} {auth:?} {auth:#?}");
    unheard(&rig, "the webhook's Debug", &debug)?;
    let traced = rig.traced.text();
    rig.ensure(!traced.is_empty(), || {
        "nothing was traced, not even by core".to_owned()
    })?;
    unheard(&rig, "what was traced", &traced)
}

fn unheard(rig: &Rig, whence: &str, text: &str) -> Verdict {
    rig.ensure(!holds(text, &rig.secret), || {
        format!("{whence} contains a signing key")
    })
}
