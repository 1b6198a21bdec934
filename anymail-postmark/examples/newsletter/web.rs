//! What the web sees: the pages, the form, the links in mails, the webhooks.
//!
//! The pages have no script and forbid any. Their HTML is in `page.html`, where minijinja
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

/// The longest name, in characters; the form says the same.
const MAX_NAME: usize = 80;

/// How many suppressions the status page lists, the newest first.
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

/// What is typed into the form. What is missing is taken for empty, and answered in words.
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
        Err(error) => return again(&format!("This cannot be written to: {error}.")),
    };
    let has_left = match app.has_left(&address).await {
        Ok(has_left) => has_left,
        Err(error) => return not_now(&form, &error),
    };
    let Some(subscriber) = app.subscribers.sign_up(name, address, has_left) else {
        // Not more than this: whoever types an address need not be the one it belongs to.
        return notice(
            StatusCode::OK,
            "You are on the list already",
            "There is nothing more to do.",
        );
    };
    // Whoever asks for the letter has not left any more. That mail to them came back is another
    // matter, and holds.
    if let Err(error) = app.let_back_in(&subscriber.address).await {
        app.subscribers
            .settle(subscriber.id, State::NotSent, Some(error.to_string()));
        return not_now(&form, &error);
    }
    let id = subscriber.id;
    // In a task of its own: when the browser hangs up, axum drops the handler, and nobody
    // would write down how the sending ended.
    let in_task = Arc::clone(&app);
    let sending = tokio::spawn(async move { welcome_mail(&in_task, &subscriber).await });
    match sending.await {
        Ok(Ok(())) => notice(
            StatusCode::OK,
            "Thank you for joining",
            &format!("We have written to {email}. Please look into your mailbox."),
        ),
        Ok(Err((status, problem))) => form_again(status, &form, &problem),
        Err(panic) => {
            app.subscribers
                .settle(id, State::Unsure, Some(panic.to_string()));
            let words = "We do not know whether our mail has left. The fault is ours.";
            form_again(StatusCode::INTERNAL_SERVER_ERROR, &form, words)
        }
    }
}

/// Sends the mail and notes how that ended; an error is for the person to read.
async fn welcome_mail(app: &App, subscriber: &Subscriber) -> Result<(), (StatusCode, String)> {
    let settle = |state, detail| app.subscribers.settle(subscriber.id, state, detail);
    let mail = match welcome::mail(subscriber, &app.unsubscribe) {
        Ok(mail) => mail,
        Err(error) => {
            settle(State::NotSent, Some(error.to_string()));
            let words = format!("We cannot write such a mail: {error}.");
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
            eprintln!("a welcome mail failed: {error}");
            Err(welcome::in_words(&error, subscriber.address.email()))
        }
    }
}

/// What the link in a mail shows, in the look of the other pages.
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
            &format!("{} gets no more letters.", address.as_str()),
        ),
        UnsubscribePage::Failed => notice(
            "That did not work",
            "The fault is ours. Please try again in a few minutes.",
        ),
        _ => notice(
            "This link leads nowhere",
            "It is not, or no longer, a subscriber's. Was a part of it cut off?",
        ),
    }
}

async fn status(Shared(app): Shared<Arc<App>>) -> Response {
    let suppressed: Result<Vec<Suppression>, _> = app.suppressions.list().try_collect().await;
    let mut suppressed = match suppressed {
        Ok(suppressed) => suppressed,
        Err(error) => {
            eprintln!("the suppressions could not be listed: {error}");
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
            SuppressionReason::HardBounce => "mail to it came back",
            SuppressionReason::SpamComplaint => "called a mail spam",
            SuppressionReason::Unsubscribe => "asked for no more",
            _ => "was entered by hand",
        },
        "scope": one.scope.as_deref().unwrap_or("all mail"),
        "since": one.since.format(minute).unwrap_or_default(),
        "source": one.origin.source,
    })
}

fn not_now(form: &SignUp, error: &SuppressionStoreError) -> Response {
    eprintln!("a sign-up failed: {error}");
    let words = "We cannot take you in just now. Please try again in a few minutes.";
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
        .inspect_err(|error| eprintln!("a page could not be rendered: {error}"))
        .ok()
}
