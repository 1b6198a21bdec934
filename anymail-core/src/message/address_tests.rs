//! Tests of addresses as people type them.

use super::*;
use proptest::prelude::*;

fn list(text: &str) -> Vec<(Option<String>, String)> {
    Address::parse_list(text)
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .into_iter()
        .map(|a| (a.name().map(str::to_owned), a.email().to_owned()))
        .collect()
}

fn reason(text: &str) -> Reason {
    match Address::parse_list(text) {
        Ok(found) => panic!("{text:?} was taken as {found:?}"),
        Err(error) => error.reason().clone(),
    }
}

#[test]
fn a_mailbox_is_parsed_with_and_without_a_name() {
    for (text, name, email) in [
        ("ann@example.com", None, "ann@example.com"),
        ("  <ann@example.com> ", None, "ann@example.com"),
        (
            "Recipient #1 <a@b.example>",
            Some("Recipient #1"),
            "a@b.example",
        ),
        (
            "\"Doe, Ann\" <a@b.example>",
            Some("Doe, Ann"),
            "a@b.example",
        ),
        (
            r#""quoted \" name" <a@b.example>"#,
            Some("quoted \" name"),
            "a@b.example",
        ),
        ("C. D. <a@b.example>", Some("C. D."), "a@b.example"),
        ("name (comment) <a@b.example>", Some("name"), "a@b.example"),
        ("a@b.example (Comment)", Some("Comment"), "a@b.example"),
        ("\"\" <a@b.example>", None, "a@b.example"),
        (
            "=?UTF-8?Q?N=C3=A9?= <a@b.example>",
            Some("=?UTF-8?Q?N=C3=A9?="),
            "a@b.example",
        ),
        ("jöhn@example.com", None, "jöhn@example.com"),
        ("user@[192.0.2.1]", None, "user@[192.0.2.1]"),
        (
            "user@under_score.example.com",
            None,
            "user@under_score.example.com",
        ),
        ("user@localhost", None, "user@localhost"),
        (
            "\"very.unusual.@.unusual.com\"@b.example",
            None,
            "\"very.unusual.@.unusual.com\"@b.example",
        ),
        ("o'k+tag@b.example", None, "o'k+tag@b.example"),
    ] {
        assert_eq!(
            list(text),
            [(name.map(str::to_owned), email.to_owned())],
            "{text:?}"
        );
    }
}

#[test]
fn a_list_is_split_at_commas_and_groups_are_expanded() {
    let emails = |text| list(text).into_iter().map(|a| a.1).collect::<Vec<_>>();
    assert_eq!(
        emails("one@a.example, \"Two, B\" <two@a.example>,three@a.example"),
        ["one@a.example", "two@a.example", "three@a.example"]
    );
    assert_eq!(
        emails("Team: a@b.example, B <c@d.example>;, e@f.example"),
        ["a@b.example", "c@d.example", "e@f.example"]
    );
    assert_eq!(emails("Undisclosed recipients:;"), Vec::<String>::new());
}

