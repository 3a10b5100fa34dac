//! Tokens that were renewed: what a renewal may say, and each rule that one breaks. Golden vectors
//! like those of tokens that were not.

use unisono_model::capability::{
    Grant, Link, Operations, RENEWAL_VERSION, Renewal, Rights, Scope, Tier, Token,
};
use unisono_model::wire::{self, Blob};
use unisono_model::{ClusterId, Digest};

use super::vectors::{Change, Vector, hold, vector};
use super::{CLUSTER, HOUR_MS, NOW_MS, chain, judge, key, links, name};

/// The key of whoever renews in these stories.
pub(crate) const RENEWER: u8 = 8;
/// Half an hour after the story's implementer was let in.
pub(crate) const HALF_MS: u64 = NOW_MS + HOUR_MS / 2;

/// What a root or an executive lets the renewer do.
pub(crate) fn delegation(issuer: u8) -> Link {
    let [first, _] = &links()[..] else {
        panic!("two links")
    };
    Link {
        issuer: name(&key(issuer)),
        audience: name(&key(RENEWER)),
        nonce: [RENEWER; 16],
        renew_until_ms: 0,
        tier: Tier::renewer(),
        may: Rights {
            files: Some(Vec::new()),
            phases: Some(Vec::new()),
            ..Rights::none()
        },
        grant: None,
        depth_left: 0,
        ..first.clone()
    }
}

pub(crate) fn by_root() -> Token {
    chain(vec![delegation(1)], &[1])
}

/// A renewal of a token, from half of its life on for as long as that was.
pub(crate) fn renewal(token: &Token, by: &Token) -> Renewal {
    Renewal {
        version: RENEWAL_VERSION,
        cluster: CLUSTER,
        renews: token.id(),
        renewer: name(&key(RENEWER)),
        from_ms: HALF_MS,
        expires_ms: HALF_MS + HOUR_MS,
        may: None,
        delegation: Blob(by.encode()),
    }
}

pub(crate) fn renewed(mut token: Token, change: impl FnOnce(&mut Renewal)) -> Token {
    let mut renewal = renewal(&token, &by_root());
    change(&mut renewal);
    token.links.push(renewal.sign(&key(RENEWER)));
    token
}

fn story() -> Token {
    chain(links(), &[1, 2])
}

const AFTER_MS: u64 = NOW_MS + HOUR_MS + 1;

fn changed(name: &str, change: impl FnOnce(&mut Renewal)) -> Vector {
    vector(name, &renewed(story(), change).encode(), AFTER_MS, None)
}

fn by(name: &str, token: Token, delegation: &Token) -> Vector {
    let bytes = renewed(token, |renewal| {
        renewal.delegation = Blob(delegation.encode());
    })
    .encode();
    vector(name, &bytes, AFTER_MS, None)
}

/// The story in which the executive may let somebody renew.
fn let_by_executive() -> (Vec<Link>, Token) {
    let mut links = links();
    let Some(grant) = &mut links[0].grant else {
        panic!("a grant")
    };
    grant.tiers.push(Tier::renewer());
    let let_by = chain(vec![links[0].clone(), delegation(2)], &[1, 2]);
    (links, let_by)
}

fn good() -> Vec<Vector> {
    let mut all = vec![changed("renewed", |_| {})];
    let token = renewed(story(), |_| {});
    let mut at = |name, at_ms| all.push(vector(name, &token.encode(), at_ms, None));
    at("in its first millisecond", HALF_MS);
    at("in its last", HALF_MS + HOUR_MS - 1);
    all.push(changed("narrowed", |renewal| {
        let less = Operations::READ.and(Operations::COORDINATE);
        let (_, leaf) = (0, links()[1].may.clone());
        renewal.may = Some(Rights {
            operations: less,
            ..leaf
        });
    }));
    all.push(changed("for a minute", |renewal| {
        renewal.expires_ms = AFTER_MS + 60_000;
    }));
    let last_ms = NOW_MS + 24 * HOUR_MS;
    let last = renewed(story(), |renewal| {
        (renewal.from_ms, renewal.expires_ms) = (last_ms - HOUR_MS / 2, last_ms);
    });
    all.push(vector(
        "until its very end",
        &last.encode(),
        last_ms - 1,
        None,
    ));
    let executive = renewed(chain(links()[..1].to_vec(), &[1]), |renewal| {
        (renewal.from_ms, renewal.expires_ms) = (NOW_MS + 23 * HOUR_MS, NOW_MS + 48 * HOUR_MS);
    });
    let at_ms = NOW_MS + 47 * HOUR_MS;
    all.push(vector(
        "an executive beyond its first day",
        &executive.encode(),
        at_ms,
        None,
    ));
    // Every link counts for longer, since each may be renewed until then.
    let mut long = links();
    long[0].expires_ms = NOW_MS + HOUR_MS;
    let long = renewed(chain(long, &[1, 2]), |_| {});
    all.push(vector(
        "whose executive's own time is over",
        &long.encode(),
        AFTER_MS,
        None,
    ));
    let (links, let_by) = let_by_executive();
    all.push(by(
        "by the executive's leave",
        chain(links, &[1, 2]),
        &let_by,
    ));
    all.push(vector(
        "enrolled for its tier",
        &token.encode(),
        AFTER_MS,
        Some(&Tier::Implementation),
    ));
    all
}

