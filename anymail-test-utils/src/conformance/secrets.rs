//! Tokens and bodies appear in no output, and are sent only to the ESP.

use std::error::Error;
use std::sync::Arc;

use anymail_core::SendError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;

use super::harness::FailureKind;
use super::network::error;
use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use super::wire::{Faults, WireFault};
use crate::fixtures::{BODY, plain};
use crate::{Fault, LoopbackServer};

pub(super) fn trials(faults: Option<&Faults>) -> Vec<Trial> {
    const PRINT: &str = "anymail_core::Secret for everything that holds a token; \
                         HeaderValue::set_sensitive; Secret::redact for text from a server";
    const BODIES: &str = "what your backend prints or traces about a message or a request: sizes and \
                          counts are sufficient";
    let mut trials = vec![
        trial(
            "secrets::a_body_is_in_no_debug_text_or_error",
            BODIES,
            body_unprinted,
        ),
        trial("secrets::a_body_is_not_traced", BODIES, body_untraced).traced(),
    ];
    let Some(faults) = faults else {
        return trials;
    };
    trials.extend([
        trial(
            "secrets::the_token_reaches_the_esp",
            "how your backend authenticates; Harness::credentials",
            used,
        ),
        trial("secrets::the_token_is_in_no_debug_text", PRINT, undebugged),
        trial("secrets::the_token_is_in_no_error", PRINT, in_no_error),
        trial(
            "secrets::a_token_that_the_esp_repeats_is_not_printed",
            PRINT,
            not_echoed,
        ),
        trial("secrets::the_token_is_not_traced", PRINT, untraced).traced(),
    ]);
    if faults.has_urls {
        trials.push(trial(
            "secrets::the_token_is_in_no_url",
            "how your backend authenticates: with a header, not in the URL",
            not_logged,
        ));
    }
    if faults.redirects {
        trials.push(trial(
            "secrets::a_redirect_does_not_forward_the_token",
            "turn redirects off in your HTTP client",
            not_redirected,
        ));
    }
    trials
}

/// Whether a text contains the secret, plain or in base64 (as in basic authentication).
pub(super) fn holds(text: &str, secret: &str) -> bool {
    // Base64 encodes groups of three bytes, so the encoding depends on the offset. The ends depend
    // on the neighboring bytes and are omitted.
    let encoded = (0..3).any(|before| {
        let padded = format!("{}{secret}", &"   "[..before]);
        let code = STANDARD.encode(padded);
        let inner = code.get(4..code.len().saturating_sub(4));
        inner.is_some_and(|inner| !inner.is_empty() && text.contains(inner))
    });
    encoded || text.contains(secret)
}

fn unheard(rig: &Rig, whence: &str, text: &str) -> Verdict {
    rig.ensure(!holds(text, &rig.secret), || {
        let at = text.find(&rig.secret).unwrap_or_default();
        let line = text.get(..at).and_then(|before| before.lines().last());
        format!(
            "{whence} contains the token, after {:?}",
            line.unwrap_or_default()
        )
    })
}

/// Returns everything that an error can print.
fn printed(error: &SendError) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!("\n{source}\n{source:?}"));
        cause = source.source();
    }
    text
}

async fn used(rig: Rig) -> Verdict {
    rig.send_ok(&plain()).await?;
    match rig.wire.unauthorized() {
        None => Ok(()),
        Some(missing) => Err(rig.fail(
            // What is missing contains the secret.
            format!("the ESP did not find {missing}; see Harness::credentials")
                .replace(&rig.secret, "[the secret]"),
        )),
    }
}

async fn not_logged(rig: Rig) -> Verdict {
    rig.send_ok(&plain()).await?;
    unheard(
        &rig,
        "a URL, which servers and proxies log,",
        &rig.wire.logged(),
    )
}

async fn undebugged(rig: Rig) -> Verdict {
    unheard(
        &rig,
        "the backend's Debug",
        &format!("{:?} {:#?}", rig.backend, rig.backend),
    )?;
    unheard(&rig, "the mailer's Debug", &format!("{:?}", rig.mailer))?;
    let status = rig.send_ok(&plain()).await?;
    unheard(&rig, "the status's Debug", &format!("{status:?}"))
}

async fn in_no_error(rig: Rig) -> Verdict {
    for fault in &rig.faults()?.telling {
        rig.inject(fault)?;
        if let Err(error) = rig.send(&plain()).await? {
            unheard(&rig, "an error", &printed(&error))?;
        }
        rig.wire.clear_faults();
    }
    for kind in [
        FailureKind::BadToken,
        FailureKind::RateLimited,
        FailureKind::Crashed,
    ] {
        rig.refuse_all(kind, "words");
        unheard(&rig, "an error", &printed(&error(&rig).await?))?;
    }
    rig.wire.refuse().await?;
    unheard(&rig, "an error", &printed(&error(&rig).await?))
}

