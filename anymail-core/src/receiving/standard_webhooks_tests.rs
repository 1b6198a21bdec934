//! The published test vectors are those of the reference libraries of Standard Webhooks
//! (`libraries/javascript/src/webhook.test.ts`, `libraries/go/webhook_symmetric_test.go`).

use std::time::{Duration, SystemTime};

use super::*;

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIME: i64 = 1_614_265_330;
const BODY: &str = r#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const WRONG: &str = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";

fn at(now: i64, keys: &[&str]) -> StandardWebhooks {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
    let tolerance = TimestampTolerance::default().with_clock(move || now);
    StandardWebhooks::new(keys.iter().copied())
        .unwrap()
        .tolerance(tolerance)
}

fn post<'h>(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Request<Bytes> {
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(BODY.into()).unwrap()
}

fn signed(signature: &str) -> Request<Bytes> {
    post([
        ("webhook-id", ID.as_bytes()),
        ("webhook-timestamp", TIME.to_string().as_bytes()),
        ("webhook-signature", signature.as_bytes()),
    ])
}

fn verdict(request: &Request<Bytes>) -> Result<(), SignatureError> {
    at(TIME, &[KEY]).verify(request)
}

#[test]
fn the_published_signature_is_created_and_verified() {
    for key in [
        KEY,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
    ] {
        let webhooks = at(TIME, &[key]);
        assert_eq!(webhooks.sign(ID, TIME, BODY.as_bytes()), SIGNATURE);
        assert_eq!(webhooks.verify(&signed(SIGNATURE)), Ok(()));
    }
}

#[test]
fn one_valid_signature_among_many_is_enough() {
    let v2 = WRONG.replace("v1", "v2");
    for header in [
        [WRONG, &v2, SIGNATURE, WRONG].join(" "),
        format!("{SIGNATURE} "),
        format!("  {SIGNATURE}  {WRONG}"),
        format!(
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZ== {SIGNATURE}"
        ),
        format!("{}{SIGNATURE}", format!("{WRONG} ").repeat(5000)),
    ] {
        assert_eq!(verdict(&signed(&header)), Ok(()), "{}", header.len());
    }
    let mut lines = signed(WRONG);
    lines
        .headers_mut()
        .append("webhook-signature", SIGNATURE.parse().unwrap());
    assert_eq!(verdict(&lines), Ok(()));
}

#[test]
fn any_of_the_configured_keys_may_have_signed() {
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    assert!(at(TIME, &[other, KEY]).verify(&signed(SIGNATURE)).is_ok());
    assert!(at(TIME, &[KEY, other]).verify(&signed(SIGNATURE)).is_ok());
    assert_eq!(
        at(TIME, &[other]).verify(&signed(SIGNATURE)),
        Err(SignatureError::NoMatch)
    );
}

#[test]
fn only_the_complete_signature_of_this_body_id_and_time_is_valid() {
    for wrong in [
        WRONG,
        "v1,dawfeoifkpqwoekfpqoekf",
        "v1,",
        "v1",
        ",",
        &SIGNATURE[..8],
        &SIGNATURE[3..],
        &SIGNATURE.replace("v1", "v2"),
        &SIGNATURE.replace("v1", "V1"),
        &SIGNATURE.replace('+', "-").replace('/', "_"),
        SIGNATURE.trim_end_matches('='),
        &SIGNATURE.replace(',', ", "),
        &format!("{SIGNATURE}\t{WRONG}"),
        &format!("{SIGNATURE}{SIGNATURE}"),
        &format!("{SIGNATURE}="),
    ] {
        assert_eq!(
            verdict(&signed(wrong)),
            Err(SignatureError::NoMatch),
            "{wrong}"
        );
    }
    let mut body = signed(SIGNATURE);
    *body.body_mut() = BODY.replace(' ', "").into();
    assert_eq!(verdict(&body), Err(SignatureError::NoMatch));
    let mut id = signed(SIGNATURE);
    id.headers_mut()
        .insert("webhook-id", "msg_other".parse().unwrap());
    assert_eq!(verdict(&id), Err(SignatureError::NoMatch));
    let mut time = signed(SIGNATURE);
    time.headers_mut()
        .insert("webhook-timestamp", (TIME + 1).into());
    assert_eq!(verdict(&time), Err(SignatureError::NoMatch));
}

