//! A real Chromium, driven by its debugging protocol: JSON through a pair of pipes, one message after another.
//!
//! By hand, since it takes this one file: the crates for it generate types for the whole protocol, some 60,000 lines. Knows no
//! page of ours.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::{Instant, timeout};

use crate::servers::server;

/// How long anything may take: far longer than it does, so a busy machine does not fail a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Keeps Chromium from asking anybody but the test's server. Root may not use the sandbox; all pages are the test's own.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// Chromium wants the pipes as descriptors 3 and 4.
const PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A browser with a profile of its own, which ends with the test.
pub(crate) struct Browser {
    _process: Child,
    _profile: TempDir,
    input: AsyncMutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let chromium =
            std::env::var_os("CAAS_TEST_CHROMIUM").map_or_else(|| server("chromium"), PathBuf::from);
        let mut command = Command::new("sh");
        command.arg("-c").arg(PIPES).arg(chromium).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let waiting = Waiting::default();
        tokio::spawn(read(process.stdout.take().unwrap(), Arc::clone(&waiting)));
        let input = AsyncMutex::new(process.stdin.take().unwrap());
        Self { _process: process, _profile: profile, input, waiting, next: AtomicU64::new(1) }
    }

    /// A new tab with this many CSS pixels.
    pub(crate) async fn tab(&self, width: u32, height: u32) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach).await;
        let tab = Tab { browser: self, session: session["sessionId"].as_str().unwrap().to_owned() };
        tab.call("Page.enable", json!({})).await;
        // What goes wrong in a page: a test ends with `Tab::close`, which finds it.
        let watch = "window.wrong = [];
            addEventListener('error', event => wrong.push(String(event.message)));
            addEventListener('unhandledrejection', event => wrong.push(String(event.reason)));
            addEventListener('securitypolicyviolation', event => wrong.push('policy: ' + event.violatedDirective));";
        tab.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": watch})).await;
        tab.resize(width, height).await;
        tab
    }

    async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.lock().await.write_all(&bytes).await.unwrap();
        let answer = timeout(DEADLINE, answer).await.unwrap_or_else(|_| panic!("{method}: no answer"));
        let mut answer = answer.unwrap_or_else(|_| panic!("{method}: Chromium has ended"));
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }
}

/// Hands answers to those who wait. Events have nobody who waits.
async fn read(output: ChildStdout, waiting: Waiting) {
    let mut output = BufReader::new(output);
    let mut message = Vec::new();
    while output.read_until(0, &mut message).await.is_ok_and(|read| read > 0) {
        message.pop();
        let answer: Value = serde_json::from_slice(&message).unwrap();
        message.clear();
        let Some(id) = answer["id"].as_u64() else { continue };
        if let Some(sender) = waiting.lock().unwrap().remove(&id) {
            // Nobody waits any longer: the test has failed.
            let _ = sender.send(answer);
        }
    }
    waiting.lock().unwrap().clear();
}

/// A tab.
pub(crate) struct Tab<'a> {
    browser: &'a Browser,
    session: String,
}

impl Tab<'_> {
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params).await
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Minimizes the window, so that nobody sees the page, or restores it; waits until the page knows.
    pub(crate) async fn minimize(&self, minimized: bool) {
        let window = self.call("Browser.getWindowForTarget", json!({})).await;
        let state = if minimized { "minimized" } else { "normal" };
        let bounds = json!({"windowId": window["windowId"], "bounds": {"windowState": state}});
        self.call("Browser.setWindowBounds", bounds).await;
        self.until(&format!("document.hidden === {minimized}")).await;
    }

    /// Sets what the system prefers, such as `prefers-color-scheme: dark`.
    pub(crate) async fn prefers(&self, feature: &str, value: &str) {
        let features = json!({"features": [{"name": feature, "value": value}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Opens an address and waits until the page has loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        let loaded = "document.readyState === 'complete' && location.href !== 'about:blank'";
        self.until(loaded).await;
    }

    /// The value of an expression, awaited.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        let evaluate = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", evaluate).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until the expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let begun = Instant::now();
        loop {
            // A page that is being left has no value.
            let evaluate = json!({"expression": expression, "returnByValue": true});
            if self.call("Runtime.evaluate", evaluate).await["result"]["value"] == true {
                return;
            }
            if begun.elapsed() > DEADLINE {
                let shown = self.eval("location.href + '\\n' + document.body.innerText").await;
                panic!("never true: {expression}\n{}", shown.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses a key, as `KeyboardEvent.key` names it.
    pub(crate) async fn press(&self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            _ => 0,
        };
        let mut down = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
        if key == "Enter" {
            down["text"] = "\r".into();
        } else if key.chars().count() == 1 {
            down["text"] = key.into();
        }
        self.call("Input.dispatchKeyEvent", down).await;
        self.call(
            "Input.dispatchKeyEvent",
            json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}),
        )
        .await;
    }

    /// Types a text into what has the focus.
    pub(crate) async fn write(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Clicks into the middle of the first element of this selector.
    pub(crate) async fn click(&self, selector: &str) {
        let selector = serde_json::to_string(selector).unwrap();
        let place = format!(
            "(() => {{ const one = document.querySelector({selector}); one.scrollIntoView({{block: 'center'}});
             const box = one.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2] }})()"
        );
        let place = self.eval(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// The text of the first element of this selector, as it is shown.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let selector = serde_json::to_string(selector).unwrap();
        let text = self.eval(&format!("document.querySelector({selector}).innerText")).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// A picture of the window, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Asserts that the script has not failed and the policy has stopped nothing.
    pub(crate) async fn close(self) {
        assert_eq!(self.eval("window.wrong").await, json!([]));
        self.call("Page.close", json!({})).await;
    }
}
