//! The page of a plan, in a browser.

use outpost::render::{PlanView, plan_html};
use serde_json::json;

use super::browser::Browser;
use super::golden::shown;
use super::hostile::{harmless_plan, nasty_plan};
use super::plan::long_plan;
use super::values::{every_action, finding, plan_of};

/// Elements whose own text has less contrast with its ground than 4.5 to 1, which WCAG 2.2 asks for.
const FAINT: &str = "(() => {
  const channels = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
    const c = channels(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll('body *:not(svg, svg *)')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => { const [a, b] = [light(channels(getComputedStyle(e).color)), light(ground(e))];
      return [e, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; })
    .filter(([, ratio]) => ratio < 4.5)
    .map(([e, ratio]) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}: ${ratio}`);
})()";

/// Whatever could load, run or lead out of the page.
const FOREIGN: &str = "[...document.querySelectorAll('*')].flatMap(e => [
    ...(['SCRIPT', 'IMG', 'IFRAME', 'OBJECT', 'EMBED', 'LINK', 'FORM', 'BASE', 'AUDIO', 'VIDEO'].includes(e.tagName.toUpperCase()) ? [e.outerHTML] : []),
    ...[...e.attributes].filter(a => /^on/i.test(a.name) || /^(src|action|xlink:href)$/.test(a.name)
      || (a.name === 'href' && !a.value.startsWith('#'))).map(a => `${e.tagName} ${a.name}=${a.value}`),
  ])";

/// Links that lead to nothing.
const DEAD: &str = "[...document.querySelectorAll('a')].map(a => a.getAttribute('href')).filter(h => !document.getElementById(h.slice(1)))";

#[test]
fn the_page_needs_no_network_no_script_and_no_wide_screen() {
    let value = every_action();
    let view = PlanView {
        plan: &value,
        file: Some("plan.bin"),
        signature: None,
    };
    let page = shown(|out| plan_html(out, &view));
    let mut browser = Browser::start();
    for (width, dark) in [(360, false), (800, true), (1400, false), (1400, true)] {
        browser.device(width, dark);
        let address = browser.open(&page);
        let what = format!("{width} wide, dark: {dark}");
        assert_eq!(browser.value(FAINT), json!([]), "{what}");
        let overflow =
            "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.value(overflow), 0, "{what}");
        let led = browser.follow("svg a[href=\"#step-sql-0006_attempt_index\"]");
        assert_eq!(led, format!("{address}#step-sql-0006_attempt_index"));
        let target = browser.value("document.querySelector('article:target h3').textContent");
        assert!(
            target.as_str().unwrap().contains("sql/0006_attempt_index"),
            "{target}"
        );
        let led = browser.follow("article:target dd a");
        assert!(
            led.ends_with("#step-sql-0005_denormalize_attempts"),
            "{led}"
        );
        assert_eq!(browser.requests(), [address], "{what}");
        assert_eq!(browser.complaints(), [""; 0], "{what}");
        if let Some(folder) = std::env::var_os("OUTPOST_PICTURES") {
            let name = format!("plan-{width}-{}.png", if dark { "dark" } else { "light" });
            browser.picture(&std::path::Path::new(&folder).join(name));
        }
    }
    assert_eq!(browser.value(FOREIGN), json!([]));
    assert_eq!(browser.value(DEAD), json!([]));
    // Who selects the text of a statement gets it as it is, without line numbers.
    let text = browser
        .value("document.querySelector('#step-sql-0005_denormalize_attempts .code').textContent");
    assert_eq!(
        text,
        "ALTER TABLE attempts\n    ADD COLUMN tenant_id text\n"
    );

    let nasty = nasty_plan();
    // Texts change nothing but texts; what they are coloured as is left out.
    let shapes = [&nasty, &harmless_plan()].map(|plan| {
        browser.open(&shown(|out| plan_html(out, &PlanView { plan, file: None, signature: None })));
        browser.value(
            "[...document.querySelectorAll('*:not(.code i)')].map(e => e.tagName + [...e.attributes].map(a => a.name))",
        )
    });
    assert_eq!(shapes[0], shapes[1]);
    let empty = plan_of(
        outpost::model::plan::Purpose::Migrate,
        Vec::new(),
        Default::default(),
    );
    for (plan, steps) in [(&nasty, 2), (&empty, 0)] {
        let view = PlanView {
            plan,
            file: Some("<b>plan</b>.bin"),
            signature: None,
        };
        let address = browser.open(&shown(|out| plan_html(out, &view)));
        assert_eq!(browser.value(FOREIGN), json!([]));
        assert_eq!(browser.value(DEAD), json!([]));
        assert_eq!(
            browser.value("document.querySelectorAll('article').length"),
            steps
        );
        assert_eq!(browser.requests(), [address]);
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

/// What a printer may not break although it is long: it would leave the page before it half empty.
const UNBROKEN: &str = "[...document.querySelectorAll('body *:not(svg, svg *)')]
  .filter(e => getComputedStyle(e).breakInside !== 'auto' && e.getBoundingClientRect().height > 250)
  .map(e => `${e.tagName}.${e.className}#${e.id}`)";

/// Headings that may be the last of a page.
const LEFT_BEHIND: &str =
    "[...document.querySelectorAll('h2, h3, summary, figcaption, #order > p')]
  .filter(e => getComputedStyle(e).breakAfter !== 'avoid').map(e => e.outerHTML)";

/// Triangles to press.
const TRIANGLES: &str = "[...document.querySelectorAll('summary')]
  .filter(e => getComputedStyle(e).listStyleType !== 'none').map(e => e.textContent)";

#[test]
fn paper_is_filled_and_shows_nothing_to_press() {
    let mut browser = Browser::start();
    for (name, value) in [("every", every_action()), ("long", long_plan(500, 4))] {
        let view = PlanView {
            plan: &value,
            file: Some("plan.bin"),
            signature: None,
        };
        browser.open(&shown(|out| plan_html(out, &view)));
        browser.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
        for fault in [UNBROKEN, LEFT_BEHIND, TRIANGLES] {
            assert_eq!(browser.value(fault), json!([]), "{name}");
        }
        let printed = browser.printed();
        let text = String::from_utf8_lossy(&printed);
        let pages = text.matches("/Type /Page\n").count();
        let steps = value.decision.steps.len();
        assert!(
            (1..=8 + steps / 4).contains(&pages),
            "{steps} steps take {pages} pages"
        );
        if let Some(folder) = std::env::var_os("OUTPOST_PICTURES") {
            let file = std::path::Path::new(&folder).join(format!("plan-{name}.pdf"));
            std::fs::write(file, &printed).unwrap();
        }
    }
}

#[test]
fn the_page_claims_nothing_of_what_is_unknown_and_cries_over_nothing() {
    let mut value = every_action();
    for evidence in value.evidence.steps.values_mut() {
        for table in &mut evidence.tables {
            table.rows = None;
        }
    }
    let view = |plan| {
        shown(|out| {
            plan_html(
                out,
                &PlanView {
                    plan,
                    file: None,
                    signature: None,
                },
            )
        })
    };
    let page = view(&value);
    assert!(page.contains("<dd>2 tables: rows unknown, "), "{page}");
    assert!(!page.contains("at least 0"), "{page}");

    let mut value = long_plan(2, 1);
    value.evidence.lint = vec![finding(
        "adding-required-field",
        outpost::model::lint::Level::Warn,
        "sql/0001_step",
        Some(3),
    )];
    let page = view(&value);
    assert!(
        page.contains("<li class=\"faint\"><b>0</b> to revert</li>"),
        "{page}"
    );
    assert!(
        page.contains("<code>sql/0001_step</code></a> line 3: adding-required-field: what"),
        "{page}"
    );
}
