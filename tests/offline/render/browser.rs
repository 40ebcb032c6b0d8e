//! A headless Chromium, driven by the DevTools protocol over two pipes: no port, no driver, no network.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// How long the browser may be silent where something is due. It answers within milliseconds, so this only
/// keeps a test from hanging.
const SILENCE: Duration = Duration::from_secs(60);

/// One page in a browser of its own, which ends with it.
pub struct Browser {
    child: Child,
    requests: ChildStdin,
    replies: Receiver<Vec<u8>>,
    session: Option<String>,
    sent: u64,
    /// What the browser told unasked since the page was opened.
    events: Vec<Value>,
    folder: tempfile::TempDir,
}

fn program() -> PathBuf {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    const ON_A_MAC: &str = "/Applications/Chromium.app/Contents/MacOS/Chromium";
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .chain([PathBuf::from(ON_A_MAC)])
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!("none of {NAMES:?} is on the PATH; scripts/install-servers --tests installs Chromium")
        })
}

impl Browser {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The protocol speaks on descriptors 3 and 4; the shell puts our two pipes there.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec 3<&0 4>&1; exec \"$0\" \"$@\" </dev/null >/dev/null")
            .arg(program())
            // Only pages of ours are opened, and containers have no user namespaces for its sandbox.
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--remote-debugging-pipe",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            loop {
                let mut message = Vec::new();
                // Ends with the browser, or with the test.
                if told.read_until(0, &mut message).is_err()
                    || message.pop() != Some(0)
                    || sender.send(message).is_err()
                {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            requests,
            replies,
            session: None,
            sent: 0,
            events: Vec::new(),
            folder,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Asks the browser for something and waits for its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.requests
            .write_all(message.to_string().as_bytes())
            .unwrap();
        self.requests.write_all(&[0]).unwrap();
        self.requests.flush().unwrap();
        loop {
            let mut message = self.read();
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn read(&mut self) -> Value {
        let text = self
            .replies
            .recv_timeout(SILENCE)
            .expect("the browser ended, or does not answer");
        serde_json::from_slice(&text).unwrap()
    }

    /// Waits for an event, and forgets it.
    fn wait_for(&mut self, method: &str) -> Value {
        loop {
            if let Some(at) = self.events.iter().position(|e| e["method"] == method) {
                return self.events.remove(at)["params"].take();
            }
            let event = self.read();
            self.events.push(event);
        }
    }

    /// Opens a page that has this text, from a file of its own.
    pub fn open(&mut self, page: &str) -> String {
        let file = self.folder.path().join("page.html");
        std::fs::write(&file, page).unwrap();
        self.events.clear();
        let address = format!("file://{}", file.display());
        self.call("Page.navigate", json!({ "url": address }));
        self.wait_for("Page.loadEventFired");
        address
    }

    /// How the reader's device is: columns of pixels, and whether its ground is dark.
    pub fn device(&mut self, width: u32, dark: bool) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600 }),
        );
        let scheme = if dark { "dark" } else { "light" };
        // Nothing moves by itself, so that what is pressed is where it was found.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let mut answer = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true }),
        );
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// Presses the mouse on the first element that a selector finds, which must be a link within the page;
    /// returns the address where that leads.
    pub fn follow(&mut self, selector: &str) -> String {
        let quoted = json!(selector);
        let at = self.value(&format!(
            "(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{behavior: 'instant', block: 'center', inline: 'center'}});
               const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        self.events
            .retain(|event| event["method"] != "Page.navigatedWithinDocument");
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 }),
            );
        }
        self.wait_for("Page.navigatedWithinDocument")["url"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What was asked for over any network or from any file since the page was opened.
    pub fn requests(&self) -> Vec<String> {
        self.told("Network.requestWillBeSent")
            .map(|params| params["request"]["url"].as_str().unwrap_or("?").to_owned())
            .collect()
    }

    /// What went to the console since the page was opened.
    pub fn complaints(&self) -> Vec<String> {
        [
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
        ]
        .iter()
        .flat_map(|method| self.told(method))
        .map(ToString::to_string)
        .collect()
    }

    fn told(&self, method: &str) -> impl Iterator<Item = &Value> {
        let method = method.to_owned();
        self.events
            .iter()
            .filter(move |event| event["method"] == method)
            .map(|event| &event["params"])
    }

    /// The page as it is printed on A4.
    pub fn printed(&mut self) -> Vec<u8> {
        use base64::Engine as _;
        let paper = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "printBackground": true });
        let printed = self.call("Page.printToPDF", paper);
        base64::engine::general_purpose::STANDARD
            .decode(printed["data"].as_str().unwrap())
            .unwrap()
    }

    /// Takes a picture of all of the page.
    pub fn picture(&mut self, file: &Path) {
        use base64::Engine as _;
        let shot = self.call(
            "Page.captureScreenshot",
            json!({ "captureBeyondViewport": true }),
        );
        let data = shot["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its pipes close too, which ends the processes that it started.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