#[test]
fn a_missing_header_or_invalid_timestamp_is_named() {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut request = signed(SIGNATURE);
        request.headers_mut().insert(name, "".parse().unwrap());
        assert_eq!(verdict(&request), Err(SignatureError::Missing(name)));
        request.headers_mut().remove(name);
        assert_eq!(verdict(&request), Err(SignatureError::Missing(name)));
    }
    for wrong in [
        "hello",
        "+1614265330",
        "-1",
        "1614265330.0",
        "1614265330 ",
        "99999999999999999999",
    ] {
        let mut request = signed(SIGNATURE);
        request
            .headers_mut()
            .insert("webhook-timestamp", wrong.parse().unwrap());
        assert_eq!(
            verdict(&request),
            Err(SignatureError::Malformed("webhook-timestamp")),
            "{wrong}"
        );
    }
}

#[test]
fn a_timestamp_is_valid_for_five_minutes_in_both_directions() {
    for (now, right) in [
        (TIME + 300, true),
        (TIME + 301, false),
        (TIME - 300, true),
        (TIME - 301, false),
    ] {
        assert_eq!(
            at(now, &[KEY]).verify(&signed(SIGNATURE)).is_ok(),
            right,
            "{}",
            now - TIME
        );
    }
}

#[test]
fn header_values_that_are_not_text_are_refused() {
    for bytes in [
        &b"\xff\xfe"[..],
        b"v1,\xff\xfe\x80",
        "v1,\u{e9}".as_bytes(),
        b"\t\t v1,\t",
    ] {
        let time = TIME.to_string();
        let request = post([
            ("webhook-id", bytes),
            ("webhook-timestamp", time.as_bytes()),
            ("webhook-signature", bytes),
        ]);
        assert_eq!(verdict(&request), Err(SignatureError::NoMatch));
        let request = post([
            ("webhook-id", ID.as_bytes()),
            ("webhook-timestamp", bytes),
            ("webhook-signature", SIGNATURE.as_bytes()),
        ]);
        assert_eq!(
            verdict(&request),
            Err(SignatureError::Malformed("webhook-timestamp"))
        );
    }
}

#[test]
fn the_header_names_of_svix_work_too() {
    let webhooks = at(TIME, &[KEY]).svix_headers();
    assert_eq!(
        webhooks.verify(&signed(SIGNATURE)),
        Err(SignatureError::Missing("svix-id"))
    );
    let request = post([
        ("Svix-Id", ID.as_bytes()),
        ("Svix-Timestamp", TIME.to_string().as_bytes()),
        ("Svix-Signature", SIGNATURE.as_bytes()),
    ]);
    assert_eq!(webhooks.verify(&request), Ok(()));
    assert_eq!(webhooks.id(request.headers()), Some(ID));
}

#[test]
fn an_invalid_key_is_refused_when_it_is_set_and_not_quoted() {
    for wrong in [
        "",
        " ",
        "whsec_",
        "whsec_s3cret!",
        "whpk_vvs2jA9gpvfNOEm0w0A0nj+pvWbvNxS9P4fOClUlDx0=",
    ] {
        let error = StandardWebhooks::new([wrong]).unwrap_err();
        let printed = format!("{error} {error:?}");
        assert!(
            !printed.contains("s3cret") && !printed.contains("vvs2"),
            "{printed}"
        );
    }
    assert!(StandardWebhooks::new(Vec::<Secret>::new()).is_err());
}
