//! A plain HTTP client for one fake.

use anymail_test_utils::{FakePostmark, FakePostmarkBuilder};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// A fake, and a client that calls it with the default token.
pub(crate) struct Caller {
    pub(crate) postmark: FakePostmark,
    client: Client,
}

/// The response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("not JSON: {} {:?}", self.status, self.text))
    }

    /// Asserts a refusal with this HTTP status, code and message.
    pub(crate) fn refused(&self, status: u16, code: i64, words: &str) {
        assert_eq!(self.json(), json!({"ErrorCode": code, "Message": words}));
        assert_eq!(self.status, status, "{words}");
        assert_eq!(self.headers["x-pm-apierrorcode"], code.to_string());
    }

    /// Asserts HTTP 200 and returns the JSON of the response.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

impl Caller {
    pub(crate) async fn new() -> Self {
        Self::of(FakePostmark::builder()).await
    }

    pub(crate) async fn of(builder: FakePostmarkBuilder) -> Self {
        Self {
            postmark: builder.start().unwrap(),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Creates a request without headers.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        let url = format!("{}/{path}", self.postmark.url());
        self.client.request(method, url)
    }

    /// Creates a request as a client does.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path)
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .header("X-Postmark-Server-Token", "server-token")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request("POST", path).body(body.to_string())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request("PUT", path).body(body.to_string())).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request("DELETE", path)).await
    }

    /// Sends the message that [`email`] creates from `changes`.
    pub(crate) async fn email(&self, changes: Value) -> Answer {
        self.post("email", &email(changes)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// Creates a valid message with some fields changed; `null` removes one.
pub(crate) fn email(changes: Value) -> Value {
    let mut email = json!({
        "From": "sender@example.com",
        "To": "receiver@example.com",
        "Subject": "Hello",
        "TextBody": "Hi!",
    });
    for (key, value) in changes.as_object().unwrap() {
        let fields = email.as_object_mut().unwrap();
        match value {
            Value::Null => fields.remove(key),
            value => fields.insert(key.clone(), value.clone()),
        };
    }
    email
}