#[test]
fn an_invalid_address_is_refused_with_a_reason() {
    use super::Reason::*;
    for (text, expected) in [
        ("", Empty),
        ("  ", Empty),
        (",", Empty),
        ("a@b.example,,c@d.example", Empty),
        ("a@b.example,", Empty),
        ("invalid", NoAt),
        ("Unquoted, display-name <a@b.example>", NoAt),
        ("<>", NoAt),
        ("name <a@b.example> trailing", TrailingText),
        ("a@b.example c@d.example", TrailingText),
        ("a@b@c.example", TrailingText),
        ("a@b.example; c@d.example", TrailingText),
        ("\"open <a@b.example>", OpenQuote),
        ("\"open\\", OpenQuote),
        ("(open a@b.example", OpenComment),
        ("<a@b.example", OpenAngle),
        ("<a@b.example, c@d.example>", OpenAngle),
        ("Team: a@b.example", OpenGroup),
        ("Team: Other: a@b.example;;", NoAt),
        (": a@b.example;", Empty),
        ("Ann <@b.example>", Malformed),
        ("Ann <a b@c.example>", Malformed),
        ("a\u{7f}b@c.example", ControlCharacter('\u{7f}')),
        ("a..b@c.example", InvalidLocalPart),
        (".a@c.example", InvalidLocalPart),
        ("a b@c.example", Malformed),
        ("a@b.example\r\nBcc: x@y.example", ControlCharacter('\r')),
        ("\"a\nBcc: x\" <a@b.example>", ControlCharacter('\n')),
        ("a\0@b.example", ControlCharacter('\0')),
        ("x@\u{2028}příklad.cz", InvalidDomain),
        ("user@příklad..cz", InvalidDomain),
        ("user@", InvalidDomain),
        ("user@a..example", InvalidDomain),
        ("@b.example", Malformed),
    ] {
        assert_eq!(reason(text), expected, "{text:?}");
    }
    for text in [
        "user@+",
        "a..b@c.example",
        ".a@c.example",
        "<@r.example:a@b.example>",
    ] {
        assert!(Address::parse_list(text).is_err(), "{text:?}");
    }
    assert_eq!(reason(&format!("{}@b.example", "a".repeat(65))), TooLong);
    assert_eq!(reason(&format!("a@{}.example", "b".repeat(64))), TooLong);
    assert!(Address::parse("a@b.example, c@d.example").is_err());
    assert!(Address::parse("none:;").is_err());
}

#[test]
fn an_error_quotes_only_the_invalid_part() {
    let error = Address::parse_list("ok@example.com, nobody").unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"nobody\" in \"ok@example.com, nobody\": missing \"@\" \
         (put a display name with a comma in double quotes)"
    );
    assert_eq!(
        (error.part(), error.reason()),
        ("nobody", &super::Reason::NoAt)
    );
    let long = Address::parse(&"x".repeat(10_000)).unwrap_err();
    assert!(long.to_string().len() < 400);
}

#[test]
fn an_address_built_from_parts_follows_the_same_rules() {
    let address = Address::new("Doe, \"Ann\"", "ann@příklad.cz").unwrap();
    assert_eq!(
        address.to_ascii(),
        r#""Doe, \"Ann\"" <ann@xn--pklad-zsa96e.cz>"#
    );
    assert!(Address::new("a\r\nBcc: x@y.example", "ann@b.example").is_err());
    assert!(Address::new("", "a@b@c.example").is_err());
    assert!(Address::new("", "ann").is_err());
    assert!(Address::new("", "a,b@c.example").is_err());
}

#[test]
fn the_key_ignores_case_and_the_form_of_the_domain() {
    let key = |text: &str| Address::parse(text).unwrap().key();
    assert_eq!(key("Ann <ANN@Příklad.CZ>"), key("ann@xn--pklad-zsa96e.cz"));
    assert_ne!(key("ann@example.com"), key("anna@example.com"));
    assert_eq!(
        AddressKey::of("Ann <Ann@Example.com>").as_str(),
        "ann@example.com"
    );
    assert_eq!(AddressKey::of("Not An Address").as_str(), "not an address");
}

proptest! {
    #[test]
    fn every_address_round_trips_through_its_display(
        name in ".{0,20}",
        local in "[a-zA-Z0-9.+'\"é \\\\-]{1,12}",
        domain in "[a-zA-Z0-9.ü_\\[\\]-]{1,15}",
    ) {
        if let Ok(address) = Address::new(&name, &format!("{local}@{domain}")) {
            prop_assert_eq!(&Address::parse(&address.to_string()).unwrap(), &address);
            let wire = Address::parse(&address.to_ascii()).unwrap();
            prop_assert_eq!(wire.key(), address.key());
            prop_assert_eq!(wire.name(), address.name());
        }
    }

    #[test]
    fn any_text_yields_addresses_without_line_breaks_or_an_error(text in "[a-z@.,;:<>()\"\\\\ \\[\\]\r\né]{0,60}") {
        if let Ok(found) = Address::parse_list(&text) {
            for address in found {
                prop_assert!(!address.to_ascii().contains(['\r', '\n', '\0']));
                prop_assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
            }
        }
    }
}
