//! Tokens that count for nothing, one rule broken in each.

use unisono_model::capability::{Link, Operations, Scope, Tier, Token};
use unisono_model::wire::{self, Blob};
use unisono_model::{ClusterId, Digest};

use super::vectors::{Change, Vector, changed, further, vector};
use super::{HOUR_MS, NOW_MS, chain, key, links, name};

/// More than the story's executive may grant, field by field, in some ways each.
const WIDER: [Change; 17] = [
    ("operations: report", |may| {
        may.operations = may.operations.and(Operations::WRITE_REPORT);
    }),
    ("read: another project", |may| {
        may.read = Scope::Project("beta".into());
    }),
    ("read: a longer name", |may| {
        may.read = Scope::Project("alphabet".into());
    }),
    ("read: another case", |may| {
        may.read = Scope::Project("Alpha".into());
    }),
    ("write: another project", |may| {
        may.write = Scope::Project("beta".into());
    }),
    ("files: one more", |may| {
        may.files = Some(vec!["src/a.rs".into(), "src/d.rs".into()]);
    }),
    ("files: a folder for a file", |may| {
        may.files = Some(vec!["src".into()]);
    }),
    ("files: a longer name", |may| {
        may.files = Some(vec!["src/a.rs2".into()]);
    }),
    ("files: below a file", |may| {
        may.files = Some(vec!["src/a.rs/x".into()]);
    }),
    ("files: another case", |may| {
        may.files = Some(vec!["SRC/a.rs".into()]);
    }),
    ("phases: one more", |may| may.phases = Some(vec![1, 4])),
    ("phases: all", |may| may.phases = None),
    ("phases: zero", |may| may.phases = Some(vec![0])),
    ("file_bytes_max: one more", |may| may.file_bytes_max += 1),
    ("file_bytes_max: all", |may| may.file_bytes_max = u32::MAX),
    ("actions_per_minute_max: one more", |may| {
        may.actions_per_minute_max += 1;
    }),
    ("actions_per_minute_max: all", |may| {
        may.actions_per_minute_max = u16::MAX;
    }),
];

/// More than an implementer may ever have.
const ABOVE: [Change; 11] = [
    ("delete", |may| {
        may.operations = may.operations.and(Operations::DELETE);
    }),
    ("plan", |may| {
        may.operations = may.operations.and(Operations::WRITE_PLAN);
    }),
    ("fence", |may| {
        may.operations = may.operations.and(Operations::FENCE);
    }),
    ("terminate", |may| {
        may.operations = may.operations.and(Operations::TERMINATE);
    }),
    ("reads everything", |may| may.read = Scope::Global),
    ("writes everywhere", |may| may.write = Scope::Global),
    ("any file", |may| may.files = None),
    ("complexity 9", |may| may.complexity_max = 9),
    ("complexity without end", |may| {
        may.complexity_max = u16::MAX;
    }),
    ("61 lines", |may| may.function_lines_max = 61),
    ("lines without end", |may| may.function_lines_max = u16::MAX),
];

pub(super) fn bad() -> Vec<Vector> {
    let mut all = Vec::new();
    for (field, widen) in WIDER {
        all.push(changed(&format!("wider {field}"), |links| {
            widen(&mut links[1].may);
        }));
        all.push(changed(
            &format!("wider {field}, in the third link"),
            |links| {
                further(links, 4);
                widen(&mut links[2].may);
            },
        ));
        all.push(changed(&format!("a grant wider in {field}"), |links| {
            further(links, 4);
            widen(&mut links[1].grant.as_mut().expect("a grant").rights);
        }));
    }
    for (what, lift) in ABOVE {
        all.push(changed(&format!("an implementer with: {what}"), |links| {
            lift(&mut links[1].may);
        }));
        all.push(changed(&format!("granted and used: {what}"), |links| {
            lift(&mut links[0].grant.as_mut().expect("a grant").rights);
            lift(&mut links[1].may);
        }));
    }
    all.extend(bad_tiers());
    all.extend(bad_tier_names());
    all.extend(bad_chains());
    all.extend(bad_times());
    all.extend(bad_bytes());
    all
}

