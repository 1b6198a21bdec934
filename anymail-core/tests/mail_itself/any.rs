//! Random messages with everything that people and programs put into them.

use anymail_core::{Address, Alternative, Attachment, ContentId, Message};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A message, and the messages attached to it.
pub(crate) fn message() -> impl Strategy<Value = (Message, Vec<Message>)> {
    (alone(), vec(alone(), 0..2)).prop_map(|(mut message, inner)| {
        // A message that needs an encoding is attached as a file, which parsers do not open.
        let inner: Vec<_> = inner
            .into_iter()
            .filter(|it| it.to_mime().bytes().is_ascii())
            .collect();
        for mail in &inner {
            let mail = Attachment::new("forwarded.eml", mail.to_mime().into_bytes()).unwrap();
            let mail = mail.with_content_type("message/rfc822").unwrap();
            message.attachments.value_or_default().push(mail);
        }
        (message, inner)
    })
}

fn alone() -> impl Strategy<Value = Message> {
    let people = || prop_oneof![9 => vec(mailbox(), 0..4), 1 => vec(mailbox(), 0..60)];
    let envelope = (
        mailbox(),
        mailbox(),
        people(),
        people(),
        vec(mailbox(), 0..3),
    );
    let bodies = (
        option::of(body()),
        option::of(body()),
        vec(alternative(), 0..3),
    );
    let headers = vec((header_name(), line()), 0..4);
    let files = vec(file(), 0..4);
    (envelope, option::of(line()), bodies, headers, files).prop_map(
        |(
            (from, first, mut to, cc, reply_to),
            subject,
            (text, html, alternatives),
            headers,
            files,
        )| {
            let mut message = Message::default();
            message.from = from.into();
            to.push(first);
            message.to = to.into();
            message.cc = cc.into();
            message.reply_to = reply_to.into();
            if let Some(subject) = subject {
                message.subject = subject.into();
            }
            if let Some(text) = text {
                message.text_body = text.into();
            }
            if let Some(html) = html {
                message.html_body = html.into();
            }
            message.alternatives = alternatives.into();
            for (name, value) in headers {
                // Encoded words in a custom header are the caller's, and parsers decode them.
                let value = value.replace("=?", "=");
                let headers = message.headers.value_or_default();
                headers.insert(&name, &value).unwrap();
            }
            message.attachments = files.into();
            message
        },
    )
}

/// One line of text, such as a subject, a name or a filename.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9 ,.;:<>@\"\\\\'()=?_/-]{0,60}",
        2 => "\\PC{0,40}",
        1 => "[ \ta\u{e9}\u{65e5}\u{1f600}]{0,80}",
        1 => "(\\PC{1,30} ){0,20}",
        1 => "[a-z]{70,200}( [a-z]{900,1100})?",
        1 => "[\u{410}-\u{44f} ]{0,200}",
        1 => select(vec![
            "=?utf-8?q?no_word?=", "a =?utf-8?b?w6k=?= b", "=?utf-8?q?a?= =?utf-8?q?b?=",
            "=?", "?=", "=?=?=", " leading", "trailing ", "\ttabs\tin\tit\t", "a  b   c", "",
            "e\u{301} combined", "\u{202e}right to left", "\u{feff}mark", "%41%42", "a''b", "x*0*=y",
            "\u{85}next\u{2028}line",
        ]).prop_map(str::to_owned),
    ]
    // A message with one of these is refused.
    .prop_map(|text| text.chars().filter(|c| *c == '\t' || !c.is_control()).collect())
}

