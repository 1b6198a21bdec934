//! Webhooks: who may post, what any bytes lead to, and how a repeated event is recognized.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anymail_core::{
    Event, EventType, Webhook, WebhookAuth, WebhookError, WebhookErrorKind, WebhookKind,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};

use super::events::News;
use super::posts::{Post, Posts};
use super::responses::{mutilations, nonsense};
use super::rig::Rig;
use super::secrets::holds;
use super::trial::{Stop, Trial, Verdict, trial};

const USER: &str = "hook";

pub(super) fn trials(kinds: &[WebhookKind]) -> Vec<Trial> {
    const READ: &str = "your Webhook::read; the requests from Harness::webhooks";
    let mut trials = Vec::new();
    for &kind in kinds {
        let mut add = |name: &str, look_at: &str, check: fn(&Rig, &Posts) -> Verdict| {
            let name = format!("webhooks::{kind}::{name}");
            trials.push(trial(name, look_at, move |rig| {
                let verdict = run(&rig, kind, check);
                async { verdict }
            }));
        };
        add("a_post_with_the_right_secret_is_read", READ, read);
        add(
            "a_post_without_the_right_secret_is_not_read",
            "Webhook::auth must return the WebhookAuth that the webhook was created with; \
             Webhook::parse must not be overridden",
            refused,
        );
        add(
            "a_repeated_event_has_the_same_key",
            "how your webhook creates an event's dedup_key; Post::repeats",
            same_keys,
        );
        add(
            "two_events_never_have_the_same_key",
            "how your webhook creates an event's dedup_key; Post::others",
            other_keys,
        );
        add("any_bytes_give_events_or_an_error", READ, any_bytes);
        add(
            "other_methods_and_long_bodies_are_not_read",
            "Webhook::parse, Webhook::body_limit",
            limits,
        );
        add(
            "secrets_and_payloads_are_in_no_debug_output_or_error",
            "the texts of your WebhookErrors; WebhookAuth does not print its secrets",
            unprinted,
        );
        trials.push(trial(
            format!("webhooks::{kind}::events_say_what_the_esp_said"),
            "your Webhook::read; Post::events, and Harness::webhooks for the requests",
            move |rig| events_say(rig, kind),
        ));
    }
    trials
}

fn run(rig: &Rig, kind: WebhookKind, check: fn(&Rig, &Posts) -> Verdict) -> Verdict {
    let posts = rig.webhooks(basic_auth(rig)?).into_iter();
    let posts = posts.filter(|posts| posts.webhook.kind() == kind);
    for posts in posts {
        rig.ensure(!posts.posts.is_empty(), || {
            "Harness::webhooks returns a webhook without any posts".to_owned()
        })?;
        check(rig, &posts)?;
    }
    Ok(())
}

async fn events_say(rig: Rig, kind: WebhookKind) -> Verdict {
    let news = News::of_a_mail(&rig).await?;
    let auth = basic_auth(&rig)?;
    for posts in rig.webhooks_about(auth, &news.sent) {
        if posts.webhook.kind() != kind {
            continue;
        }
        for post in &posts.posts {
            let found = events(&rig, &*posts.webhook, &authorized(&rig, &post.request))?;
            news.compare(&rig, post, &found)?;
        }
    }
    Ok(())
}

fn basic_auth(rig: &Rig) -> Verdict<WebhookAuth> {
    let pairs = [(USER, new_secret(rig)), (USER, old_secret(rig))];
    WebhookAuth::basic(pairs).map_err(|error| Stop::fail(error.to_string()))
}

fn new_secret(rig: &Rig) -> String {
    format!("new:{}", rig.secret)
}