fn bad_tiers() -> Vec<Vector> {
    let mut all = Vec::new();
    let ops = |one: Operations, other: Operations| Operations::READ.and(one).and(other);
    for (what, tier, operations) in [
        (
            "an executive that writes code",
            Tier::Executive,
            ops(Operations::WRITE_CODE, Operations::READ),
        ),
        (
            "an executive that approves",
            Tier::Executive,
            Operations::APPROVE,
        ),
        (
            "an executive that deletes",
            Tier::Executive,
            Operations::DELETE,
        ),
        (
            "a validator that writes code",
            Tier::Validation,
            Operations::WRITE_CODE,
        ),
        (
            "a validator that plans",
            Tier::Validation,
            Operations::WRITE_PLAN,
        ),
        (
            "a validator that spawns",
            Tier::Validation,
            Operations::SPAWN,
        ),
        (
            "a validator that deletes",
            Tier::Validation,
            Operations::DELETE,
        ),
        (
            "a validator that fences",
            Tier::Validation,
            Operations::FENCE,
        ),
        (
            "one who writes and approves",
            Tier::Named("x".into()),
            ops(Operations::WRITE_CODE, Operations::APPROVE),
        ),
        (
            "one who writes and spawns",
            Tier::Named("x".into()),
            ops(Operations::WRITE_CODE, Operations::SPAWN),
        ),
        (
            "one who spawns and approves",
            Tier::Named("x".into()),
            ops(Operations::SPAWN, Operations::APPROVE),
        ),
        (
            "one who does everything",
            Tier::Named("x".into()),
            Operations::ALL,
        ),
        (
            "an operation that nobody knows",
            Tier::Named("x".into()),
            Operations(1 << 10),
        ),
        ("the last bit", Tier::Named("x".into()), Operations(1 << 31)),
    ] {
        all.push(changed(what, |links| {
            links.truncate(1);
            links[0].tier = tier.clone();
            links[0].may.operations = operations;
        }));
    }
    all
}

fn bad_tier_names() -> Vec<Vector> {
    let mut all = Vec::new();
    for word in [
        "executive",
        "implementation",
        "validation",
        "",
        "Scribe",
        "a b",
        "ä",
        "x_y",
    ] {
        all.push(changed(
            &format!("a tier called {word:?} by its own name"),
            |links| {
                links[1].tier = Tier::Named(word.into());
            },
        ));
    }
    all.push(changed("a tier that is not granted", |links| {
        links[1].tier = Tier::Validation;
    }));
    all.push(changed("a tier's name of 65 letters", |links| {
        links[1].tier = Tier::Named("x".repeat(65));
    }));
    all.push(changed("a grant of another tier", |links| {
        further(links, 4);
        links[1].grant.as_mut().expect("a grant").tiers = vec![Tier::Validation];
    }));
    all.push(changed("a grant with tiers twice", |links| {
        let tiers = &mut links[0].grant.as_mut().expect("a grant").tiers;
        *tiers = vec![Tier::Implementation, Tier::Implementation];
    }));
    all.push(changed("a grant with tiers out of order", |links| {
        let tiers = &mut links[0].grant.as_mut().expect("a grant").tiers;
        *tiers = vec![Tier::Validation, Tier::Implementation];
    }));
    let story = chain(links(), &[1, 2]).encode();
    for tier in [
        Tier::Executive,
        Tier::Validation,
        Tier::Named("scribe".into()),
    ] {
        all.push(vector(
            &format!("enrolled as {}", tier.word()),
            &story,
            NOW_MS,
            Some(&tier),
        ));
    }
    all
}

