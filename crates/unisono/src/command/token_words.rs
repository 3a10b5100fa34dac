//! A token in sentences, for people.

use unisono_core::capability::Verified;
use unisono_model::capability::{Grant, Rights, Scope, Tier};

/// What a token allows, and by whose grace: a sentence for each link.
pub(super) fn token(token: &Verified) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (n, (_, link)) in token.links().iter().enumerate() {
        let who = if n == 0 { "The root" } else { "Agent" };
        let handed = match &link.grant {
            Some(grant) if link.depth_left > 0 => format!(", and hand on {}", granted(grant)),
            _ => String::new(),
        };
        lines.push(format!(
            "{who} {:?} lets {:?} act as {} until {}: {}{handed}.",
            link.issuer,
            link.audience,
            link.tier.word(),
            time(link.expires_ms),
            rights(&link.may)
        ));
    }
    let (id, leaf) = (token.id(), token.leaf());
    if let Some(renewed) = token.renewed() {
        let words = "has renewed it; before that it ended earlier";
        lines.push(format!("Node {:?} {words}.", renewed.renewer));
    }
    if leaf.renew_until_ms > leaf.expires_ms {
        let until = time(leaf.renew_until_ms);
        lines.push(format!(
            "While it counts, it can be renewed, until {until}."
        ));
    }
    lines.push(format!(
        "Its name is {id}. A fence of any of its links ends it."
    ));
    lines.join("\n") + "\n"
}

/// What may be handed on.
pub(super) fn granted(grant: &Grant) -> String {
    let tiers: Vec<&str> = grant.tiers.iter().map(Tier::word).collect();
    format!("to {}: {}", tiers.join(", "), rights(&grant.rights))
}

/// What some rights are.
pub(super) fn rights(rights: &Rights) -> String {
    let operations: Vec<&str> = rights.operations.words().collect();
    let mut parts = vec![
        operations.join(", "),
        format!("reads {}", reach(&rights.read)),
        format!("writes {}", reach(&rights.write)),
    ];
    if let Some(files) = &rights.files {
        let named = if files.is_empty() {
            "no files".to_owned()
        } else {
            format!("only these files: {}", files.join(", "))
        };
        parts.push(named);
        parts.push(format!(
            "functions of complexity {} and {} lines at most",
            rights.complexity_max, rights.function_lines_max
        ));
    }
    if let Some(phases) = &rights.phases {
        let phases: Vec<String> = phases.iter().map(u32::to_string).collect();
        parts.push(format!("only in phases {}", phases.join(", ")));
    }
    parts.push(format!(
        "{} actions a minute",
        rights.actions_per_minute_max
    ));
    parts.join("; ")
}

fn reach(scope: &Scope) -> String {
    match scope {
        Scope::Nowhere => "nowhere".to_owned(),
        Scope::Project(name) => format!("in {name}"),
        Scope::Global => "everywhere".to_owned(),
    }
}

pub(super) fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}
