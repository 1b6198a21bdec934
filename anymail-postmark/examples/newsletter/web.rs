//! What the web sees: the pages, the form, the links in mails, the webhooks.
//!
//! The pages have no script and forbid any. Their HTML is in `page.html`, where minijinja
//! escapes all values.

use std::convert::Infallible;
use std::sync::Arc;

use anymail_core::{Accepted, Address, Event, Status, Webhook, webhook_routes};
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::App;
use super::subscribers::{State, Subscriber};
use super::welcome;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The longest name, in characters; the form says the same.
const MAX_NAME: usize = 80;

pub(crate) fn routes(app: Arc<App>, webhooks: Vec<Arc<dyn Webhook>>) -> Router {
    let pages = Router::new()
        .route("/", get(sign_up_form))
        .route("/subscribe", post(subscribe))
        .route("/unsubscribe/{token}", get(ask).post(unsubscribe))
        .route("/status", get(status))
        .with_state(Arc::clone(&app));
    let events = webhook_routes(webhooks, move |event: Event| {
        app.subscribers.take(&event);
        async { Ok::<(), Infallible>(()) }
    });
    pages.merge(events)
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
    let Some(subscriber) = app.subscribers.sign_up(name, address) else {
        // Not more than this: whoever types an address need not be the one it belongs to.
        return notice(
            StatusCode::OK,
            "You are on the list already",
            "There is nothing more to do.",
        );
    };
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
    let mail = match welcome::mail(subscriber, &app.url) {
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

/// The link in a mail. To look is not to unsubscribe: programs that check mails follow links.
async fn ask(Shared(app): Shared<Arc<App>>, Path(token): Path<String>) -> Response {
    let parsed: Option<Uuid> = token.parse().ok();
    match parsed.and_then(|token| app.subscribers.find(token)) {
        Some(subscriber) => page(
            StatusCode::OK,
            json!({"page": "unsubscribe", "email": subscriber.address.email(), "token": token}),
        ),
        None => no_such_link(),
    }
}

/// One click: a mail program's (RFC 8058), or a person's on the page before.
async fn unsubscribe(Shared(app): Shared<Arc<App>>, Path(token): Path<String>) -> Response {
    let token: Option<Uuid> = token.parse().ok();
    match token.and_then(|token| app.subscribers.unsubscribe(token)) {
        Some(subscriber) => notice(
            StatusCode::OK,
            "You are unsubscribed",
            &format!("{} gets no more letters.", subscriber.address.email()),
        ),
        None => no_such_link(),
    }
}

async fn status(Shared(app): Shared<Arc<App>>) -> Response {
    let (subscribers, answers) = app.subscribers.all();
    let row = |one: &Subscriber| {
        json!({
            "name": one.name,
            "email": one.address.email(),
            "state": one.state.as_str(),
            "class": match one.state {
                State::Delivered | State::Opened => "good",
                State::Sending | State::Sent | State::Unsure | State::Unsubscribed => "plain",
                State::NotSent | State::Bounced | State::Complained => "bad",
            },
            "detail": one.detail,
        })
    };
    let rows: Vec<_> = subscribers.iter().rev().map(row).collect();
    let answers: Vec<_> = answers.iter().rev().collect();
    page(
        StatusCode::OK,
        json!({"page": "status", "backend": app.mailer.backend().name(), "rows": rows,
            "answers": answers}),
    )
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

fn no_such_link() -> Response {
    notice(
        StatusCode::NOT_FOUND,
        "This link leads nowhere",
        "It is not, or no longer, a subscriber's. Was a part of it cut off?",
    )
}

fn page(status: StatusCode, values: Value) -> Response {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    match environment.render_str(include_str!("page.html"), Serde(values)) {
        Ok(html) => {
            // The address of a page can hold a token: it is for nobody else to know.
            let headers = [
                (CONTENT_SECURITY_POLICY, POLICY),
                (REFERRER_POLICY, "no-referrer"),
                (CACHE_CONTROL, "no-store"),
            ];
            (status, headers, Html(html)).into_response()
        }
        Err(error) => {
            eprintln!("a page could not be rendered: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