fn bad_chains() -> Vec<Vector> {
    let mut all = vec![
        changed("another cluster in the first link", |links| {
            links[0].cluster = ClusterId([8; 16]);
        }),
        changed("another cluster in the second link", |links| {
            links[1].cluster = ClusterId([8; 16]);
        }),
        changed("another version", |links| links[0].version = 2),
        changed("version zero", |links| links[1].version = 0),
        changed("the first link has a parent", |links| {
            links[0].parent = Digest([9; 32]);
        }),
        changed("the second names another parent", |links| {
            links[1].parent = Digest([9; 32]);
        }),
        changed("the second names itself by the root", |links| {
            links[1].issuer = name(&key(1));
        }),
        changed("no grant", |links| links[0].grant = None),
        changed("depth used up", |links| links[0].depth_left = 0),
        changed("depth that does not fall", |links| links[1].depth_left = 2),
        changed("depth that rises", |links| links[1].depth_left = 255),
        changed("an executive that gives itself code", |links| {
            links[1].audience = name(&key(2));
        }),
        changed("the root as audience", |links| {
            links[1].audience = name(&key(1));
        }),
        changed("a root that is audience and issuer", |links| {
            links[0].audience = name(&key(1));
            links.truncate(1);
        }),
        changed("an earlier epoch", |links| links[0].epoch = 2),
        changed("a later epoch", |links| links[1].epoch = 4),
        changed("five links", |links| {
            (4..=6).for_each(|n| further(links, n));
        }),
    ];
    let named = |name: &str, links: Vec<Link>, signers: &[u8]| {
        vector(name, &chain(links, signers).encode(), NOW_MS, None)
    };
    all.push(named(
        "the first link signed by somebody else",
        links(),
        &[9, 2],
    ));
    all.push(named(
        "the second link signed by somebody else",
        links(),
        &[1, 9],
    ));
    all.push(named(
        "the second link signed by its audience",
        links(),
        &[1, 3],
    ));
    all.push(named(
        "the second link signed by the root",
        links(),
        &[1, 1],
    ));
    let mut foreign = links();
    foreign[0].issuer = name(&key(9));
    all.push(named("a root that nobody knows", foreign, &[9, 2]));
    let mut spliced = chain(links(), &[1, 2]);
    let mut other = links();
    other[0].nonce = [0x55; 16];
    spliced.links[0] = chain(other, &[1, 2]).links.remove(0);
    all.push(vector(
        "a link spliced onto another",
        &spliced.encode(),
        NOW_MS,
        None,
    ));
    let mut swapped = chain(links(), &[1, 2]);
    swapped.links.swap(0, 1);
    all.push(vector(
        "links in the other order",
        &swapped.encode(),
        NOW_MS,
        None,
    ));
    let mut twice = chain(links(), &[1, 2]);
    twice.links.push(twice.links[1].clone());
    all.push(vector("the last link twice", &twice.encode(), NOW_MS, None));
    let second = chain(links(), &[1, 2]).links.remove(1);
    let alone = Token {
        links: vec![second],
    };
    all.push(vector(
        "the second link alone",
        &alone.encode(),
        NOW_MS,
        None,
    ));
    all.push(vector("no link", &Token::default().encode(), NOW_MS, None));
    all
}

fn bad_times() -> Vec<Vector> {
    let story = chain(links(), &[1, 2]).encode();
    let mut all = Vec::new();
    for (what, at_ms) in [
        ("before it begins", NOW_MS - 1),
        ("when it ends", NOW_MS + HOUR_MS),
        ("long after", NOW_MS + 1_000 * HOUR_MS),
        ("at the beginning of time", 0),
        ("at the end of time", u64::MAX),
    ] {
        all.push(vector(what, &story, at_ms, None));
    }
    all.extend([
        changed("ends before it begins", |links| {
            links[1].expires_ms = links[1].not_before_ms - 1;
        }),
        changed("ends when it begins", |links| {
            links[1].expires_ms = links[1].not_before_ms;
        }),
        changed("never ends", |links| links[0].expires_ms = u64::MAX),
        changed("lives longer than any token may", |links| {
            links[0].expires_ms =
                links[0].not_before_ms + unisono_model::limits::TOKEN_LIFE_MS_MAX + 1;
            links[0].renew_until_ms = 0;
            links[1].renew_until_ms = 0;
        }),
        changed("outlives its parent", |links| {
            links[1].expires_ms = links[0].expires_ms + 1;
        }),
        changed("begins before its parent", |links| {
            links[1].not_before_ms = links[0].not_before_ms - 1;
        }),
        changed("renewable longer than its parent", |links| {
            links[1].renew_until_ms = links[0].renew_until_ms + 1;
        }),
        changed("renewable until before its end", |links| {
            links[1].renew_until_ms = 1;
        }),
        changed("renewable for ever", |links| {
            links[1].renew_until_ms = u64::MAX;
        }),
        changed("not yet", |links| links[1].not_before_ms = NOW_MS + 1),
    ]);
    all
}