async fn not_echoed(rig: Rig) -> Verdict {
    rig.send_ok(&plain()).await?;
    // What the ESP may repeat: the token, and each form in which it arrived, such as base64.
    let mut echoes = vec![rig.secret.clone()];
    echoes.extend(rig.wire.bearers());
    for echo in &echoes {
        for kind in [
            FailureKind::BadToken,
            FailureKind::Refused,
            FailureKind::Crashed,
        ] {
            rig.refuse_all(kind, format!("no such token: {echo}"));
            unheard(&rig, "an error", &printed(&error(&rig).await?))?;
        }
        rig.all_is_well();
        for fault in (rig.faults()?.echoes)(echo) {
            rig.inject(&fault)?;
            match rig.send(&plain()).await? {
                Err(error) => unheard(&rig, "an error", &printed(&error))?,
                Ok(status) => unheard(&rig, "the status's Debug", &format!("{status:?}"))?,
            }
        }
    }
    Ok(())
}

async fn untraced(rig: Rig) -> Verdict {
    rig.send_ok(&plain()).await?;
    rig.refuse_all(
        FailureKind::BadToken,
        format!("no such token: {}", rig.secret),
    );
    error(&rig).await?;
    rig.plan(|plan| plan.failure = None);
    for fault in &rig.faults()?.telling {
        rig.inject(fault)?;
        let _ = rig.send(&plain()).await?;
        rig.wire.clear_faults();
    }
    let traced = rig.traced.text();
    rig.ensure(!traced.is_empty(), || {
        "nothing was traced, not even by the mailer".to_owned()
    })?;
    unheard(&rig, "what was traced", &traced)
}

fn wordless(rig: &Rig, whence: &str, text: &str) -> Verdict {
    rig.ensure(!text.contains(BODY), || {
        format!("{whence} contains the message's body")
    })
}

async fn body_unprinted(rig: Rig) -> Verdict {
    let mut message = plain();
    message.html_body = format!("<p>{BODY}</p>").into();
    match rig.send(&message).await? {
        Ok(status) => wordless(&rig, "the status's Debug", &format!("{status:?}"))?,
        Err(error) => return Err(rig.fail(format!("the message was not sent: {error}"))),
    }
    wordless(&rig, "the backend's Debug", &format!("{:?}", rig.backend))?;
    if rig.is_local() {
        return Ok(());
    }
    for fault in &rig.faults()?.telling {
        rig.inject(fault)?;
        if let Err(error) = rig.send(&message).await? {
            wordless(&rig, "an error", &printed(&error))?;
        }
        rig.wire.clear_faults();
    }
    Ok(())
}

async fn body_untraced(rig: Rig) -> Verdict {
    let mut message = plain();
    message.html_body = format!("<p>{BODY}</p>").into();
    rig.send_ok(&message).await?;
    wordless(&rig, "what was traced", &rig.traced.text())
}

async fn not_redirected(rig: Rig) -> Verdict {
    let elsewhere = LoopbackServer::start(|_| Response::new(Bytes::from_static(b"{}")))
        .map_err(|error| Stop::fail(format!("could not start a loopback server: {error}")))?;
    let elsewhere = Arc::new(elsewhere);
    for status in [301, 302, 303, 307, 308] {
        let response = Response::builder()
            .status(status)
            .header("location", format!("{}/elsewhere", elsewhere.url()));
        let response = response.body(Bytes::new()).unwrap_or_default();
        rig.inject(&WireFault::Http(Fault::Replace(response)))?;
        if let Ok(told) = rig.send(&plain()).await? {
            return Err(rig.fail(format!(
                "HTTP {status} is not a success, but the result is {told:?}"
            )));
        }
        for request in elsewhere.requests() {
            let text = format!("{} {:?}", request.uri(), request.headers());
            let body = String::from_utf8_lossy(request.body());
            rig.ensure(!holds(&text, &rig.secret) && !body.contains(BODY), || {
                format!(
                    "HTTP {status} made the backend send the token or the body to another server"
                )
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_plain_and_in_base64_at_any_offset() {
        let secret = "token0123456789abcdef";
        assert!(holds(&format!("key={secret}!"), secret));
        for user in ["", "u", "us", "use", "user:"] {
            let code = STANDARD.encode(format!("{user}{secret}:x"));
            assert!(holds(&format!("Basic {code}"), secret), "{user}");
        }
        assert!(!holds("nothing of the kind", secret));
    }
}
