//! Who may log in, by which mechanism, and when.

use anymail_test_utils::{LoopbackSmtp, SmtpMechanism};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

use crate::client::Client;

fn server() -> LoopbackSmtp {
    LoopbackSmtp::builder()
        .user("me", "secret")
        .start()
        .unwrap()
}

#[test]
fn each_mechanism_lets_a_user_in_with_and_without_an_initial_response() {
    let plain = BASE64.encode("\0me\0secret");
    let oauth = BASE64.encode("user=me\u{1}auth=Bearer secret\u{1}\u{1}");
    let (user, password) = (BASE64.encode("me"), BASE64.encode("secret"));
    for lines in [
        vec![format!("AUTH PLAIN {plain}")],
        vec!["AUTH PLAIN".to_owned(), plain],
        vec![format!("AUTH LOGIN {user}"), password.clone()],
        vec!["auth login".to_owned(), user, password],
        vec![format!("AUTH XOAUTH2 {oauth}")],
        vec!["AUTH XOAUTH2".to_owned(), oauth],
    ] {
        let server = server();
        let mut client = Client::greeted(&server);
        let replies: Vec<_> = lines.iter().map(|line| client.say(line)).collect();
        let (last, challenges) = replies.split_last().unwrap();
        assert!(challenges.iter().all(|reply| reply.starts_with("334 ")));
        assert!(last.starts_with("235 2.7.0 "), "{lines:?}: {last}");
        client.send_mail("you@example.com").unwrap();
        assert_eq!(server.messages()[0].user.as_deref(), Some("me"));
        assert_eq!(server.counts().logins, 1);
        server.assert_no_violations();
    }
}

#[test]
fn sending_needs_a_login_and_wrong_ones_are_refused() {
    let server = server();
    let mut client = Client::greeted(&server);
    assert!(
        client
            .say("MAIL FROM:<a@example.com>")
            .starts_with("530 5.7.0 ")
    );
    for (user, password) in [("me", "Secret"), ("you", "secret"), ("", ""), ("me", "")] {
        let plain = BASE64.encode(format!("\0{user}\0{password}"));
        assert!(
            client
                .say(&format!("AUTH PLAIN {plain}"))
                .starts_with("535 5.7.8 ")
        );
        let oauth = format!("user={user}\u{1}auth=Bearer {password}\u{1}\u{1}");
        let reply = client.say(&format!("AUTH XOAUTH2 {}", BASE64.encode(oauth)));
        assert!(reply.starts_with("334 "));
        assert!(client.say("").starts_with("535 5.7.8 "));
    }
    client.say("AUTH LOGIN");
    assert!(client.say("*").starts_with("501 5.7.0 "));
    assert_eq!((server.counts().logins, server.counts().violations), (0, 0));
    assert!(client.say("AUTH PLAIN ???").starts_with("501 5.5.2 "));
    assert!(client.say("AUTH CRAM-MD5").starts_with("504 5.5.4 "));
    assert_eq!(server.counts().violations, 2);
}

#[test]
fn only_the_selected_mechanisms_are_announced_and_only_once() {
    let server = LoopbackSmtp::builder()
        .user("me", "secret")
        .mechanisms([SmtpMechanism::Login])
        .start()
        .unwrap();
    let mut client = Client::connect(&server);
    client.reply().unwrap();
    assert!(client.say("EHLO a.example.com").ends_with("AUTH LOGIN"));
    client.say(&format!("AUTH LOGIN {}", BASE64.encode("me")));
    assert!(client.say(&BASE64.encode("secret")).starts_with("235 "));
    assert!(!client.say("EHLO a.example.com").contains("AUTH"));
    assert!(client.say("AUTH LOGIN").starts_with("503 "));
}