/// What is no path of a workspace.
const BAD_PATHS: &[&str] = &[
    "",
    "/etc/passwd",
    "../x",
    "src/../x",
    "./a",
    "src//a",
    "src/",
    "a\\b",
    "C:/x",
    "a\0",
    "a\n",
    "a\u{301}",
    "\u{202e}a",
    "a\u{200b}",
    "CON",
    "a.",
    "a ",
    "nul.txt",
    "\u{304b}\u{3099}",
    "\u{1100}\u{1161}",
    "\u{212b}",
    "\u{212a}",
];

fn bad_bytes() -> Vec<Vector> {
    let story = chain(links(), &[1, 2]).encode();
    let mut all = Vec::new();
    for file in BAD_PATHS {
        all.push(changed(&format!("the path {file:?}"), |links| {
            links[1].may.files = Some(vec![(*file).into()]);
        }));
    }
    let two = |one: &str, other: &str| Some(vec![one.to_owned(), other.to_owned()]);
    all.push(changed("files out of order", |links| {
        links[1].may.files = two("src/b.rs", "src/a.rs");
    }));
    all.push(changed("a file twice", |links| {
        links[1].may.files = two("src/a.rs", "src/a.rs");
    }));
    all.push(changed("phases out of order", |links| {
        links[1].may.phases = Some(vec![2, 1]);
    }));
    all.push(changed("a phase twice", |links| {
        links[1].may.phases = Some(vec![1, 1]);
    }));
    all.push(changed("257 files", |links| {
        links[1].may.files = Some((0..257).map(|n| format!("m{n:03}")).collect());
    }));
    all.push(changed("257 phases", |links| {
        links[1].may.phases = Some((0..257).collect());
    }));
    all.push(changed("a project without a name", |links| {
        links[1].may.read = Scope::Project(String::new());
    }));
    all.push(changed("a project's name of 257 letters", |links| {
        links[1].may.read = Scope::Project("x".repeat(257));
    }));
    for end in [
        0,
        1,
        2,
        8,
        16,
        32,
        64,
        128,
        200,
        story.len() - 64,
        story.len() - 1,
    ] {
        all.push(vector(
            &format!("its first {end} bytes"),
            &story[..end],
            NOW_MS,
            None,
        ));
    }
    for at in [
        0,
        1,
        2,
        3,
        20,
        40,
        80,
        130,
        180,
        230,
        300,
        400,
        story.len() - 100,
        story.len() - 33,
        story.len() - 1,
    ] {
        let mut flipped = story.clone();
        flipped[at] ^= 0x10;
        all.push(vector(
            &format!("byte {at} changed"),
            &flipped,
            NOW_MS,
            None,
        ));
    }
    all.push(vector(
        "a byte after the end",
        &[story.as_slice(), &[0]].concat(),
        NOW_MS,
        None,
    ));
    all.push(vector("8,193 bytes", &vec![1; 8_193], NOW_MS, None));
    // An overlong number of links: 0x82 0x00 for 2.
    let overlong = [&[0x82, 0x00], &story[1..]].concat();
    all.push(vector("an overlong number", &overlong, NOW_MS, None));
    let mut padded = chain(links(), &[1, 2]);
    let body = &padded.links[1].body.0;
    let longer = Blob([body.as_slice(), &[0]].concat());
    padded.links[1].body = longer;
    all.push(vector(
        "a link with a byte after its end",
        &wire::encode(&padded),
        NOW_MS,
        None,
    ));
    all
}