fn mailbox() -> impl Strategy<Value = Address> {
    let local = prop_oneof![
        6 => "[a-z]{1,20}",
        1 => "[a-z]{1,5}\\.[a-z+]{1,5}",
        1 => "[a-z\u{e9}\u{65e5}]{1,10}",
        // mail-parser misreads the special characters that must be quoted.
        1 => "\"[a-z]{1,5} [a-z]{1,5}\"",
    ];
    let domain = select(vec![
        "example.com",
        "p\u{159}\u{ed}klad.cz",
        "\u{4f8b}\u{5b50}.test",
        "a-rather-long-name-of-a-department.of-a-rather-long-company.example.org",
        "[192.0.2.1]",
    ]);
    let name = prop_oneof![3 => Just(String::new()), 2 => line()];
    (name, local, domain).prop_filter_map("no address", |(name, local, domain)| {
        // mail-parser loses a space in quotes where a long address is folded.
        let domain = if local.starts_with('"') {
            "example.com"
        } else {
            domain
        };
        Address::new(name.trim(), &format!("{local}@{domain}")).ok()
    })
}

fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "X-[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,20}",
        1 => "X-[a-z]{60,90}",
        1 => select(vec!["List-Unsubscribe-Post", "Precedence", "Auto-Submitted", "Feedback-ID"])
            .prop_map(str::to_owned),
    ]
}

/// A text with many lines.
fn body() -> impl Strategy<Value = String> {
    let end = || {
        select(vec![
            "\n", "\r\n", "\r\n", "\n\n", "\r", "\r\r\n", "\n\r", "\0", "",
        ])
    };
    prop_oneof![
        3 => vec((line(), select(vec!["\n", "\r\n"])), 0..12),
        2 => vec((line(), end()), 0..8),
        2 => vec((
            select(vec![".", "..", ".a", "From me", "--", "--=_", " ", "a ", "a\t", "", "=3D", "=",
                "\u{c}", "\u{1b}[0m", "\u{7f}", "\u{feff}", "\r", "RCPT TO:<a@example.com>"])
                .prop_map(str::to_owned),
            end(),
        ), 0..12),
        1 => vec(("[a-z ]{500,2500}", select(vec!["\n", ""])), 0..3),
        1 => vec(("[\u{410}-\u{44f} ]{0,1200}", select(vec!["\n", "\r\n"])), 0..3),
        1 => vec((any::<String>(), end()), 0..3),
    ]
    .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

fn alternative() -> impl Strategy<Value = Alternative> {
    let kind = select(vec![
        "text/x-amp-html",
        "text/calendar; method=REQUEST",
        "text/calendar; charset=\"utf-8\"; method=REQUEST",
        "application/json",
        "text/markdown; variant=\"a b\"",
    ]);
    (body(), kind).prop_map(|(body, kind)| Alternative::new(body, kind).unwrap())
}

fn file() -> impl Strategy<Value = Attachment> {
    let content = prop_oneof![
        3 => vec(any::<u8>(), 0..300),
        1 => body().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 3000..9000),
    ];
    let kind = select(vec![
        "",
        "application/pdf",
        "text/plain; charset=iso-8859-1",
        "text/csv",
        "image/png",
        "application/x-long; note=\"a long name of a file that is somewhere on a disk and has words.bin\"",
    ]);
    let name = prop_oneof![4 => line(), 1 => "[a-z]{1,8}\\.(pdf|txt|html|eml|png|zip)"];
    (content, kind, name, 0..4, "[a-z0-9.]{1,40}@[a-z]{1,10}").prop_map(
        |(content, kind, name, form, id)| {
            // Python strips a name: spaces, and even quotes that belong to it.
            let name = name.trim_matches(|c: char| c.is_whitespace() || "\"<>".contains(c));
            let file = match form {
                0 => Attachment::new(name, content)
                    .and_then(|file| Ok(file.inline(&ContentId::new(&id)?))),
                1 => Attachment::new(name, content).map(Attachment::without_filename),
                _ => Attachment::new(name, content),
            };
            let file = file.unwrap();
            match kind {
                "" if file.content_type().starts_with("message/") => {
                    file.with_content_type("application/octet-stream").unwrap()
                }
                "" => file,
                kind => file.with_content_type(kind).unwrap(),
            }
        },
    )
}
