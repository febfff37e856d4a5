//! The page of a trace in a real browser: everything is drawn, search and zoom and the map of the output answer to mouse
//! and keyboard, nothing is loaded and nothing complains.
//!
//! The browser is driven by its own protocol (Chrome DevTools Protocol) over two pipes, so nothing listens on a port.

mod traced;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use traced::Place;

/// A browser with one open page.
struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Value,
    last: u64,
    /// What came without being asked for.
    events: Vec<Value>,
}

/// The browser's error for what is asked in the moment in which a page is left for another.
const LEFT: i64 = -32000;

impl Browser {
    /// Starts a browser, if there is one.
    fn start(place: &Place, size: &str, is_dark: bool) -> Option<Browser> {
        let program = ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find(|name| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success()));
        let Some(program) = program else {
            eprintln!("skipped: no chromium");
            return None;
        };
        // The protocol is spoken on descriptors 3 and 4.
        let script = format!(
            "exec {program} --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --user-data-dir='{}' --remote-debugging-pipe --window-size={size} about:blank 3<&0 4>&1 0</dev/null \
             1>/dev/null 2>/dev/null",
            place.path("browser").display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let to = process.stdin.take().unwrap();
        let from = BufReader::new(process.stdout.take().unwrap());
        let mut browser = Browser { process, to, from, session: Value::Null, last: 0, events: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].clone();
        for domain in ["Runtime.enable", "Log.enable", "Network.enable", "Page.enable"] {
            browser.ask(domain, json!({}));
        }
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.ask("Emulation.setEmulatedMedia", json!({"features": features}));
        Some(browser)
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.try_to_ask(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The answer, or the browser's error.
    fn try_to_ask(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(b"\0").unwrap();
        loop {
            let mut text = Vec::new();
            self.from.read_until(0, &mut text).unwrap();
            assert!(text.pop() == Some(0), "the browser ended");
            let message: Value = serde_json::from_slice(&text).unwrap();
            if message["id"] == self.last {
                let error = &message["error"];
                return if error.is_null() { Ok(message["result"].clone()) } else { Err(error.clone()) };
            }
            self.events.push(message);
        }
    }

    /// The value of an expression in the page.
    fn value(&mut self, expression: &str) -> Value {
        self.try_value(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// The same, or the browser's error.
    fn try_value(&mut self, expression: &str) -> Result<Value, Value> {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.try_to_ask("Runtime.evaluate", parameters)?;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        Ok(result["result"]["value"].clone())
    }

    fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(&format!("Number({expression})"));
        value.as_f64().unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    fn open(&mut self, page: &Path) {
        self.ask("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        self.until("document.documentElement.dataset.ready === 'yes'");
    }

    fn until(&mut self, condition: &str) {
        // While a page is loaded there may be no document.
        let tried = format!("(() => {{ try {{ return {condition}; }} catch {{ return false; }} }})()");
        for _ in 0..400 {
            match self.try_value(&tried) {
                Ok(value) if value == true => return,
                Ok(_) => {}
                Err(error) => assert_eq!(error["code"], LEFT, "{condition}: {error}"),
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("waited in vain for {condition}");
    }

    fn key(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            other if other.chars().count() == 1 => other,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Backspace" => 8,
            "ArrowRight" => 39,
            _ => 0,
        };
        let event =
            |kind: &str| json!({"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code});
        self.ask("Input.dispatchKeyEvent", event(if text.is_empty() { "rawKeyDown" } else { "keyDown" }));
        self.ask(
            "Input.dispatchKeyEvent",
            json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}),
        );
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), more: Value) {
        let mut event = json!({"type": kind, "x": x, "y": y});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("Input.dispatchMouseEvent", event);
    }

    fn click(&mut self, at: (f64, f64)) {
        let button = json!({"button": "left", "clickCount": 1});
        self.mouse("mousePressed", at, button.clone());
        self.mouse("mouseReleased", at, button);
    }

    /// The middle of an element, brought into view.
    fn middle(&mut self, element: &str) -> (f64, f64) {
        let x = self.number(&format!("(() => {{ const e = {element}; e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect(); return b.left + b.width / 2; }})()"));
        (
            x,
            self.number(&format!(
                "(() => {{ const b = ({element}).getBoundingClientRect(); return b.top + b.height / 2; }})()"
            )),
        )
    }

    /// Nothing was loaded but the page, and nobody complained.
    fn assert_quiet(&self) {
        for event in &self.events {
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    let url = event["params"]["request"]["url"].as_str().unwrap();
                    assert!(
                        url.starts_with("file://") && url.ends_with(".html") || url == "about:blank",
                        "loaded {url}"
                    );
                }
                "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled" => {
                    panic!("{event}")
                }
                _ => {}
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A page of a link of some objects, some of them in a crate.
fn page(place: &Place) -> std::path::PathBuf {
    place.many(60);
    fs::create_dir(place.path("deps")).unwrap();
    let archive = "deps/libtokio-0123456789abcdef.rlib";
    let made =
        Command::new("ar").args(["rc", archive, "v0.o", "v1.o"]).current_dir(&place.directory).status();
    assert!(made.unwrap().success());
    let options = [
        "--whole-archive",
        archive,
        "--no-whole-archive",
        "--threads=2",
        "-shared",
        "-o",
        "out",
        "@many.rsp",
    ];
    place.link(&options);
    assert_eq!(place.manifold(&["trace", "page", "trace.json"]).0, 0);
    place.path("trace.html")
}

/// Zooms and moves by wheel and keys; what is drawn follows.
fn zoom(browser: &mut Browser) {
    let width =
        "(document.getElementById('lanes').dataset.to - document.getElementById('lanes').dataset.from)";
    let whole = browser.number(width);
    assert!(browser.number("document.getElementById('lanes').dataset.drawn") > 50.0, "spans are drawn");
    // Something other than the background is on the canvas.
    let colours = "(() => { const c = document.getElementById('lanes'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set(); for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); return seen.size; })()";
    assert!(browser.number(colours) > 8.0, "lanes have colours");
    let at = browser.middle("document.getElementById('lanes')");
    browser.mouse("mouseWheel", at, json!({"deltaX": 0, "deltaY": -400}));
    browser.until(&format!("{width} < {whole} * 0.9"));
    browser.mouse("mouseMoved", at, json!({}));
    browser.value("document.getElementById('lanes').focus()");
    browser.key("0");
    browser.until(&format!("Math.abs({width} - {whole}) < 0.01"));
    browser.key("+");
    browser.until(&format!("{width} < {whole} * 0.7"));
    let from = browser.number("document.getElementById('lanes').dataset.from");
    browser.key("ArrowRight");
    browser.until(&format!("document.getElementById('lanes').dataset.from > {from}"));
    // Dragging to the right shows what was before.
    let from = browser.number("document.getElementById('lanes').dataset.from");
    browser.mouse("mousePressed", at, json!({"button": "left", "clickCount": 1}));
    browser.mouse("mouseMoved", (at.0 + 120.0, at.1), json!({"button": "left", "buttons": 1}));
    browser.mouse("mouseReleased", (at.0 + 120.0, at.1), json!({"button": "left"}));
    assert!(browser.number("document.getElementById('lanes').dataset.from") < from);
    browser.key("0");
    // A span under the pointer says what it is.
    let spot = browser.value("(() => { const c = document.getElementById('lanes'); c.scrollIntoView({block: 'start'}); scrollBy(0, -150); const b = c.getBoundingClientRect(), r = lanes[0].flat; let n = 0; for (let i = 0; i < r.row.length; i++) if (r.end[i] - r.start[i] > r.end[n] - r.start[n]) n = i; const s = spot(r.row[n]); return [b.left + (r.start[n] + r.end[n]) / 2 / wall * b.width, b.top + s.y]; })()");
    browser.mouse("mouseMoved", (spot[0].as_f64().unwrap(), spot[1].as_f64().unwrap()), json!({}));
    browser.until("document.getElementById('tip').style.display === 'block' && /ms|µs/.test(document.getElementById('tip').textContent)");
}

/// Types the name of a crate of which `inputs` are linked; it is found, and what is not of it is not shown.
fn search(browser: &mut Browser, name: &str, inputs: u32) {
    browser.value("document.activeElement.blur()");
    browser.key("/");
    for letter in name.chars() {
        browser.key(&letter.to_string());
    }
    browser.until(&format!("document.getElementById('found').dataset.inputs === '{inputs}'"));
    assert!(browser.number("document.getElementById('found').dataset.spans") > 0.0);
    let rows = browser
        .value("[...document.querySelectorAll('#input-table tbody tr')].map((row) => row.dataset.name)");
    assert_eq!(rows, json!([name]));
    // A match comes to the middle; how far the view goes in depends on how long the match took.
    browser.key("Enter");
    browser.until("view.matches.has(view.hover)");
    browser.until("(() => { const lane = laneOf(view.hover), n = view.hover - lane.first; return Math.abs((lane.start[n] + lane.end[n]) - (view.from + view.to)) < 1e-6; })()");
    browser.value("(() => { const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input')); })()");
    browser.until("view.matches === null");
    assert!(browser.number("document.getElementById('input-table').dataset.rows") > 1.0);
}

/// Into the map's area of a crate, which has so many areas for its objects, into one of them, where there is such a
/// section, and out again.
fn drill(browser: &mut Browser, name: &str, areas: f64, section: &str) {
    let level = "document.getElementById('treemap').dataset.level";
    let crate_area = format!(
        "[...document.querySelectorAll('#treemap button')].find((area) => area.dataset.name === '{name}')"
    );
    assert_eq!(browser.value(&format!("{level} + ({crate_area} ? '' : 'missing')")), "0");
    // By mouse into the crate, by keyboard into an object and back.
    let at = browser.middle(&crate_area);
    browser.click(at);
    browser.until(&format!("{level} === '1'"));
    assert_eq!(browser.number("document.querySelectorAll('#treemap button').length"), areas);
    browser.value("document.querySelector('#treemap button').focus()");
    browser.key("ArrowRight");
    browser.key("Enter");
    browser.until(&format!("{level} === '2'"));
    assert_eq!(browser.value(&format!("[...document.querySelectorAll('#treemap button')].some((area) => area.dataset.name === '{section}')")), true);
    browser.key("Backspace");
    browser.until(&format!("{level} === '1'"));
    browser.key("Backspace");
    browser.until(&format!("{level} === '0'"));
    // Areas are what they stand for.
    assert_eq!(browser.value("(() => { const list = [...document.querySelectorAll('#treemap button')]; const sum = list.reduce((s, a) => s + Number(a.dataset.bytes), 0); return sum === outputSize; })()"), true);
}

#[test]
fn the_page_answers_in_a_browser() {
    let place = Place::new("browser");
    let page = page(&place);
    for (size, is_dark) in [("1280,900", false), ("1920,1080", true)] {
        let Some(mut browser) = Browser::start(&place, size, is_dark) else { return };
        browser.open(&page);
        let back = browser.value("getComputedStyle(document.body).backgroundColor");
        assert_eq!(back == "rgb(255, 255, 255)", !is_dark, "{back}");
        assert_eq!(
            browser.value("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "nothing sticks out"
        );
        zoom(&mut browser);
        search(&mut browser, "tokio", 2);
        assert_eq!(browser.value("document.getElementById('found').textContent"), "");
        drill(&mut browser, "tokio", 2.0, ".debug_info");
        // A table sorts by the head that is clicked.
        let head = browser.middle("document.querySelectorAll('#stage-table th button')[0]");
        browser.click(head);
        browser.until("document.querySelector('#stage-table th').getAttribute('aria-sort') === 'ascending'");
        assert!(browser.number("document.querySelectorAll('#whatif-table tbody tr').length") > 4.0);
        browser.assert_quiet();
    }
}

/// Pages of links that are too large to be made here: `MANIFOLD_PAGES` has the path of each, the name of a crate or
/// archive whose name is part of no other's, how many inputs it has, of how many of them the map shows areas (the small
/// ones share one), and the name of a section they have, as in `tool.html:libclangSema.a:77:58:.text`.
#[test]
#[ignore = "needs pages of large links, named by MANIFOLD_PAGES"]
fn pages_of_large_links_answer_in_a_browser() {
    let place = Place::new("browser-large");
    for page in std::env::var("MANIFOLD_PAGES").unwrap().split(',') {
        let [path, name, inputs, areas, section] = page.split(':').collect::<Vec<_>>()[..] else {
            panic!("{page}")
        };
        let [inputs, areas]: [u32; 2] = [inputs, areas].map(|number| number.parse().unwrap());
        for (size, is_dark) in [("1280,900", false), ("1920,1080", true)] {
            let mut browser = Browser::start(&place, size, is_dark).expect("there is a browser");
            browser.open(Path::new(path));
            zoom(&mut browser);
            search(&mut browser, name, inputs);
            drill(&mut browser, name, areas.into(), section);
            browser.assert_quiet();
        }
    }
}

#[test]
fn the_page_of_a_build_answers_in_a_browser() {
    let place = Place::new("browser-build");
    place.program();
    fs::create_dir(place.path("traces")).unwrap();
    for output in ["one", "two"] {
        let mut link = place.command(&["--no-fork", "-e", "main", "-o", output, "a.o", "b.o", "c.a"]);
        assert!(link.env("MANIFOLD_TRACE", place.path("traces")).status().unwrap().success());
    }
    assert_eq!(place.manifold(&["trace", "report", "traces"]).0, 0);
    let Some(mut browser) = Browser::start(&place, "1280,900", false) else { return };
    browser.open(&place.path("traces/index.html"));
    assert_eq!(browser.number("document.querySelectorAll('#lines a').length"), 2.0);
    assert_eq!(browser.number("document.querySelectorAll('#link-table tbody tr').length"), 2.0);
    let link = browser.middle("document.querySelector('#link-table a')");
    browser.click(link);
    browser.until("document.documentElement.dataset.ready === 'yes' && !!document.getElementById('lanes')");
    browser.assert_quiet();
}
