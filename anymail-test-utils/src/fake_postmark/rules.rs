//! Postmark's limits, error codes and error messages.
//!
//! `check.rs` decides which rule applies to which field; `api.rs` handles HTTP.
//!
//! The mark of each row states its source: LIVE, seen on the wire by somebody who published it;
//! DOC, Postmark's documentation (<https://postmarkapp.com/developer>); SDK, the code of an
//! official client; OURS, unknown: the text is our own, and only the code is likely to be right.

use serde_json::{Value, json};

/// Recipients of one message, To, Cc and Bcc together. DOC
pub(super) const MAX_RECIPIENTS: usize = 50;
/// Messages in one batch call. DOC
pub(super) const MAX_BATCH: usize = 500;
/// The maximum size of a call that sends one message, in bytes, including Base64. DOC, "10 MB"
pub(super) const MAX_MESSAGE: usize = 10 * 1024 * 1024;
/// The maximum size of a call that sends several messages. DOC, "50 MB"
pub(super) const MAX_BATCH_PAYLOAD: usize = 50 * 1024 * 1024;
/// The maximum size of HtmlBody and of TextBody, in bytes. DOC, "5 MB"
pub(super) const MAX_BODY: usize = 5 * 1024 * 1024;
/// UTF-16 code units. DOC
pub(super) const MAX_FROM: usize = 255;
/// UTF-16 code units. DOC
pub(super) const MAX_SUBJECT: usize = 2000;
/// UTF-16 code units. DOC
pub(super) const MAX_TAG: usize = 1000;
/// DOC
pub(super) const MAX_METADATA_FIELDS: usize = 10;
/// DOC
pub(super) const MAX_METADATA_KEY: usize = 20;
/// DOC
pub(super) const MAX_METADATA_VALUE: usize = 80;
/// Templates on one server. DOC
pub(super) const MAX_TEMPLATES: usize = 100;
/// Addresses in one call that changes suppressions. DOC
pub(super) const MAX_SUPPRESSIONS: usize = 50;
/// Webhooks on one stream. DOC, from a marketing page; the API's pages state no number
pub(super) const MAX_WEBHOOKS: usize = 10;
/// Rows on one page. DOC
pub(super) const MAX_COUNT: usize = 500;
/// `count` and `offset` together. DOC
pub(super) const MAX_COUNT_AND_OFFSET: usize = 10_000;

/// Filename extensions that attachments must not have. DOC, case-insensitive by inference
pub(super) const FORBIDDEN_EXTENSIONS: [&str; 31] = [
    "vbs", "exe", "bin", "bat", "chm", "com", "cpl", "crt", "hlp", "hta", "inf", "ins", "isp",
    "jse", "lnk", "mdb", "pcd", "pif", "reg", "scr", "sct", "shs", "vbe", "vba", "wsf", "wsh",
    "wsl", "msc", "msi", "msp", "mst",
];

/// The code of [`all_inactive`].
pub(super) const ALL_INACTIVE: i64 = 406;

/// What TrackLinks may be. DOC
pub(super) const TRACK_LINKS: [&str; 4] = ["None", "HtmlAndText", "HtmlOnly", "TextOnly"];

/// A refusal: Postmark's error code and message, and the HTTP status.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiError {
    pub(super) http: u16,
    pub(super) code: i64,
    pub(super) message: String,
    /// The body of the response, if it contains more than the code and the message.
    pub(super) body: Option<Value>,
}

impl ApiError {
    fn new(http: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            http,
            code,
            message: message.into(),
            body: None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let plain = || json!({"ErrorCode": self.code, "Message": self.message});
        self.body.clone().unwrap_or_else(plain)
    }
}

/// Most refusals come with HTTP 422. DOC
fn refused(code: i64, message: impl Into<String>) -> ApiError {
    ApiError::new(422, code, message)
}

/// A row of the table: a function with the values to insert into the text.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident($($part:ident),*) = $http:literal $code:literal $words:literal;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name($($part: &str),*) -> ApiError {
            ApiError::new($http, $code, format!($words))
        }
    )*};
}

