//! Tests of `reply.rs`: the RFCs' codes, stage by stage.

use super::*;

const ALL: [Stage; 9] = [
    Stage::Greeting,
    Stage::Hello,
    Stage::StartTls,
    Stage::Auth,
    Stage::Mail,
    Stage::Recipient,
    Stage::Data,
    Stage::Content,
    Stage::End,
];

fn reply(text: &str) -> Reply {
    let mut words = text.split(' ');
    let code = words.next().unwrap().parse().unwrap();
    let enhanced = words.next().map(|codes| {
        let parts: Vec<u16> = codes.split('.').map(|it| it.parse().unwrap()).collect();
        [parts[0], parts[1], parts[2]]
    });
    Reply {
        code,
        enhanced,
        text: "words".to_owned(),
    }
}

#[test]
fn each_recipients_status_comes_from_the_reply_to_their_rcpt() {
    use Status::{Failed, Invalid, Rejected};
    for (text, meaning) in [
        ("250", Yes),
        ("250 2.1.5", Yes),
        ("251", Yes),
        ("450 4.2.1", NotFor(Failed)),
        ("451 4.7.1", NotFor(Failed)),
        ("452", NotFor(Failed)),
        ("452 4.5.3", TooMany),
        ("552 5.5.3", TooMany),
        ("552", NotFor(Failed)),
        ("552 5.2.2", NotFor(Failed)),
        ("550 5.1.1", NotFor(Invalid)),
        ("550 5.1.2", NotFor(Invalid)),
        ("501 5.1.3", NotFor(Invalid)),
        ("553 5.1.4", NotFor(Invalid)),
        ("551 5.1.6", NotFor(Invalid)),
        ("556 5.1.10", NotFor(Invalid)),
        ("553 5.6.7", NotFor(Invalid)),
        ("501", NotFor(Invalid)),
        ("553", NotFor(Invalid)),
        ("550 5.1.8", NotFor(Failed)),
        ("553 5.1.7", NotFor(Failed)),
        ("550", NotFor(Rejected)),
        ("551", NotFor(Rejected)),
        ("554", NotFor(Rejected)),
        ("550 5.2.1", NotFor(Rejected)),
        ("554 5.7.1", NotFor(Rejected)),
        ("530 5.7.0", No(K::Authentication, false)),
        ("421 4.4.2", No(K::ServerError, true)),
        ("354", Meaning::Nonsense),
        ("235", Meaning::Nonsense),
    ] {
        assert_eq!(
            super::meaning(Stage::Recipient, &reply(text)),
            meaning,
            "{text}"
        );
    }
}

#[test]
fn each_stage_accepts_only_its_own_success_code() {
    for (stage, right) in [
        (Stage::Greeting, 220),
        (Stage::Hello, 250),
        (Stage::StartTls, 220),
        (Stage::Auth, 235),
        (Stage::Mail, 250),
        (Stage::Recipient, 250),
        (Stage::Data, 354),
        (Stage::End, 250),
    ] {
        for code in [
            200, 211, 214, 220, 221, 235, 250, 252, 334, 354, 399, 600, 0,
        ] {
            let found = meaning(stage, &reply(&code.to_string()));
            let wanted = match (stage, code) {
                (_, code) if code == right => Yes,
                (Stage::Auth, 334) => Continue,
                _ => Meaning::Nonsense,
            };
            assert_eq!(found, wanted, "{stage} {code}");
        }
    }
}

#[test]
fn a_refusal_at_any_stage_means_not_accepted_and_a_4yz_is_transient() {
    for stage in ALL {
        for code in [
            400, 421, 450, 451, 452, 454, 499, 500, 501, 503, 535, 550, 552, 554, 599,
        ] {
            let error = refused(stage, &reply(&code.to_string()), "mail.example.com:25");
            assert_eq!(error.accepted(), Accepted::No, "{stage} {code}");
            let later = code < 500 || (stage == Stage::Recipient && code == 552);
            assert_eq!(error.is_transient(), code < 500, "{stage} {code} {later}");
            assert_eq!(error.esp_code(), Some(code.to_string().as_str()));
        }
    }
}

#[test]
fn the_kind_of_a_refusal_says_who_can_fix_it() {
    for (stage, text, kind) in [
        (Stage::Greeting, "554", K::Refused),
        (Stage::Greeting, "421", K::ServerError),
        (Stage::StartTls, "454", K::ServerError),
        (Stage::StartTls, "501", K::Configuration),
        (Stage::Auth, "535 5.7.8", K::Authentication),
        (Stage::Auth, "534 5.7.9", K::Authentication),
        (Stage::Auth, "504 5.5.4", K::Authentication),
        (Stage::Auth, "454 4.7.0", K::ServerError),
        (Stage::Mail, "530 5.7.0", K::Authentication),
        (Stage::Mail, "552 5.3.4", K::Refused),
        (Stage::Mail, "451 4.7.28", K::RateLimited),
        (Stage::Data, "554 5.5.1", K::Refused),
        (Stage::Content, "421", K::ServerError),
        (Stage::End, "452 4.3.1", K::ServerError),
        (Stage::End, "451 4.4.5", K::RateLimited),
        (Stage::End, "554 5.7.1", K::Refused),
    ] {
        assert_eq!(
            refused(stage, &reply(text), "s").kind(),
            kind,
            "{stage} {text}"
        );
    }
}

#[test]
fn only_a_lost_final_reply_or_a_premature_success_leaves_doubt() {
    let whys = [
        Broken::Closed("reset".to_owned()),
        Broken::Late,
        Broken::Nonsense("it sent \"x\"".to_owned()),
    ];
    for stage in ALL {
        let doubt = match stage {
            Stage::End => Accepted::Maybe,
            _ => Accepted::No,
        };
        for why in &whys {
            let error = broken(stage, why, "s");
            assert_eq!(error.accepted(), doubt, "{stage} {why:?}");
            let kind = match (stage, why) {
                (_, Broken::Late) => K::Timeout,
                (_, Broken::Nonsense(_)) => K::InvalidResponse,
                (Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth, _) => K::Connect,
                _ => K::Disconnected,
            };
            assert_eq!(error.kind(), kind, "{stage} {why:?}");
            let name = match stage {
                Stage::Greeting => "greeting",
                _ => "reply to ",
            };
            assert!(error.message().contains(name), "{error}");
            let nonsense = matches!(why, Broken::Nonsense(_));
            assert_eq!(error.is_transient(), !nonsense, "{stage} {why:?}");
        }
        for (odd, said_to_be_taken) in [("299", true), ("300", false), ("399", false)] {
            // A success within the content claims a message that cannot be complete.
            let doubt = match stage {
                Stage::Content if said_to_be_taken => Accepted::Maybe,
                _ => doubt,
            };
            let odd = refused(stage, &reply(odd), "s");
            assert_eq!(odd.kind(), K::InvalidResponse);
            assert_eq!(odd.accepted(), doubt, "{stage}");
            assert!(!odd.is_transient());
        }
    }
}

#[test]
fn a_reply_is_shown_on_one_line_with_its_codes() {
    let reply = Reply {
        code: 550,
        enhanced: Some([5, 1, 1]),
        text: "No such user\nhere".to_owned(),
    };
    assert_eq!(reply.to_string(), "550 5.1.1 No such user here");
    assert_eq!(reply.detail().code.as_deref(), Some("550 5.1.1"));
    assert_eq!(reply.detail().message, "No such user here");
}