fn old_secret(rig: &Rig) -> String {
    format!("old{}", rig.secret)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Returns the request with this secret, or without one.
fn bearing(request: &Request<Bytes>, secret: Option<&str>) -> Request<Bytes> {
    let mut request = request.clone();
    request.headers_mut().remove(header::AUTHORIZATION);
    if let Some(value) = secret.and_then(|secret| HeaderValue::from_str(secret).ok()) {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    request
}

fn authorized(rig: &Rig, request: &Request<Bytes>) -> Request<Bytes> {
    bearing(request, Some(&basic(USER, &new_secret(rig))))
}

/// Parses a request; a panic is reported as a separate failure.
pub(super) fn parse(
    rig: &Rig,
    webhook: &dyn Webhook,
    request: &Request<Bytes>,
) -> Verdict<Result<Vec<Event>, WebhookError>> {
    let parsed = catch_unwind(AssertUnwindSafe(|| webhook.parse(request)));
    parsed.map_err(|_| {
        rig.fail(format!(
            "Webhook::parse panicked; the body was {}",
            start_of(request.body())
        ))
    })
}

pub(super) fn start_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    format!("{:?}", text.chars().take(300).collect::<String>())
}

pub(super) fn events(
    rig: &Rig,
    webhook: &dyn Webhook,
    request: &Request<Bytes>,
) -> Verdict<Vec<Event>> {
    parse(rig, webhook, request)?.map_err(|error| {
        let body = start_of(request.body());
        rig.fail(format!(
            "expected events, got \"{error}\"; the body was {body}"
        ))
    })
}

fn read(rig: &Rig, posts: &Posts) -> Verdict {
    let webhook = &*posts.webhook;
    for request in posts.requests() {
        for secret in [new_secret(rig), old_secret(rig)] {
            let request = bearing(request, Some(&basic(USER, &secret)));
            let events = events(rig, webhook, &request)?;
            rig.ensure(!events.is_empty(), || {
                format!(
                    "a post of the harness contains no event: {}",
                    start_of(request.body())
                )
            })?;
            for event in events {
                let inbound = event.event_type() == EventType::Inbound;
                rig.ensure(inbound == (webhook.kind() == WebhookKind::Inbound), || {
                    format!(
                        "the {} webhook returned {:?}",
                        webhook.kind(),
                        event.event_type()
                    )
                })?;
                let payload = match &event {
                    Event::Inbound(event) => event.payload.as_bytes().len(),
                    Event::Tracking(event) => event.payload.as_bytes().len(),
                    _ => 1,
                };
                rig.ensure(event.esp() == rig.backend.name() && payload > 0, || {
                    format!(
                        "an event must contain the name of its ESP ({:?}) and its payload: {event:?}",
                        rig.backend.name()
                    )
                })?;
            }
        }
    }
    Ok(())
}

fn refused(rig: &Rig, posts: &Posts) -> Verdict {
    let (new, old) = (new_secret(rig), old_secret(rig));
    let wrong = [
        None,
        Some(String::new()),
        Some("Basic".to_owned()),
        Some("Basic !!".to_owned()),
        Some(format!("Bearer {new}")),
        Some(basic("", "")),
        Some(basic("other", &new)),
        Some(basic(USER, "")),
        Some(basic(USER, "other")),
        Some(basic(USER, new.get(1..).unwrap_or_default())),
        Some(basic(USER, &format!("{new}{old}"))),
    ];
    for request in posts.requests() {
        for secret in &wrong {
            let request = bearing(request, secret.as_deref());
            let kind = parse(rig, &*posts.webhook, &request)?.map_err(|error| error.kind());
            let wanted = match secret {
                None => WebhookErrorKind::NoSecret,
                Some(_) => WebhookErrorKind::WrongSecret,
            };
            rig.ensure(kind.as_ref().err() == Some(&wanted), || {
                format!("expected {wanted:?} with the Authorization {secret:?}, got {kind:?}")
            })?;
            let status = posts.webhook.status(wanted);
            rig.ensure(!status.is_success(), || {
                format!("the response to {wanted:?} is {status}, so the ESP discards the event")
            })?;
        }
    }
    Ok(())
}

fn keys_of(rig: &Rig, posts: &Posts, request: &Request<Bytes>) -> Verdict<Vec<String>> {
    let events = events(rig, &*posts.webhook, &authorized(rig, request))?;
    let key = |event: Event| event.dedup_key().to_owned();
    Ok(events.into_iter().map(key).collect())
}

/// Checks that a repeated post has the same keys, even if the ESP's second attempt differs.
fn same_keys(rig: &Rig, posts: &Posts) -> Verdict {
    for Post {
        request, repeats, ..
    } in &posts.posts
    {
        let first = keys_of(rig, posts, request)?;
        for repeat in repeats.iter().chain([request]) {
            let second = keys_of(rig, posts, repeat)?;
            rig.ensure(first == second, || {
                format!(
                    "a post has the keys {first:?}, but its repeat has {second:?}; the repeat was {}",
                    start_of(repeat.body())
                )
            })?;
        }
    }
    Ok(())
}

/// Checks that different events have different keys, even if they differ little.
fn other_keys(rig: &Rig, posts: &Posts) -> Verdict {
    let others = posts.posts.iter().flat_map(|post| &post.others);
    rig.ensure(others.clone().count() > 0, || {
        format!(
            "Harness::webhooks returns no Post with `others` for the {} webhook: add to at least one \
             post another event that differs from it only in its id",
            posts.webhook.kind()
        )
    })?;
    let mut seen: Vec<String> = Vec::new();
    for request in posts.requests().chain(others) {
        for key in keys_of(rig, posts, request)? {
            rig.ensure(!key.is_empty() && !seen.contains(&key), || {
                format!(
                    "two different events have the key {key:?}; the second one was in {}",
                    start_of(request.body())
                )
            })?;
            seen.push(key);
        }
    }
    Ok(())
}

fn any_bytes(rig: &Rig, posts: &Posts) -> Verdict {
    for request in posts.requests() {
        let request = authorized(rig, request);
        let bodies = nonsense().into_iter().chain(mutilations(request.body()));
        for body in bodies {
            let mut changed = request.clone();
            *changed.body_mut() = body;
            let _ = parse(rig, &*posts.webhook, &changed)?;
            changed.headers_mut().remove(header::CONTENT_TYPE);
            let _ = parse(rig, &*posts.webhook, &changed)?;
        }
        for (kind, body) in odd_forms() {
            let mut changed = request.clone();
            *changed.body_mut() = body;
            let kind = HeaderValue::from_static(kind);
            changed.headers_mut().insert(header::CONTENT_TYPE, kind);
            let _ = parse(rig, &*posts.webhook, &changed)?;
        }
    }
    Ok(())
}

/// Forms that no ESP would post, each with its media type.
fn odd_forms() -> Vec<(&'static str, Bytes)> {
    const PAIRS: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=b0";
    let part = |head: &str| format!("--b0\r\n{head}\r\n\r\nx\r\n");
    let named = part("Content-Disposition: form-data; name=\"a\"");
    let whole = |parts: String| parts + "--b0--\r\n";
    let mut forms: Vec<(&str, String)> = ["", "&", "=", "&&==&=", "%", "a=%", "a=%ff%00", "%00=b"]
        .map(|body| (PAIRS, body.to_owned()))
        .into();
    forms.extend([
        (PAIRS, "&a=b".repeat(50_000)),
        (PAIRS, format!("a={}", "%".repeat(300_000))),
        (PARTS, String::new()),
        (PARTS, "--b0--\r\n".to_owned()),
        (PARTS, named.clone()),
        (PARTS, whole(part("Content-Type: text/plain"))),
        (PARTS, whole(part("Content-Disposition: attachment"))),
        (
            PARTS,
            whole(part("Content-Disposition: form-data; name=\"")),
        ),
        (
            PARTS,
            whole(part(
                "Content-Disposition: form-data; name=\"a\0b\"; filename=\"../x\"",
            )),
        ),
        (PARTS, whole(named.repeat(20_000))),
        (PARTS, format!("--b0\r\n{}", "x: y\r\n".repeat(50_000))),
        (PARTS, "--b0\r\n".repeat(50_000)),
        (PARTS, "-".repeat(500_000)),
        ("multipart/form-data", whole(named.clone())),
        ("multipart/form-data; boundary=", whole(named.clone())),
        ("multipart/form-data; boundary=other", whole(named)),
    ]);
    let forms = forms.into_iter();
    forms.map(|(kind, body)| (kind, body.into())).collect()
}

fn limits(rig: &Rig, posts: &Posts) -> Verdict {
    let Some(request) = posts.requests().next() else {
        return Ok(());
    };
    let mut long = authorized(rig, request);
    *long.body_mut() = vec![b' '; posts.webhook.body_limit().saturating_add(1)].into();
    let mut get = authorized(rig, request);
    *get.method_mut() = Method::GET;
    for (request, wanted) in [
        (long, WebhookErrorKind::TooLarge),
        (get, WebhookErrorKind::WrongMethod),
    ] {
        let found = parse(rig, &*posts.webhook, &request)?.map_err(|error| error.kind());
        rig.ensure(found.as_ref().err() == Some(&wanted), || {
            format!("expected {wanted:?}, got {found:?}")
        })?;
    }
    Ok(())
}

fn unprinted(rig: &Rig, posts: &Posts) -> Verdict {
    const WORD: &str = "awordofthepayload";
    let webhook = &*posts.webhook;
    for request in posts.requests() {
        for body in [
            WORD.to_owned(),
            format!("{{\"{WORD}\": \"{WORD}\"}}"),
            format!("[\"{WORD}\"]"),
            format!("{{\"a\": {WORD}"),
        ] {
            let mut changed = authorized(rig, request);
            *changed.body_mut() = body.into();
            if let Err(error) = parse(rig, webhook, &changed)? {
                let text = format!("{error} {error:?} {}", error.response_text());
                rig.ensure(!text.contains(WORD) && !holds(&text, &rig.secret), || {
                    format!("an error contains the payload or the secret: {text}")
                })?;
            }
        }
    }
    // Format the webhook last, because it may have kept something of what it read.
    let debug = format!("{webhook:?} {webhook:#?}");
    rig.ensure(!debug.contains(WORD) && !holds(&debug, &rig.secret), || {
        format!("the webhook's Debug contains a payload or a secret: {debug}")
    })
}
