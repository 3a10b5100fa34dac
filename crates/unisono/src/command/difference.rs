//! What differs between an orchestra at one moment and at another: every view that has names, read
//! twice and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{Moment, parse_stamp};

use super::session::Session;
use crate::failure::Failure;
use crate::output::{self, Format};

/// Most items of one page.
const PAGE: &str = "1000";
/// The same as a number.
const PAGE_ITEMS: usize = 1_000;

/// The items of a view as of a moment.
struct Items {
    items: BTreeMap<String, Value>,
    /// Whether these are all.
    whole: bool,
}

/// `diff`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DiffArgs {
    /// The one moment: a time (RFC 3339) or a stamp
    #[arg(value_name = "T1")]
    from: String,
    /// The other; now if left out
    #[arg(value_name = "T2")]
    to: Option<String>,
}

/// A view that is compared: what one of its items is called, where it is read, its list, and the
/// field that names an item.
struct View {
    word: &'static str,
    path: &'static str,
    list: &'static str,
    name: &'static str,
    paged: bool,
}

const VIEWS: [View; 6] = [
    view("agent", "agents", "agents", "agent", false),
    view("claim", "claims", "claims", "topic", false),
    view("signal", "signals", "signals", "record", false),
    view("interference", "interference", "interferences", "id", true),
    view("decision", "decisions", "decisions", "record", true),
    view("task", "tasks", "tasks", "task", true),
];

const fn view(
    word: &'static str,
    path: &'static str,
    list: &'static str,
    name: &'static str,
    paged: bool,
) -> View {
    View {
        word,
        path,
        list,
        name,
        paged,
    }
}

/// What is shown of an item in a line, where it has it.
const SHOWN: [&str; 9] = [
    "topic", "name", "holder", "kind", "title", "status", "assignee", "text", "stands",
];

/// Shows what differs.
pub(crate) async fn diff(args: DiffArgs, session: &Session) -> Result<(), Failure> {
    if session.as_of().is_some() {
        return Err(Failure::usage(
            "diff knows no --as-of: its two moments say when",
        ));
    }
    let moment = |text: &str| {
        let read = parse_stamp(text);
        read.map_err(|error| Failure::usage(format!("{text}: {error}")))
    };
    let from = moment(&args.from)?;
    let to = match &args.to {
        Some(to) => moment(to)?,
        None => now(session).await?,
    };
    let (from, to) = (from.to_string(), to.to_string());
    let mut changes = settings(session, &from, &to).await?;
    for view in &VIEWS {
        let before = items(session, view, &from).await?;
        let after = items(session, view, &to).await?;
        changes.extend(compared_as_far_as_known(view.word, &before, &after));
    }
    if session.global.output == Format::Table {
        let lines: String = changes.iter().map(line).collect();
        return output::raw(&lines);
    }
    let shown = |text: &str| parse_stamp(text).map(Moment::from).ok();
    let answer = json!({ "from": shown(&from), "to": shown(&to), "changes": changes });
    output::answer(session.global.output, &answer, None)
}

async fn now(session: &Session) -> Result<unisono_model::Stamp, Failure> {
    let told: Reply<Value> = session.read("iteration", &[]).await?;
    told.as_of
        .ok_or_else(|| Failure::usage("the node does not say when it answered; name both moments"))
}

/// The iteration and the settings: one value each.
async fn settings(session: &Session, from: &str, to: &str) -> Result<Vec<Value>, Failure> {
    let mut changes = Vec::new();
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for (at, values) in [(from, &mut before), (to, &mut after)] {
        let query = [("as_of", at)];
        let told: Reply<Value> = session.read("settings", &query).await?;
        let all = told.body["settings"].as_object().cloned();
        values.extend(all.unwrap_or_default());
        let told: Reply<Value> = session.read("iteration", &query).await?;
        values.insert("iteration".to_owned(), told.body["iteration"].clone());
    }
    changes.extend(compared("setting", &before, &after));
    Ok(changes)
}

/// The items of a view by their names.
async fn items(session: &Session, view: &View, at: &str) -> Result<Items, Failure> {
    let mut items = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = vec![("as_of", at)];
        if view.paged {
            query.push(("limit", PAGE));
        }
        query.extend(after.as_deref().map(|after| ("after", after)));
        let told: Reply<Value> = session.read(view.path, &query).await?;
        let list = told.body[view.list].as_array().cloned();
        let count = list.as_ref().map_or(0, Vec::len);
        for item in list.unwrap_or_default() {
            let name = item[view.name].as_str().unwrap_or_default().to_owned();
            items.insert(name, item);
        }
        let Some(next) = told.body["next_after"].as_str() else {
            // A full page that leads to no other is the beginning of something longer.
            let whole = !view.paged || count < PAGE_ITEMS;
            return Ok(Items { items, whole });
        };
        after = Some(next.to_owned());
    }
}

/// What differs. Of a list that is longer than a page, what is missing on one side may stand beyond
/// it: then only what both sides show is compared, and that is said.
fn compared_as_far_as_known(word: &str, before: &Items, after: &Items) -> Vec<Value> {
    let mut changes = compared(word, &before.items, &after.items);
    if before.whole && after.whole {
        return changes;
    }
    changes.retain(|one| one["change"] == "changed");
    changes.push(json!({
        "what": word, "name": format!("more than {PAGE_ITEMS}"), "change": "unknown",
        "before": before.items.len(), "after": after.items.len(),
    }));
    changes
}

/// What is on one side only, or not the same on both.
fn compared(
    word: &str,
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<Value> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        let change = match (old, new) {
            (None, Some(_)) => "added",
            (Some(_), None) => "removed",
            (Some(old), Some(new)) if old != new => "changed",
            _ => continue,
        };
        changes.push(json!({
            "what": word, "name": name, "change": change, "before": old, "after": new,
        }));
    }
    changes
}

/// One change on one line.
fn line(change: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let sign = match change["change"].as_str() {
        Some("added") => '+',
        Some("removed") => '-',
        Some("unknown") => '?',
        _ => '~',
    };
    let mut words = format!("{} {}", text(&change["what"]), text(&change["name"]));
    let (before, after) = (&change["before"], &change["after"]);
    if before.is_object() && after.is_object() {
        let fields = after.as_object().into_iter().flatten();
        for (field, new) in fields.filter(|(field, new)| before[*field] != **new) {
            let old = text(&before[field]);
            // Writing to a string cannot fail.
            let _ = write!(words, "  {field}: {old} -> {}", text(new));
        }
    } else if before.is_object() || after.is_object() {
        let item = if after.is_object() { after } else { before };
        let shown = SHOWN.iter().filter(|field| !item[**field].is_null());
        for field in shown {
            let _ = write!(words, "  {field}={}", text(&item[*field]));
        }
    } else {
        let _ = write!(words, "  {} -> {}", text(before), text(after));
    }
    format!("{sign} {}\n", output::in_a_line(&words))
}