/// More than the story's implementer may do, field by field.
const WIDER: [Change; 7] = [
    ("operations", |may| {
        may.operations = may.operations.and(Operations::WRITE_REPORT);
    }),
    ("read", |may| may.read = Scope::Project("beta".into())),
    ("write", |may| may.write = Scope::Global),
    ("files", |may| may.files = None),
    ("phases", |may| may.phases = Some(vec![1, 2, 3])),
    ("file_bytes_max", |may| may.file_bytes_max += 1),
    ("actions_per_minute_max", |may| {
        may.actions_per_minute_max += 1;
    }),
];

fn bad() -> Vec<Vector> {
    let mut all: Vec<Vector> = Vec::new();
    for (field, widen) in WIDER {
        all.push(changed(&format!("wider {field}"), |renewal| {
            let mut may = links()[1].may.clone();
            widen(&mut may);
            renewal.may = Some(may);
        }));
    }
    let token = renewed(story(), |_| {});
    let mut at = |name: &str, token: &Token, at_ms| {
        all.push(vector(name, &token.encode(), at_ms, None));
    };
    at("before it", &token, HALF_MS - 1);
    at("after it", &token, HALF_MS + HOUR_MS);
    at("not renewed, after its end", &story(), AFTER_MS);
    let mut twice = token.clone();
    let again = renewal(&token, &by_root());
    twice.links.push(again.sign(&key(RENEWER)));
    at("renewed twice", &twice, AFTER_MS);
    let first = Token {
        links: vec![token.links[2].clone()],
    };
    at("a renewal of nothing", &first, AFTER_MS);
    let mut between = story();
    let of_first = renewal(&chain(links()[..1].to_vec(), &[1]), &by_root());
    between.links.insert(1, of_first.sign(&key(RENEWER)));
    at("a renewal between links", &between, AFTER_MS);
    all.extend(bad_words());
    all.extend(bad_delegations());
    all.extend(bad_signatures(&token));
    all
}

fn bad_words() -> Vec<Vector> {
    vec![
        changed("of another cluster", |renewal| {
            renewal.cluster = ClusterId([8; 16]);
        }),
        changed("of another token", |renewal| {
            renewal.renews = Digest([1; 32]);
        }),
        changed("of the link before", |renewal| {
            renewal.renews = chain(links()[..1].to_vec(), &[1]).id();
        }),
        changed("beginning before its link", |renewal| {
            renewal.from_ms = NOW_MS - 1;
        }),
        changed("ending when it begins", |renewal| {
            renewal.expires_ms = renewal.from_ms;
        }),
        changed("living a millisecond longer than its link", |renewal| {
            renewal.expires_ms += 1;
        }),
        changed("for ever", |renewal| renewal.expires_ms = u64::MAX),
        vector(
            "beyond its end",
            &renewed(story(), |renewal| {
                renewal.from_ms = NOW_MS + 24 * HOUR_MS - HOUR_MS / 2;
                renewal.expires_ms = NOW_MS + 24 * HOUR_MS + 1;
            })
            .encode(),
            NOW_MS + 24 * HOUR_MS,
            None,
        ),
        {
            let mut never = links();
            never[1].renew_until_ms = 0;
            let never = renewed(chain(never, &[1, 2]), |_| {});
            vector("never to be renewed", &never.encode(), AFTER_MS, None)
        },
    ]
}

