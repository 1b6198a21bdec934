//! Tests of `wire.rs`: anything that a server sends is a reply or a fault, within limits.

use super::super::config::Login;
use super::*;
use crate::secret::Secret;

const SECOND: Duration = Duration::from_secs(1);

fn wire(io: impl Io + 'static, secrets: Secrets) -> Wire {
    Wire::new(Box::new(io), false, SECOND, Arc::new(secrets))
}

async fn read(bytes: impl AsRef<[u8]>) -> Result<Reply, Broken> {
    let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
    theirs.write_all(bytes.as_ref()).await.unwrap();
    drop(theirs);
    wire(ours, Secrets::of(None)).reply().await
}

#[tokio::test]
async fn a_reply_is_read_with_its_codes_and_all_of_its_lines() {
    for (bytes, code, enhanced, text) in [
        ("250 OK\r\n", 250, None, "OK"),
        ("250\r\n", 250, None, ""),
        ("250 2.1.5 Ok\r\n", 250, Some([2, 1, 5]), "Ok"),
        (
            "550-5.1.1 No such\r\n550 5.1.1 user\r\n",
            550,
            Some([5, 1, 1]),
            "No such\nuser",
        ),
        (
            "550 5.7.509 Access denied\r\n",
            550,
            Some([5, 7, 509]),
            "Access denied",
        ),
        ("421 4.7.0\r\n", 421, Some([4, 7, 0]), ""),
        ("250 2.1 Ok\r\n", 250, None, "2.1 Ok"),
        ("250 2.1.5.6 Ok\r\n", 250, None, "2.1.5.6 Ok"),
        ("250 2.1.5Ok\r\n", 250, None, "2.1.5Ok"),
        ("250 2.1.1000 Ok\r\n", 250, None, "2.1.1000 Ok"),
        (
            "250-mx\r\n250-SIZE 10\r\n250 HELP\r\n",
            250,
            None,
            "mx\nSIZE 10\nHELP",
        ),
        ("250 a\n", 250, None, "a"),
        ("250 a\tb\u{1b}[2J\r\n", 250, None, "a b [2J"),
    ] {
        let reply = read(bytes).await.unwrap();
        assert_eq!((reply.code, reply.enhanced), (code, enhanced), "{bytes:?}");
        assert_eq!(reply.text, text, "{bytes:?}");
    }
}

#[tokio::test]
async fn the_start_of_an_invalid_reply_is_quoted() {
    let long = format!("250 {}", "x".repeat(5000));
    let many = "250-x\r\n".repeat(5000);
    let empty = "250-\r\n".repeat(100_000);
    let wide = format!("250-{}\r\n", "x".repeat(2000)).repeat(100);
    for (bytes, told) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "HTTP/1.1 400 Bad Request",
        ),
        ("\r\n", "the server sent"),
        ("25\r\n", "25"),
        ("250-a\r\n550 b\r\n", "550 b"),
        ("250_a\r\n", "250_a"),
        ("\u{16}\u{3}\u{1}\r\n", "the server sent"),
        (&long, "a line longer than 2048 bytes"),
        (&many, "more than 128 lines"),
        (&empty, "more than 128 lines"),
        (&wide, "the server sent"),
    ] {
        match read(bytes).await {
            Err(Broken::Nonsense(words)) => {
                assert!(words.contains(told), "{words}");
                assert!(words.len() < 300, "{words}");
            }
            other => panic!("{:?}: {other:?}", bytes.get(..20)),
        }
    }
}

#[tokio::test]
async fn a_truncated_reply_is_a_closed_connection() {
    for bytes in [
        "",
        "2",
        "250",
        "250 O",
        "250 OK\r",
        "250-a\r\n",
        "250-a\r\n250 b",
    ] {
        let found = read(bytes).await;
        assert!(
            matches!(found, Err(Broken::Closed(_))),
            "{bytes:?}: {found:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reply_ends_with_the_time_limit() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let drip = tokio::spawn(async move {
        loop {
            tokio::time::sleep(SECOND / 4).await;
            if theirs.write_all(b"2").await.is_err() {
                return;
            }
        }
    });
    let found = wire(ours, Secrets::of(None)).reply().await;
    assert!(matches!(found, Err(Broken::Late)), "{found:?}");
    drip.await.unwrap();
}

#[tokio::test]
async fn replies_that_arrive_together_are_read_one_by_one() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    theirs
        .write_all(b"250 a\r\n550 b\r\n354 c\r\n")
        .await
        .unwrap();
    let mut wire = wire(ours, Secrets::of(None));
    for code in [250, 550, 354] {
        assert_eq!(wire.reply().await.unwrap().code, code);
    }
    assert!(wire.is_quiet());
    theirs.write_all(b"421 bye\r\n").await.unwrap();
    assert!(!wire.is_quiet());
}

#[tokio::test]
async fn a_server_that_repeats_the_login_is_not_quoted() {
    let login = Login::Password {
        user: Secret::new("ann@example.com"),
        password: Secret::new("s3cret"),
    };
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let plain = "AGFubkBleGFtcGxlLmNvbQBzM2NyZXQ=";
    let login_line = "czNjcmV0";
    let echo = format!("535 no: AUTH PLAIN {plain}, {login_line}, s3cret\r\nx s3cret\r\n");
    theirs.write_all(echo.as_bytes()).await.unwrap();
    let mut wire = wire(ours, Secrets::of(Some(&login)));
    let text = wire.reply().await.unwrap().text;
    assert_eq!(text, "no: AUTH PLAIN [redacted], [redacted], [redacted]");
    let Err(Broken::Nonsense(words)) = wire.reply().await else {
        panic!("this is no reply");
    };
    assert!(!words.contains("s3cret"), "{words}");
}

#[tokio::test]
async fn sending_content_stops_when_the_server_replies_or_closes() {
    let piece = vec![b'x'; 100_000];
    for (said, spoken) in [("552 too large\r\n", true), ("", false)] {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        theirs.write_all(said.as_bytes()).await.unwrap();
        let mut wire = wire(ours, Secrets::of(None));
        let mut written = 0;
        if !spoken {
            drop(theirs);
        }
        let found = wire.write_content(&piece, &mut written).await;
        assert_eq!(
            matches!(found, Err(Interrupted::Spoken)),
            spoken,
            "{found:?}"
        );
        assert!(found.is_err());
        assert_eq!(written, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_nobody_reads_times_out_and_reports_how_much_was_sent() {
    let (ours, _theirs) = tokio::io::duplex(1000);
    let mut wire = wire(ours, Secrets::of(None));
    let mut written = 0;
    let found = wire.write_content(&[b'x'; 5000], &mut written).await;
    assert!(
        matches!(found, Err(Interrupted::Broken(Broken::Late))),
        "{found:?}"
    );
    assert_eq!(written, 1000);
}
