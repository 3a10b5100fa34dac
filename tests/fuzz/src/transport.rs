//! What the transport reads before anybody is authenticated.

use unisono_model::ClusterId;
use unisono_quic::identity::Fingerprint;
use unisono_quic::join::Invite;

use crate::Seed;

pub(crate) fn invite(bytes: &[u8]) -> bool {
    let Some(invite) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<Invite>().ok())
    else {
        return false;
    };
    let again = invite.to_text().parse::<Invite>();
    assert_eq!(
        again.map(|again| again.id()),
        Ok(invite.id()),
        "an invite survives its text"
    );
    true
}

/// An invite's secret is drawn at random, so the file in the corpus is another one than this.
pub(crate) fn invites() -> Vec<Seed> {
    let addresses = vec!["10.0.0.7:7322".to_owned()];
    let fresh = Invite::new(
        ClusterId([1; 16]),
        Fingerprint([2; 32]),
        addresses,
        u64::MAX,
    );
    let fresh = fresh.expect("a good address").to_text().into();
    vec![("fresh", fresh)]
}
