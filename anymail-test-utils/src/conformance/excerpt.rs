//! Formats a request for a person to read: long texts are shortened, files are shown as sizes.

use bytes::Bytes;
use http::{Request, header};
use serde_json::Value;

/// The maximum number of lines.
const LINES: usize = 24;
/// The maximum number of characters of a line.
const LINE: usize = 900;
/// The maximum number of characters of a value.
const VALUE: usize = 120;

/// Formats the request, with one line for each of its parts.
pub(super) fn excerpt(request: &Request<Bytes>) -> Vec<String> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (method, path) = (request.method(), request.uri().path());
    let body = request.body();
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    let mut lines = vec![format!(
        "{method} {path} ({} bytes, {})",
        body.len(),
        if media_type.is_empty() {
            "no Content-Type"
        } else {
            media_type
        }
    )];
    let media_type = media_type.to_ascii_lowercase();
    let boundary = kind.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_boundary = name.trim().eq_ignore_ascii_case("boundary");
        is_boundary.then(|| value.trim().trim_matches('"').to_owned())
    });
    lines.extend(match (&*media_type, boundary) {
        ("application/x-www-form-urlencoded", _) => form_urlencoded::parse(body)
            .map(|(name, value)| format!("{name}: {}", cut(&value, VALUE)))
            .collect(),
        (kind, Some(boundary)) if kind.starts_with("multipart/") => parts(body, &boundary),
        _ => vec![whole(body)],
    });
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("... and {more} parts more"));
    }
    lines
}

fn whole(body: &[u8]) -> String {
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        shorten(&mut json);
        return cut(&json.to_string(), LINE);
    }
    text_or_size(body, LINE)
}

fn shorten(json: &mut Value) {
    match json {
        Value::String(text) => *text = cut(text, VALUE),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(map) => map.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Returns the parts of a multipart body, each with its name and its content.
fn parts(body: &[u8], boundary: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for part in split(body, format!("--{boundary}").as_bytes()).skip(1) {
        if part.starts_with(b"--") {
            break; // the closing delimiter
        }
        let (head, content) = match find(part, b"\r\n\r\n") {
            Some(at) => (
                part.get(..at).unwrap_or_default(),
                part.get(at + 4..).unwrap_or_default(),
            ),
            None => (part, &b""[..]),
        };
        let content = content.strip_suffix(b"\r\n").unwrap_or(content);
        let head = String::from_utf8_lossy(head);
        let names = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let (_, parameters) = value.split_once(';')?;
            name.eq_ignore_ascii_case("content-disposition")
                .then(|| parameters.trim().to_owned())
        });
        let names = names.unwrap_or_else(|| head.trim().replace("\r\n", " "));
        let shown = match names.contains("filename") {
            true => format!("({} bytes)", content.len()),
            false => text_or_size(content, VALUE),
        };
        lines.push(format!("{}: {shown}", cut(&names, VALUE)));
    }
    lines
}

fn split<'b>(body: &'b [u8], by: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let all = rest?;
        let at = find(all, by);
        rest = at.and_then(|at| all.get(at + by.len()..));
        Some(at.and_then(|at| all.get(..at)).unwrap_or(all))
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|it| it == what)
}

fn text_or_size(bytes: &[u8], most: usize) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => cut(text, most),
        _ => format!("({} bytes)", bytes.len()),
    }
}

/// Shortens a text to this many characters, followed by its length.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => {
            let start = text.get(..end).unwrap_or_default();
            format!("{start}... ({} bytes)", text.len())
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: &str, body: impl Into<Bytes>) -> Vec<String> {
        let request = Request::post("/v3/mails").header("content-type", kind);
        excerpt(&request.body(body.into()).unwrap_or_default())
    }

    #[test]
    fn files_of_a_multipart_request_are_shown_as_sizes() {
        let body =
            b"--b0\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\nann@example.com\r\n\
            --b0\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"a.png\"\r\n\
            Content-Type: image/png\r\n\r\n\x89PNG\0\r\n--b0--\r\n";
        let kind = "multipart/form-data; boundary=b0";
        let head = format!("POST /v3/mails ({} bytes, multipart/form-data)", body.len());
        assert_eq!(
            shown(kind, &body[..]),
            [
                &*head,
                "name=\"to\": ann@example.com",
                "name=\"attachment\"; filename=\"a.png\": (5 bytes)",
            ]
        );
    }

    #[test]
    fn long_texts_in_json_are_cut() {
        let body = format!("{{\"to\":\"ann\",\"data\":\"{}\"}}", "x".repeat(5000));
        let lines = shown("application/json", body);
        let data = format!("{}... (5000 bytes)", "x".repeat(VALUE));
        assert_eq!(lines[1], format!("{{\"to\":\"ann\",\"data\":\"{data}\"}}"));
    }

    #[test]
    fn a_form_is_shown_decoded_and_other_bytes_as_their_size() {
        let form = shown("application/x-www-form-urlencoded", "a=1+2&b=%3C");
        assert_eq!(form[1..], ["a: 1 2", "b: <"]);
        assert_eq!(shown("", &b"\xff\xfe"[..])[1..], ["(2 bytes)"]);
    }

    #[test]
    fn a_request_of_many_parts_is_cut() {
        let form: String = (0..100).map(|i| format!("to={i}&")).collect();
        let lines = shown("application/x-www-form-urlencoded", form);
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!(lines.last().map(|it| &**it), Some("... and 77 parts more"));
    }
}
