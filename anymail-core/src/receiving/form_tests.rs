use proptest::prelude::*;

use super::*;

const URLENCODED: &str = "application/x-www-form-urlencoded";

fn read(kind: &str, body: impl Into<Bytes>) -> Result<Form, FormError> {
    let request = Request::post("/").header(header::CONTENT_TYPE, kind);
    Form::read(&request.body(body.into()).unwrap())
}

fn multipart(parts: &[(&str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend(format!("--b0\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--b0--\r\n");
    body.into()
}

#[test]
fn both_kinds_of_forms_yield_their_fields_in_order() {
    let form = read(
        URLENCODED,
        "to=a%40b.c&text=two+words%0D%0A&to=%C4%8D&empty",
    )
    .unwrap();
    let pairs: Vec<_> = form
        .fields()
        .iter()
        .map(|field| (&*field.name, field.text()))
        .collect();
    let expected = [
        ("to", "a@b.c"),
        ("text", "two words\r\n"),
        ("to", "č"),
        ("empty", ""),
    ];
    assert_eq!(pairs, expected.map(|(name, text)| (name, text.into())));
    assert_eq!(form.text("to").as_deref(), Some("a@b.c"));
    assert_eq!(form.text("cc"), None);

    let body = multipart(&[
        ("name=\"to\"", b"a@b.c"),
        ("name=\"f\"; filename=\"č.bin\"", b"\0\xff\r\n--b\r\n"),
        ("name=\"text\"", "č".as_bytes()),
        ("filename=\"nameless\"", b"x"),
        ("name=\"empty\"", b""),
    ]);
    for kind in [
        "multipart/form-data; boundary=b0",
        "Multipart/Form-Data; charset=utf-8; Boundary=\"b0\"",
    ] {
        let form = read(kind, body.clone()).unwrap();
        let names: Vec<_> = form.fields().iter().map(|field| &*field.name).collect();
        assert_eq!(names, ["to", "f", "text", "empty"]);
        assert_eq!(form.text("text").as_deref(), Some("č"));
        let files: Vec<_> = form.files().collect();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].filename.as_deref(), Some("č.bin"));
        assert_eq!(&*files[0].content, b"\0\xff\r\n--b\r\n");
        let file = files[0].to_attachment();
        assert_eq!(file.filename(), Some("č.bin"));
        assert_eq!(file.content_type(), "application/octet-stream");
    }
}

#[test]
fn text_is_decoded_with_the_charset_that_the_part_or_the_esp_names() {
    let body = b"--b0\r\nContent-Disposition: form-data; name=\"text\"\r\n\
        Content-Type: text/plain; charset=ISO-8859-1\r\n\r\nM\xfcller\r\n--b0--";
    let form = read("multipart/form-data; boundary=b0", &body[..]).unwrap();
    assert_eq!(form.text("text").as_deref(), Some("Müller"));
    let plain = multipart(&[("name=\"text\"", b"M\xfcller")]);
    let form = read("multipart/form-data; boundary=b0", plain).unwrap();
    let field = form.field("text").unwrap();
    assert_eq!(field.text(), "M\u{fffd}ller");
    assert_eq!(field.text_in("iso-8859-1"), "Müller");
}

#[test]
fn an_invalid_form_is_an_error_that_says_why() {
    use FormError::{Malformed, NotAForm, TooManyFields};
    let whole = multipart(&[("name=\"a\"", b"b")]);
    let cut = whole.slice(..whole.len() - 12);
    let many = vec!["a=b"; Form::MAX_FIELDS + 1].join("&");
    let parts = multipart(&vec![("name=\"a\"", &b""[..]); Form::MAX_FIELDS + 1]);
    let nameless = multipart(&vec![("filename=\"a\"", &b""[..]); Form::MAX_FIELDS + 1]);
    let kind = "multipart/form-data; boundary=b0";
    for (kind, body, error) in [
        ("application/json", Bytes::from("{}"), NotAForm),
        ("multipart/mixed; boundary=b0", whole.clone(), NotAForm),
        ("", whole.clone(), NotAForm),
        ("multipart/form-data", whole.clone(), Malformed),
        ("multipart/form-data; boundary=other", whole, Malformed),
        (kind, cut, Malformed),
        (kind, Bytes::new(), Malformed),
        (URLENCODED, many.into(), TooManyFields),
        (kind, parts, TooManyFields),
        (kind, nameless, TooManyFields),
    ] {
        assert_eq!(read(kind, body).unwrap_err(), error, "{kind}");
    }
    assert_eq!(Form::read(&Request::new(Bytes::new())), Err(NotAForm));
    assert_eq!(read(URLENCODED, "").unwrap().fields(), []);
    let most = vec!["a=b"; Form::MAX_FIELDS].join("&");
    assert_eq!(read(URLENCODED, most).unwrap().into_iter().count(), 1000);
    let most = multipart(&vec![("name=\"a\"", &b""[..]); Form::MAX_FIELDS]);
    assert_eq!(read(kind, most).unwrap().fields().len(), 1000);
}

#[test]
fn debug_does_not_show_content() {
    let form = read(URLENCODED, "subject=s3cret").unwrap();
    let shown = format!("{form:?}");
    assert!(shown.contains("subject") && !shown.contains("s3cret"));
}

proptest! {
    #[test]
    fn any_bytes_yield_a_form_or_an_error(
        kind in prop_oneof![
            Just(URLENCODED.to_owned()),
            Just("multipart/form-data; boundary=b0".to_owned()),
            "multipart/form-data; ?boundary=[ -~]{0,100}",
            "[ -~]{0,60}",
        ],
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                Just(b"\r\n--b0\r\n".to_vec()),
                Just(b"--b0".to_vec()),
                Just(b"--b0--\r\n".to_vec()),
                Just(b"Content-Disposition: form-data; name=\"a\"; filename=\"".to_vec()),
                Just(b"\r\n\r\n".to_vec()),
                Just(b"%".to_vec()),
                Just(b"&".to_vec()),
            ],
            0..30,
        ),
    ) {
        if let Ok(form) = read(&kind, pieces.concat()) {
            let content: usize = form.fields().iter().map(|field| field.content.len()).sum();
            prop_assert!(content <= 3 * pieces.concat().len());
            for field in form {
                field.text();
            }
        }
    }
}
