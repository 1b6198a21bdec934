//! Postmark's SMTP server: who may log in, and what happens to a message.
//!
//! `smtp_server` in the parent folder conducts the conversation, and `smtp_mail.rs` parses the
//! message. The docs of [`FakePostmark`](super::FakePostmark) list the known facts about Postmark
//! and their sources.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::api::TEST_TOKEN;
use super::check::{Checked, check};
use super::email::EmailRequest;
use super::fields::Fields;
use super::message::{Mailbox, SentMessage};
use super::rules::{self, ApiError};
use super::sending::{Content, approve, first, message};
use super::smtp_mail;
use super::state::{Fake, State};
use super::webhooks::Posting;
use crate::smtp_server::{
    LoopbackSmtp, LoopbackTls, SmtpExtension, SmtpMechanism, SmtpMessage, SmtpReply,
};

/// Starts the SMTP server of a fake.
pub(super) fn start(
    fake: &Arc<Fake>,
    address: SocketAddr,
    tls: LoopbackTls,
) -> io::Result<LoopbackSmtp> {
    let (guard, taker) = (Arc::clone(fake), Arc::clone(fake));
    LoopbackSmtp::builder()
        .address(address)
        .hostname("smtp.fake-postmark.test")
        .tls(tls)
        .mechanisms([SmtpMechanism::Plain, SmtpMechanism::Login])
        .auth_in_clear(true)
        .size_limit(rules::MAX_MESSAGE)
        .without(SmtpExtension::SmtpUtf8)
        .without(SmtpExtension::Dsn)
        .without(SmtpExtension::Chunking)
        .login_rule(move |user, password| Some(log_in(&guard, user, password)))
        .reply_to_message(move |mail| take(&taker, mail))
        .start()
}

fn log_in(fake: &Fake, user: &str, password: &str) -> SmtpReply {
    // Compared case-insensitively, like the token of an HTTP call.
    let both =
        |token: &str| user.eq_ignore_ascii_case(token) && password.eq_ignore_ascii_case(token);
    let settings = &fake.settings;
    let known = both(TEST_TOKEN)
        || settings.tokens.iter().any(|token| both(&token.0))
        || settings
            .smtp_tokens
            .iter()
            .any(|token| token.access_key.0 == user && token.secret_key.0 == password);
    match known && fake.state().server.flag("SmtpApiActivated") {
        true => SmtpReply::new(235, "2.7.0 Authentication successful"),
        false => SmtpReply::new(535, "5.7.8 Error: authentication failed"),
    }
}

/// Returns the stream of a login with an SMTP token.
fn stream_of<'a>(fake: &'a Fake, user: &str) -> Option<&'a str> {
    let mut tokens = fake.settings.smtp_tokens.iter();
    let token = tokens.find(|token| token.access_key.0 == user)?;
    Some(&token.stream)
}

/// Handles a message whose content is complete. `None` is the usual 250, also for a message that is
/// refused afterwards.
fn take(fake: &Fake, mail: &SmtpMessage) -> Option<SmtpReply> {
    let unreadable = || SmtpReply::new(554, "5.6.0 Error: could not parse the message");
    let user = mail.user.as_deref().unwrap_or_default();
    let Some(arrived) = smtp_mail::read(mail, stream_of(fake, user)) else {
        return Some(unreadable());
    };
    let request = Fields::root(&arrived.json).and_then(|fields| EmailRequest::read(&fields));
    let Ok(request) = request else {
        return Some(unreadable());
    };
    let checked = check(&request, true).map_err(first);
    if user.eq_ignore_ascii_case(TEST_TOKEN) {
        return match checked {
            Ok(_) => {
                fake.state().test_jobs += 1;
                None
            }
            Err(error) => Some(SmtpReply::new(554, format!("5.6.0 {}", one_line(&error)))),
        };
    }
    let mut state = fake.state();
    let verdict = checked.and_then(|checked| {
        let (stream, inactive) = approve(fake, &state, &request, &checked)?;
        Ok((checked, stream, inactive))
    });
    let (message, postings) = match verdict {
        Ok((checked, stream, inactive)) => {
            let content = Content::of(&request);
            let message = message("smtp", request, checked, content, stream, inactive);
            accept(&mut state, mail, message)
        }
        Err(error) => refuse(&mut state, mail, request, arrived.checked, &error),
    };
    drop(state);
    fake.announce(&[message]);
    fake.post_in_background(postings);
    None
}

/// Removes line breaks from the text of a refusal, which quotes what was sent.
fn one_line(error: &ApiError) -> String {
    let printable = |c: char| match c {
        c if c.is_ascii() && !c.is_ascii_control() => c,
        _ => '?',
    };
    error.message.chars().map(printable).take(400).collect()
}

fn accept(
    state: &mut State,
    mail: &SmtpMessage,
    mut message: SentMessage,
) -> (Arc<SentMessage>, Vec<Posting>) {
    message.raw_mime = Some(mail.content.clone());
    let message = Arc::new(message);
    state.keep(Arc::clone(&message));
    let all = message.to.iter().chain(&message.cc).chain(&message.bcc);
    let suppressed = all.filter(|recipient| message.inactive.contains(&recipient.key()));
    let mut postings = Vec::new();
    for recipient in suppressed {
        let words = rules::all_inactive(&recipient.key()).message;
        postings.extend(state.smtp_api_error(&message, recipient, &words));
    }
    (message, postings)
}

fn refuse(
    state: &mut State,
    mail: &SmtpMessage,
    request: EmailRequest,
    checked: Checked,
    error: &ApiError,
) -> (Arc<SentMessage>, Vec<Posting>) {
    let content = Content::of(&request);
    let stream = request.stream.clone().filter(|stream| !stream.is_empty());
    let stream = stream.unwrap_or_else(|| "outbound".to_owned());
    let mut message = message("smtp", request, checked, content, stream, Vec::new());
    message.raw_mime = Some(mail.content.clone());
    message.refusal = Some(format!("{} (error code {})", error.message, error.code));
    let message = Arc::new(message);
    state.keep_refused(Arc::clone(&message));
    let all: Vec<&Mailbox> = message
        .to
        .iter()
        .chain(&message.cc)
        .chain(&message.bcc)
        .collect();
    let bounced = match error.code {
        rules::ALL_INACTIVE => all.as_slice(),
        _ => all.get(..1).unwrap_or_default(),
    };
    let mut postings = Vec::new();
    for recipient in bounced {
        postings.extend(state.smtp_api_error(&message, recipient, &error.message));
    }
    (message, postings)
}
