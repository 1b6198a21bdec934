//! Controls a headless Chromium with the Chrome DevTools Protocol over a pipe: JSON texts, each
//! followed by a zero byte, on the file descriptors 3 and 4.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may be silent before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Chromium's path: the variable `CHROMIUM` or one of the usual places.
pub(crate) fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = usual.iter().map(PathBuf::from).find(|path| path.exists());
    named.or(found)
}

/// A browser with one page. Dropping it stops the browser.
pub(crate) struct Browser {
    process: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    /// Events that arrived while waiting for a response.
    events: VecDeque<Value>,
    calls: u64,
    /// The session of the page; empty before there is one.
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start(chromium: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The shell puts our pipes where Chromium expects them.
        let mut process = Command::new("/bin/sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            for text in stdout.split(0) {
                let Ok(text) = text else { break };
                let Ok(()) = sender.send(serde_json::from_slice(&text).unwrap()) else {
                    break;
                };
            }
        });
        let mut browser = Self {
            process,
            input,
            output,
            events: VecDeque::new(),
            calls: 0,
            session: String::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser.call("Page.enable", json!({}));
        browser
    }

    pub(crate) fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(answer.get("errorText"), None, "{url}");
    }

    /// Waits until the page contains this text, with white space normalized.
    pub(crate) fn wait_for(&mut self, words: &str) {
        loop {
            let text = self.evaluate("document.body ? document.body.innerText : ''");
            let text = text.as_str().unwrap_or_default();
            let text: Vec<_> = text.split_whitespace().collect();
            if text.join(" ").contains(words) {
                return;
            }
            let what = format!("{words:?} is not in {:?}", text.join(" "));
            while self.event(&what)["method"] != "Page.loadEventFired" {}
        }
    }

    pub(crate) fn focus(&mut self, selector: &str) {
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
    }

    /// Types a text into a field, replacing its value.
    pub(crate) fn type_into(&mut self, selector: &str, text: &str) {
        self.focus(selector);
        self.evaluate("document.activeElement.select()");
        self.call("Input.insertText", json!({"text": text}));
    }

    pub(crate) fn value_of(&mut self, selector: &str) -> String {
        let value = self.evaluate(&format!("document.querySelector({selector:?}).value"));
        value.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn press_enter(&mut self) {
        let key = |kind| {
            json!({"type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13})
        };
        self.call("Input.dispatchKeyEvent", key("keyDown"));
        self.call("Input.dispatchKeyEvent", key("keyUp"));
    }

    /// Null if the page was replaced in the meantime.
    fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({"expression": expression}));
        answer["result"]["value"].clone()
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": parameters});
        if !self.session.is_empty() {
            call["sessionId"] = json!(self.session);
        }
        write!(self.input, "{call}\0").unwrap();
        self.input.flush().unwrap();
        loop {
            let mut text = self.next(method);
            if text["id"] == self.calls {
                return text["result"].take();
            }
            self.events.push_back(text);
        }
    }

    fn event(&mut self, waiting_for: &str) -> Value {
        let waiting = self.events.pop_front();
        waiting.unwrap_or_else(|| self.next(waiting_for))
    }

    fn next(&mut self, waiting_for: &str) -> Value {
        match self.output.recv_timeout(PATIENCE) {
            Ok(text) => text,
            Err(error) => panic!("Chromium says nothing more ({error}): {waiting_for}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A graceful exit stops writing to the profile, which is deleted next.
        let _ = write!(
            self.input,
            "{}\0",
            json!({"id": 0, "method": "Browser.close"})
        );
        while self.output.recv_timeout(PATIENCE).is_ok() {}
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