rules! {
    // Authentication and media types
    /// LIVE
    bad_token() = 401 10 "Request does not contain a valid Server token.";
    /// LIVE in 2016; the HTTP status is inferred
    both_tokens() = 401 10 "Please do not include Account API Token for Server API Token calls.";
    /// The HTTP status is DOC, the body is not documented; this code said it before 2023
    not_json_headers(header) = 415 409 "The '{header}' header must be 'application/json'.";
    /// DOC
    invalid_json() = 422 402 "Invalid JSON.";
    /// LIVE; DOC writes 'Field' instead of the path
    wrong_type(path) = 422 403 "Invalid request field(s): {path}";

    // Addresses
    /// LIVE for To; the newer text for a missing From is inferred
    invalid_address(field, address) = 422 300 "Invalid '{field}' address: '{address}'.";
    /// LIVE
    no_at(field, address) = 422 300 "Error parsing '{field}': Illegal email address '{address}'. It must contain the '@' symbol.";
    /// LIVE
    bad_domain(field, domain, address) = 422 300 "Error parsing '{field}': Illegal email domain '{domain}' in address '{address}'.";
    /// LIVE
    bad_mailbox(field, mailbox, address) = 422 300 "Error parsing '{field}': Illegal email mailbox '{mailbox}' in address '{address}'.";
    /// LIVE
    zero_recipients() = 422 300 "Zero recipients specified";
    /// The code is DOC, the text is OURS
    too_many_recipients() = 422 300 "Too many recipients. A message may have up to 50 recipients in 'To', 'Cc' and 'Bcc' together.";
    /// LIVE
    sender_not_found(address) = 422 400 "The 'From' address you supplied ({address}) is not a Sender Signature on your account. Please add and confirm this address in order to be able to use it in the 'From' field of your messages.";
    /// LIVE
    all_inactive(addresses) = 422 406 "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: {addresses}. Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual suppression.";
    /// LIVE
    pending_approval(own, other) = 422 412 "While your account is pending approval, all recipient addresses must share the same domain as the 'From' address. The domain of the 'From' address is '{own}', but you are attempting to send email to the following domain: '{other}'.";

    // Contents
    /// LIVE
    no_body() = 422 300 "Provide either email TextBody or HtmlBody or both.";
    /// The code is DOC, the text is OURS
    too_long(field, limit) = 422 300 "Invalid '{field}'. It must not be longer than {limit}.";
    /// The code is DOC, the text is OURS
    bad_header(name) = 422 300 "Invalid header '{name}'. A header needs a name of printable ASCII without a colon, and a value on one line.";
    /// LIVE
    metadata_too_long(key) = 422 300 "Invalid metadata content. Field names are limited to 20 characters and field values are limited to 80 characters in length. The '{key}' field in your metadata content exceeds these limits.";
    /// The code is DOC, the text is OURS
    too_much_metadata() = 422 300 "Invalid metadata content. Metadata is limited to 10 fields.";
    /// The code is DOC, the text is OURS
    metadata_twice(key) = 422 300 "Invalid metadata content. The field '{key}' is given twice; field names must differ by more than case.";
    /// DOC
    forbidden_attachment() = 422 411 "Attachment file type not allowed.";
    /// The code is DOC, the text is OURS
    bad_attachment(name, what) = 422 300 "Invalid attachment '{name}'. {what}";
    /// DOC
    batch_too_large() = 422 410 "You may only send up to 500 messages in a single batched request.";

    // Streams
    /// SDK
    unknown_stream(stream) = 422 1235 "The stream provided: '{stream}' does not exist on this server.";
    /// LIVE in 2019; DOC has another text
    stream_cannot_send() = 422 1236 "Sending is not supported on the supplied 'MessageStream'.";
    /// The code is DOC, the text follows 1235
    no_such_stream(stream) = 422 1226 "The stream provided: '{stream}' does not exist on this server.";

    // Templates
    /// LIVE
    content_with_template() = 422 1123 "Neither 'TextBody', 'HtmlBody', or 'Subject' may be specified when using a template for the email.";
    /// LIVE
    unknown_template_id() = 422 1101 "The 'TemplateId' associated with this request is not valid or was not found.";
    /// LIVE
    unknown_template_alias() = 422 1101 "The Template's 'Alias' associated with this request is not valid or was not found.";
    /// The code and the first sentence are LIVE; the rest tells the user of the fake what to fix
    broken_template(problem) = 422 1101 "The Template's 'Alias' associated with this request is not valid or was not found. (The fake cannot use its files: {problem})";
    /// The code is DOC, the text follows the two above
    unknown_layout() = 422 1101 "The 'LayoutTemplate' associated with this request is not valid or was not found.";
    /// LIVE
    no_model() = 422 1120 "A 'TemplateModel' is required when using a template to send an email.";
    /// LIVE; the cause is inferred: a request without any data
    no_template_data() = 422 1109 "No template data received.";
    /// The code is DOC, the text is OURS
    template_field_missing(field) = 422 1120 "A '{field}' is required for the template.";
    /// The code is DOC, the text is OURS
    template_field_invalid(field, what) = 422 1122 "The template's '{field}' is not valid. {what}";
    /// The code is DOC, the text is OURS
    template_conflict(what) = 422 1123 "{what}";
    /// The code is DOC, the text is OURS
    too_many_templates() = 422 1105 "You have reached the limit of 100 templates on this server.";
    /// The code is DOC, the text is OURS
    layout_in_use() = 422 1130 "This layout is in use by other templates.";
    /// The code is DOC, the text is OURS
    layout_placeholder(field) = 422 1131 "The layout's '{field}' must contain the '{{{{{{ @content }}}}}}' placeholder exactly once.";

    // Bulk
    /// DOC
    bulk_not_found() = 404 12 "Bulk send not found.";
    /// The code is DOC, the text is OURS
    bad_pagination_key() = 422 13 "The 'paginationKey' is not valid.";
    /// DOC
    bulk_not_approved() = 422 14 "This endpoint requires approval to access. Contact support to use the Bulk API postmarkapp.com/contact";

    // Looking things up: the codes are DOC, the texts are OURS
    bad_paging(code_owner) = 422 700 "Invalid 'count' or 'offset' for {code_owner}: 'count' is 1 to 500, and both together at most 10,000.";
    message_not_found() = 422 701 "This message was not found.";
    bounce_query(what) = 422 1000 "Invalid bounce query: {what}.";
    bounce_not_found() = 422 1001 "The bounce was not found, or its dump is gone.";
    bounce_id_required() = 400 1002 "A bounce id is required.";
    cannot_reactivate() = 422 1003 "This bounce cannot be reactivated.";
    hook_url(field) = 422 606 "The '{field}' is not a valid URL.";
    track_links() = 422 612 "'TrackLinks' must be one of None, HtmlAndText, HtmlOnly, TextOnly.";
    spam_threshold() = 422 611 "'InboundSpamThreshold' must be between 0 and 30.";
    template_query() = 422 1100 "Invalid 'count' or 'offset'.";

    // Suppressions
    /// The code is DOC, the text is OURS
    too_many_suppressions() = 422 1410 "You may change up to 50 suppressions in one request.";
    /// The code is inferred, the text is OURS
    no_suppressions() = 422 1402 "No suppressions were given.";

    // Webhooks: the codes are DOC, the texts are OURS
    webhook_on_inbound() = 422 1351 "Webhooks are not supported on inbound streams.";
    webhook_not_found() = 422 1352 "The webhook was not found.";
    webhook_url() = 422 1354 "A valid 'Url' is required.";
    webhook_body() = 422 1355 "No webhook data received.";
    webhook_stream_fixed() = 422 1357 "The 'MessageStream' of a webhook cannot be changed.";
    webhook_header(name) = 422 1358 "Invalid header name '{name}'.";
    too_many_webhooks() = 422 1359 "You have reached the limit of 10 webhooks on this stream.";
}

/// Several faults of one bulk request, by field. DOC
pub(super) fn several(errors: Value) -> ApiError {
    let words = "Multiple errors occurred. Inspect the Errors property for more information.";
    let mut error = refused(11, words);
    error.body = Some(json!({"ErrorCode": 11, "Message": words, "Errors": errors}));
    error
}

/// A webhook that did not respond with 200: the body is a report on each trigger. DOC
pub(super) fn webhook_not_verified(report: Value) -> ApiError {
    let mut error = refused(1364, "The webhook could not be verified.");
    error.body = Some(report);
    error
}

/// The message that accompanies the message ID when some recipients are inactive. LIVE in 2021
pub(super) fn some_inactive(addresses: &str) -> String {
    format!("Message OK, but will not deliver to these inactive addresses: {addresses}")
}
