//! What is wrong among the members.

use unisono_api::dto::Member;

use super::{Findings, State};

/// Who came by an invite that has let in another node: a trouble until it has left.
fn outdone(members: &[Member], findings: &mut Findings) {
    let outdone = || members.iter().filter(|one| one.outdone && !one.expelled);
    let said = |names: Vec<&str>| {
        let names = names.join(", ");
        format!("came by an invite that has let in another node: {names}")
    };
    let staying: Vec<&str> = outdone()
        .filter(|one| one.stays())
        .map(|one| one.name.as_str())
        .collect();
    if !staying.is_empty() {
        let hint = "it hands over what it holds and leaves; if it does not, `unisono node remove` ends it. \
             Was the invite given to two?";
        return findings.add("invites", State::Poor, said(staying), hint);
    }
    let left: Vec<&str> = outdone().map(|one| one.name.as_str()).collect();
    if !left.is_empty() {
        findings.good("invites", said(left) + "; it has left");
    }
}

/// Whether all members are heard, and who is to leave.
pub(super) fn look(members: &[Member], findings: &mut Findings) {
    outdone(members, findings);
    let here: Vec<&Member> = members.iter().filter(|member| member.stays()).collect();
    let away: Vec<&str> = here
        .iter()
        .filter(|member| !member.alive)
        .map(|member| member.name.as_str())
        .collect();
    if away.is_empty() {
        return findings.good("members", format!("all {} are heard", here.len()));
    }
    findings.add(
        "members",
        State::Poor,
        format!("not heard: {}", away.join(", ")),
        "claims stay provisional while a member is away; is its machine up, its UDP port open?",
    );
}
