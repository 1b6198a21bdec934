//! The web side: pages, form, links in messages, webhooks.
//!
//! The pages contain no script and forbid any. Their HTML is in `page.html`, in which minijinja
//! escapes all values.

use std::sync::Arc;

use anymail_core::{
    Accepted, Address, Event, OneClickUnsubscribe, Status, Suppression, SuppressionFeed,
    SuppressionReason, SuppressionStoreError, UnsubscribePage, Webhook, unsubscribe_routes,
    webhook_routes,
};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use futures_util::TryStreamExt;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Deserialize;
use serde_json::{Value, json};
use time::macros::format_description;

use super::App;
use super::subscribers::{State, Subscriber};
use super::welcome;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The maximum length of a name, in characters. The form has the same limit.
const MAX_NAME: usize = 80;

/// How many suppressions the status page lists, newest first.
const MAX_SUPPRESSED: usize = 100;

pub(crate) fn routes(
    app: Arc<App>,
    webhooks: Vec<Arc<dyn Webhook>>,
    feed: SuppressionFeed,
    unsubscribe: OneClickUnsubscribe,
) -> Router {
    let pages = Router::new()
        .route("/", get(sign_up_form))
        .route("/subscribe", post(subscribe))
        .route("/status", get(status))
        .with_state(Arc::clone(&app));
    let events = webhook_routes(webhooks, move |event: Event| {
        let (app, feed) = (Arc::clone(&app), feed.clone());
        // If the store fails, the ESP posts the event again.
        async move {
            feed.handle(&event).await?;
            app.subscribers.take(&event);
            Ok::<(), SuppressionStoreError>(())
        }
    });
    pages
        .merge(events)
        .merge(unsubscribe_routes(unsubscribe.pages(unsubscribe_page)))
}

/// The form's fields. Missing ones count as empty, and the page asks for them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SignUp {
    name: String,
    email: String,
}

async fn sign_up_form() -> Response {
    form_again(StatusCode::OK, &SignUp::default(), "")
}

async fn subscribe(Shared(app): Shared<Arc<App>>, Form(form): Form<SignUp>) -> Response {
    let (name, email) = (form.name.trim(), form.email.trim());
    let again = |problem: &str| form_again(StatusCode::UNPROCESSABLE_ENTITY, &form, problem);
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return again(&format!(
            "Please tell us your name, in at most {MAX_NAME} characters."
        ));
    }
    let address = match Address::new(name, email) {
        Ok(address) => address,
        Err(error) => return again(&format!("This is not a valid email address: {error}.")),
    };
    let has_left = match app.has_left(&address).await {
        Ok(has_left) => has_left,
        Err(error) => return not_now(&form, &error),
    };
    let Some(subscriber) = app.subscribers.sign_up(name, address, has_left) else {
        // Reveal no more: whoever enters an address is not necessarily its owner.
        return notice(
            StatusCode::OK,
            "You are already subscribed",
            "There is nothing left to do.",
        );
    };
    // Whoever signs up again is no longer unsubscribed. That messages to the address bounced still
    // counts.
    if let Err(error) = app.let_back_in(&subscriber.address).await {
        app.subscribers
            .settle(subscriber.id, State::NotSent, Some(error.to_string()));
        return not_now(&form, &error);
    }
    let id = subscriber.id;
    // In a separate task: when the browser disconnects, axum drops the handler, and the result of
    // sending would not be recorded.
    let in_task = Arc::clone(&app);
    let sending = tokio::spawn(async move { welcome_mail(&in_task, &subscriber).await });
    match sending.await {
        Ok(Ok(())) => notice(
            StatusCode::OK,
            "Thank you for joining",
            &format!("We have sent a message to {email}. Please check your mailbox."),
        ),
        Ok(Err((status, problem))) => form_again(status, &form, &problem),
        Err(panic) => {
            app.subscribers
                .settle(id, State::Unsure, Some(panic.to_string()));
            let words = "We do not know whether our message was sent. Please check your mailbox.";
            form_again(StatusCode::INTERNAL_SERVER_ERROR, &form, words)
        }
    }
}