fn bad_delegations() -> Vec<Vector> {
    let alone = |change: fn(&mut Link)| {
        let mut link = delegation(1);
        change(&mut link);
        chain(vec![link], &[1])
    };
    let (links_of, let_by) = let_by_executive();
    let mut all = vec![
        by("no delegation", story(), &Token::default()),
        by(
            "a delegation for another key",
            story(),
            &alone(|link| link.audience = name(&key(9))),
        ),
        by(
            "a token of another tier",
            story(),
            &alone(|link| link.tier = Tier::Validation),
        ),
        by("of another epoch", story(), &alone(|link| link.epoch = 4)),
        by(
            "of another cluster's root",
            story(),
            &chain(vec![delegation(9)], &[9]),
        ),
        by(
            "a renewer that may act",
            story(),
            &alone(|link| {
                link.may.operations = Operations::COORDINATE;
            }),
        ),
        by(
            "not yet",
            story(),
            &alone(|link| link.not_before_ms = HALF_MS + 1),
        ),
        by("over", story(), &alone(|link| link.expires_ms = HALF_MS)),
        by("of an executive that has not let it", story(), &{
            let links = vec![links()[0].clone(), delegation(2)];
            chain(links, &[1, 2])
        }),
        by("of an executive whose token it is not", story(), &let_by),
        by(
            "of an executive, for itself",
            chain(links_of[..1].to_vec(), &[1]),
            &let_by,
        ),
        by("itself renewed", story(), &renewed(by_root(), |_| {})),
    ];
    let own = chain(links(), &[1, 2]);
    let mut held = delegation(1);
    held.audience = name(&key(3));
    let held = chain(vec![held], &[1]);
    let mut word = renewal(&own, &held);
    word.renewer = name(&key(3));
    let mut own = own;
    own.links.push(word.sign(&key(3)));
    all.push(vector("by its own holder", &own.encode(), AFTER_MS, None));
    all
}

fn bad_signatures(token: &Token) -> Vec<Vector> {
    let signed = |name, change: &dyn Fn(&mut Token)| {
        let mut token = token.clone();
        change(&mut token);
        vector(name, &token.encode(), AFTER_MS, None)
    };
    let word = renewal(&story(), &by_root());
    let mut forged = by_root();
    forged.links[0] = delegation(1).sign(&key(9));
    vec![
        signed("signed by its holder", &|token| {
            token.links[2] = word.sign(&key(3));
        }),
        signed("with a link's signature", &|token| {
            token.links[2].signature = token.links[1].signature;
        }),
        signed("with a link forged", &|token| {
            token.links[1].signature = token.links[2].signature;
        }),
        by("by a forged delegation", story(), &forged),
        signed("of another version", &|token| {
            let mut word = word.clone();
            word.version = 3;
            token.links[2].body = Blob(wire::encode(&word));
        }),
        signed("with a byte too many", &|token| {
            token.links[2].body.0.push(0);
        }),
    ]
}

#[test]
fn renewed_tokens_are_the_vectors() {
    let (good, bad) = (good(), bad());
    for vector in &good {
        assert_eq!(vector.verdict, "ok", "{}", vector.name);
    }
    for vector in &bad {
        assert_ne!(vector.verdict, "ok", "{}", vector.name);
    }
    let renewal = bad.iter().filter(|one| one.verdict == "token_renewal");
    assert!(renewal.count() >= 12, "the rules of renewals");
    let all = [good, bad].concat();
    assert!(all.len() >= 45, "{}", all.len());
    hold("tokens-renewed.json", &all);
}

#[test]
fn a_renewal_that_widens_is_refused_by_name_of_the_field() {
    for (field, widen) in WIDER {
        let token = renewed(story(), |renewal| {
            let mut may = links()[1].may.clone();
            widen(&mut may);
            renewal.may = Some(may);
        });
        let refused = judge(&token.encode(), AFTER_MS, None).expect_err("refused");
        assert!(refused.to_string().ends_with(field), "{refused}");
    }
}

#[test]
fn a_token_is_renewed_any_number_of_times_and_grows_by_one_renewal() {
    let once = renewed(story(), |_| {});
    let mut latest = once.clone();
    for hours in 1..20 {
        latest = renewed(latest.unrenewed(), |renewal| {
            renewal.from_ms += hours * HOUR_MS;
            renewal.expires_ms += hours * HOUR_MS;
        });
        let at_ms = HALF_MS + hours * HOUR_MS;
        let token = judge(&latest.encode(), at_ms, None).expect("a good token");
        assert_eq!(token.id(), latest.id());
        assert!(
            token.passes_through(&story().id()),
            "what ends a link ends it"
        );
    }
    assert_eq!(latest.encode().len(), once.encode().len());
    assert!(
        latest.encode().len() < 1_536,
        "{} bytes",
        latest.encode().len()
    );
}

#[test]
fn each_flipped_bit_of_a_renewed_token_is_refused() {
    let bytes = renewed(story(), |_| {}).encode();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(judge(&bad, AFTER_MS, None).is_err(), "bit {bit}");
    }
}

/// A grant is narrowed offline by the links that give it, never by what renews them.
#[test]
fn a_renewed_token_hands_nothing_on() {
    let (links, _) = let_by_executive();
    let executive = renewed(chain(links[..1].to_vec(), &[1]), |renewal| {
        renewal.expires_ms = HALF_MS + 24 * HOUR_MS;
    });
    let token = judge(&executive.encode(), AFTER_MS, None).expect("a good token");
    assert_eq!(token.grant(), None::<&Grant>);
}