/// Sends the message and records the result. An error is for the person to read.
async fn welcome_mail(app: &App, subscriber: &Subscriber) -> Result<(), (StatusCode, String)> {
    let settle = |state, detail| app.subscribers.settle(subscriber.id, state, detail);
    let mail = match welcome::mail(subscriber, &app.unsubscribe) {
        Ok(mail) => mail,
        Err(error) => {
            settle(State::NotSent, Some(error.to_string()));
            let words = format!("We cannot send this message: {error}.");
            return Err((StatusCode::UNPROCESSABLE_ENTITY, words));
        }
    };
    match app.mailer.send(&mail).await {
        Ok(status) => {
            let state = match status.all(Status::Unknown) {
                true => State::Unsure,
                false => State::Sent,
            };
            settle(state, None);
            Ok(())
        }
        Err(error) => {
            let state = match error.accepted() {
                Accepted::No => State::NotSent,
                Accepted::Maybe => State::Unsure,
            };
            settle(state, Some(error.to_string()));
            eprintln!("could not send a welcome message: {error}");
            Err(welcome::in_words(&error, subscriber.address.email()))
        }
    }
}

/// The page behind the link in a message, in the design of the other pages.
fn unsubscribe_page(shown: &UnsubscribePage<'_>) -> String {
    let notice = |title: &str, text: &str| {
        html(json!({"page": "notice", "title": title, "text": text})).unwrap_or_default()
    };
    match shown {
        UnsubscribePage::Confirm { address, .. } => {
            html(json!({"page": "unsubscribe", "email": address.as_str()})).unwrap_or_default()
        }
        UnsubscribePage::Done { address, .. } => notice(
            "You are unsubscribed",
            &format!("{} will get no more letters.", address.as_str()),
        ),
        UnsubscribePage::Failed => {
            notice("Something went wrong", "Please try again in a few minutes.")
        }
        _ => notice(
            "This link is not valid",
            "It does not belong to a subscriber. It may be incomplete.",
        ),
    }
}

async fn status(Shared(app): Shared<Arc<App>>) -> Response {
    let suppressed: Result<Vec<Suppression>, _> = app.suppressions.list().try_collect().await;
    let mut suppressed = match suppressed {
        Ok(suppressed) => suppressed,
        Err(error) => {
            eprintln!("could not list the suppressions: {error}");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    suppressed.sort_by_key(|one| std::cmp::Reverse(one.since));
    let has_left = |one: &Subscriber| {
        let key = one.address.key();
        suppressed.iter().any(|suppression| {
            suppression.address == key && suppression.reason == SuppressionReason::Unsubscribe
        })
    };
    let (subscribers, answers) = app.subscribers.all();
    let row = |one: &Subscriber| {
        let state = match has_left(one) {
            true => State::Unsubscribed,
            false => one.state,
        };
        json!({
            "name": one.name,
            "email": one.address.email(),
            "state": state.as_str(),
            "class": match state {
                State::Delivered | State::Opened => "good",
                State::Sending | State::Sent | State::Unsure | State::Unsubscribed => "plain",
                State::NotSent | State::Bounced | State::Complained => "bad",
            },
            "detail": one.detail,
        })
    };
    let rows: Vec<_> = subscribers.iter().rev().map(row).collect();
    let answers: Vec<_> = answers.iter().rev().collect();
    let suppressed: Vec<_> = suppressed.iter().take(MAX_SUPPRESSED).map(why).collect();
    page(
        StatusCode::OK,
        json!({"page": "status", "backend": app.mailer.backend().name(), "rows": rows,
            "answers": answers, "suppressed": suppressed}),
    )
}

/// Who is suppressed, and why.
fn why(one: &Suppression) -> Value {
    let minute = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    json!({
        "email": one.address.as_str(),
        "reason": match one.reason {
            SuppressionReason::HardBounce => "bounced",
            SuppressionReason::SpamComplaint => "reported spam",
            SuppressionReason::Unsubscribe => "unsubscribed",
            _ => "entered manually",
        },
        "scope": one.scope.as_deref().unwrap_or("all mail"),
        "since": one.since.format(minute).unwrap_or_default(),
        "source": one.origin.source,
    })
}

fn not_now(form: &SignUp, error: &SuppressionStoreError) -> Response {
    eprintln!("could not handle a sign-up: {error}");
    let words = "We cannot sign you up right now. Please try again in a few minutes.";
    form_again(StatusCode::SERVICE_UNAVAILABLE, form, words)
}

fn form_again(status: StatusCode, form: &SignUp, problem: &str) -> Response {
    page(
        status,
        json!({"page": "sign_up", "name": form.name, "email": form.email, "problem": problem,
            "max_name": MAX_NAME}),
    )
}

fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    page(
        status,
        json!({"page": "notice", "title": title, "text": text}),
    )
}

fn page(status: StatusCode, values: Value) -> Response {
    let Some(html) = html(values) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(html)).into_response()
}

fn html(values: Value) -> Option<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let rendered = environment.render_str(include_str!("page.html"), Serde(values));
    rendered
        .inspect_err(|error| eprintln!("could not render a page: {error}"))
        .ok()
}
