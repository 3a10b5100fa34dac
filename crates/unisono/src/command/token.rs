//! Capability tokens: made, narrowed, looked at and compared without a node; laid before an
//! orchestra and listed with one.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use unisono_api::client::AgentKey;
use unisono_api::dto::{ActionBody, PresentBody, parse_token, token_text};
use unisono_core::capability::{Comparison, Verified, compare, examine, meet};
use unisono_core::context::StrictVerifier;
use unisono_model::capability::{Grant, LINK_VERSION, Link, Operations, Rights, Scope, Token};
use unisono_model::limits::TOKEN_LIFE_MS_MAX;
use unisono_model::wire::Blob;
use unisono_model::{AgentId, ClusterId, Digest};

use super::session::Session;
use super::token_words as words;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{self, Home};
use crate::output::{self, Format, Table};
use crate::sealed;
use crate::small_file;
use crate::tier::{self, Given, Shape};

/// `token`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a first link, signed with the root of rights (root.key in the data directory)
    #[command(after_help = "Example:\n  unisono token mint executive --for 3b6a… --data ./lab")]
    Mint {
        #[command(flatten)]
        what: Made,
        /// The epoch in which it counts
        #[arg(long, default_value_t = 0)]
        epoch: u32,
    },
    /// Hands on a part of a token, signed with the key that it is for (--key-file)
    #[command(
        after_help = "Example:\n  unisono token narrow exec.token implementation --for 77aa… --project alpha --file src/a.rs --phase 1 --key-file exec.key"
    )]
    Narrow {
        /// The token that is handed on: its text, or a file with it
        parent: String,
        #[command(flatten)]
        what: Made,
    },
    /// Shows the links of a token
    #[command(after_help = "Example:\n  unisono token inspect exec.token -o json")]
    Inspect {
        /// The token: its text, or a file with it
        token: String,
    },
    /// Says what a token allows, and by whose grace
    #[command(after_help = "Example:\n  unisono token explain impl.token")]
    Explain {
        /// The token: its text, or a file with it
        token: String,
    },
    /// Says how two tokens stand to each other: narrower, equal, wider, neither
    #[command(after_help = "Example:\n  unisono token compare impl.token exec.token")]
    Compare {
        /// The one
        one: String,
        /// The other
        other: String,
    },
    /// Lays a token before the orchestra; a self-signing agent names it with --token-file instead
    #[command(after_help = "Example:\n  unisono token present impl.token --as ada")]
    Present {
        /// The token: its text, or a file with it
        token: String,
    },
    /// A token for longer, signed by the node, if it may renew: before its end, with the same rights
    #[command(
        after_help = "Example:\n  unisono token renew impl.token > next.token && mv next.token impl.token"
    )]
    Renew {
        /// The token: its text, or a file with it
        token: String,
    },
    /// The tokens that were laid before the orchestra
    #[command(after_help = "Example:\n  unisono token list")]
    List,
}

/// What a new link says.
#[derive(Clone, Debug, Args)]
pub(crate) struct Made {
    /// The tier: executive, implementation, validation, renewer, or the path of a tier's file
    tier: String,
    /// Whom it is for: the agent's public key
    #[arg(long = "for", value_name = "AGENT")]
    audience: AgentId,
    /// The project, an orchestra's name, where the tier is bound to one
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// A file that may be written; may stand several times
    #[arg(long, value_name = "PATH")]
    file: Vec<String>,
    /// A phase in which files may be written; may stand several times
    #[arg(long, value_name = "N")]
    phase: Vec<u32>,
    /// For how long it counts: 90s, 15m, 24h, 7d, up to 399d; as the tier says if left out
    #[arg(long, value_name = "TIME")]
    life: Option<String>,
    /// Until how long from now it may be renewed: 24h, 7d, or `never`; as the tier says if left out
    #[arg(long, value_name = "TIME")]
    renew_for: Option<String>,
}

/// Does what needs no node.
pub(crate) fn offline(
    command: &TokenCommand,
    config: &Config,
    global: &Global,
) -> Result<(), Failure> {
    match command {
        TokenCommand::Mint { what, epoch } => mint(what, *epoch, config, global),
        TokenCommand::Narrow { parent, what } => narrow(parent, what, global),
        TokenCommand::Inspect { token } => {
            let token = verified(&read(token)?)?;
            let links: Vec<Value> = token.links().iter().map(shown).collect();
            let renewed = token.renewed().map(|renewed| {
                let delegation = renewed.delegation.iter();
                let delegation =
                    delegation.map(|(id, issuer)| json!({ "link": id, "issuer": issuer }));
                json!({
                    "renewal": renewed.id,
                    "renewer": renewed.renewer,
                    "delegation": delegation.collect::<Vec<_>>(),
                })
            });
            let told = json!({ "links": links, "renewed": renewed });
            output::answer(Format::Json, &told, None)
        }
        TokenCommand::Explain { token } => explain(token, global),
        TokenCommand::Compare { one, other } => compared(one, other, global),
        TokenCommand::Present { .. } | TokenCommand::Renew { .. } | TokenCommand::List => {
            Err(Failure::usage("this command asks a node"))
        }
    }
}

/// Does what needs a node.
pub(crate) async fn run(args: TokenArgs, session: &Session) -> Result<(), Failure> {
    if let TokenCommand::Present { token } = args.command {
        let token = Blob(read(&token)?);
        let present = ActionBody::Present(PresentBody { token });
        return session.show_act(present).await;
    }
    if let TokenCommand::Renew { token } = args.command {
        session.is_now()?;
        let token = Blob(read(&token)?);
        let client = &session.client;
        let renewed = client.renew_token(&session.orchestra, &token).await?.body;
        if session.global.output == Format::Table {
            return output::raw(&format!("{}\n", token_text(&renewed.token.0)));
        }
        return output::answer(session.global.output, &renewed, None);
    }
    let columns = &[
        ("AGENT", "name"),
        ("TIER", "tier"),
        ("ALLOWS", "operations"),
        ("EXPIRES (MS)", "expires_ms"),
        ("FENCED", "fenced"),
        ("TOKEN", "token"),
    ];
    let list = "tokens";
    let table = Some(Table { list, columns });
    session.show_read("trust", &[], table).await
}

fn mint(what: &Made, epoch: u32, config: &Config, global: &Global) -> Result<(), Failure> {
    let home = Home::new(config.text("data").unwrap_or(crate::config::DATA));
    let membership = home.membership()?;
    let path = global
        .key_file
        .clone()
        .unwrap_or_else(|| home.directory().join(home::ROOT_KEY_FILE));
    let key = key(&path)?;
    let (_, root) = home.root(&membership);
    if root != Some(key.agent()) {
        let words = format!("{} is not this cluster's root of rights", path.display());
        return Err(Failure::new(Exit::Denied, "not_root", words)
            .hint("mint where the cluster was founded, or bring the key of the root that stands (--key-file); `unisono root show` says which"));
    }
    let shape = shape(what)?;
    let link = link(what, &shape, membership.cluster, key.agent(), epoch)?;
    made(
        Vec::new(),
        &link,
        &key,
        membership.cluster,
        key.agent(),
        global,
    )
}

fn narrow(parent: &str, what: &Made, global: &Global) -> Result<(), Failure> {
    let bytes = read(parent)?;
    let (token, links) = Token::decode(&bytes).map_err(unreadable)?;
    // What is handed on is the links': what renews them is good for their own time alone.
    let token = token.unrenewed();
    let (Some(first), Some(last)) = (links.first(), links.last()) else {
        return Err(Failure::usage("a token without links"));
    };
    let Some(path) = &global.key_file else {
        return Err(Failure::usage("whoever hands a token on signs for it")
            .hint("--key-file FILE: the key that the token is for"));
    };
    let key = key(path)?;
    if key.agent() != last.audience {
        let words = format!("{} is not the key that this token is for", path.display());
        return Err(Failure::new(Exit::Denied, "not_audience", words)
            .hint(format!("it is for {}", last.audience)));
    }
    let mut shape = shape(what)?;
    if let Some(grant) = &last.grant {
        within(what, grant)?;
        // A tier's file says the most; what is handed on is what both allow.
        shape.may = meet(&shape.may, &grant.rights);
        if let Some(next) = &mut shape.grant {
            next.rights = meet(&next.rights, &grant.rights);
            next.tiers.retain(|tier| grant.tiers.contains(tier));
        }
    }
    shape.depth_left = shape.depth_left.min(last.depth_left.saturating_sub(1));
    shape.grant = shape.grant.filter(|_| shape.depth_left > 0);
    let mut next = link(what, &shape, first.cluster, key.agent(), last.epoch)?;
    next.parent = token.id();
    next.not_before_ms = next.not_before_ms.max(last.not_before_ms);
    next.expires_ms = next.expires_ms.min(last.expires_ms);
    next.renew_until_ms = next.renew_until_ms.min(last.renew_until_ms);
    if next.renew_until_ms < next.expires_ms {
        next.renew_until_ms = 0;
    }
    made(
        token.links,
        &next,
        &key,
        first.cluster,
        first.issuer,
        global,
    )
}

/// Whether all that is named may be handed on: what is not would be left out, and a token made that
/// allows less than was asked for.
fn within(what: &Made, grant: &Grant) -> Result<(), Failure> {
    let refused = |asked: String, granted: String| {
        let words = format!("{asked} cannot be handed on: the token grants {granted}");
        Err(Failure::new(Exit::Denied, "token_widens", words)
            .hint("nothing was made; ask for a token that grants it"))
    };
    let rights = &grant.rights;
    if let Some(files) = &rights.files
        && let Some(file) = what.file.iter().find(|file| !files.contains(file))
    {
        return refused(file.clone(), files.join(", "));
    }
    if let Some(phases) = &rights.phases
        && let Some(phase) = what.phase.iter().find(|phase| !phases.contains(phase))
    {
        let granted: Vec<String> = phases
            .iter()
            .map(|phase| format!("phase {phase}"))
            .collect();
        return refused(format!("phase {phase}"), granted.join(", "));
    }
    if let (Scope::Project(granted), Some(project)) = (&rights.write, &what.project)
        && granted != project
    {
        return refused(format!("project {project}"), format!("project {granted}"));
    }
    Ok(())
}

fn shape(what: &Made) -> Result<Shape, Failure> {
    let given = Given {
        project: what.project.clone(),
        files: what.file.clone(),
        phases: what.phase.clone(),
    };
    tier::shape(&what.tier, &given)
}

fn link(
    what: &Made,
    shape: &Shape,
    cluster: ClusterId,
    issuer: AgentId,
    epoch: u32,
) -> Result<Link, Failure> {
    let now_ms = home::now_ms();
    let life_ms = match &what.life {
        Some(text) => {
            tier::duration_ms(text).map_err(|words| Failure::usage(format!("--life: {words}")))?
        }
        None => shape.life_ms,
    };
    // The clocks of others may be a little behind this one.
    let not_before_ms = now_ms.saturating_sub(10_000);
    let expires_ms = now_ms.saturating_add(life_ms);
    if expires_ms - not_before_ms > TOKEN_LIFE_MS_MAX {
        let days = TOKEN_LIFE_MS_MAX / 86_400_000 - 1;
        let words = format!("--life: a token lives {days} days at the most; nothing was made");
        return Err(
            Failure::usage(words).hint("a token that is renewed need not live long: --renew-for")
        );
    }
    let renewable_ms = match what.renew_for.as_deref() {
        None => shape.renewable_ms,
        Some("never") => 0,
        Some(text) => tier::duration_ms(text)
            .map_err(|words| Failure::usage(format!("--renew-for: {words}")))?,
    };
    let renew_until_ms = now_ms.saturating_add(renewable_ms);
    if what.renew_for.is_some() && renewable_ms > 0 && renewable_ms < life_ms {
        return Err(Failure::usage(
            "--renew-for: a token is renewed until its own end at least; nothing was made",
        )
        .hint("name a longer time, `never`, or a shorter --life"));
    }
    Ok(Link {
        version: LINK_VERSION,
        cluster,
        issuer,
        audience: what.audience,
        parent: Digest::default(),
        nonce: home::drawn()?,
        epoch,
        not_before_ms,
        expires_ms,
        renew_until_ms: if renew_until_ms >= expires_ms {
            renew_until_ms
        } else {
            0
        },
        tier: shape.tier.clone(),
        may: shape.may.clone(),
        grant: shape.grant.clone(),
        depth_left: shape.depth_left,
    })
}

/// Signs a link, looks at the whole as any replica will, and prints it.
fn made(
    mut links: Vec<unisono_model::capability::SignedLink>,
    link: &Link,
    key: &AgentKey,
    cluster: ClusterId,
    root: AgentId,
    global: &Global,
) -> Result<(), Failure> {
    links.push(link.sign(key.signing()));
    let bytes = Token { links }.encode();
    let token = examine(&bytes, cluster, &[root], &mut StrictVerifier).map_err(|invalid| {
        Failure::new(Exit::Denied, invalid.code(), invalid.to_string())
            .hint("nothing was made; `unisono token explain PARENT` says what may be handed on")
    })?;
    let text = token_text(&bytes);
    if global.output == Format::Table {
        return output::raw(&format!("{text}\n"));
    }
    let told = json!({
        "token": text,
        "id": token.id(),
        "for": link.audience,
        "tier": link.tier.word(),
        "expires_ms": link.expires_ms,
        "renew_until_ms": link.renew_until_ms,
        "bytes": bytes.len(),
    });
    output::answer(global.output, &told, None)
}

fn explain(text: &str, global: &Global) -> Result<(), Failure> {
    let words = words::token(&verified(&read(text)?)?);
    if global.output == Format::Table {
        return output::raw(&words);
    }
    output::answer(global.output, &json!({ "explained": words }), None)
}

fn compared(one: &str, other: &str, global: &Global) -> Result<(), Failure> {
    let may = |text: &str| Ok::<_, Failure>(verified(&read(text)?)?.leaf().may.clone());
    let words = |fields: Vec<unisono_core::capability::Field>| {
        let words: Vec<&str> = fields
            .into_iter()
            .map(unisono_core::capability::Field::word)
            .collect();
        words
    };
    let told = match compare(&may(one)?, &may(other)?) {
        Comparison::Equal => json!({ "verdict": "equal" }),
        Comparison::Narrower(less) => json!({ "verdict": "narrower", "less_in": words(less) }),
        Comparison::Wider(more) => json!({ "verdict": "wider", "more_in": words(more) }),
        Comparison::Neither { more, less } => {
            json!({ "verdict": "neither", "more_in": words(more), "less_in": words(less) })
        }
    };
    if global.output == Format::Table {
        let list = |name: &str| {
            let fields = told[name].as_array()?;
            let fields: Vec<&str> = fields.iter().filter_map(Value::as_str).collect();
            Some(fields.join(", "))
        };
        let mut line = told["verdict"].as_str().unwrap_or_default().to_owned();
        for (what, name) in [("; less in: ", "less_in"), ("; more in: ", "more_in")] {
            if let Some(fields) = list(name) {
                line.push_str(what);
                line.push_str(&fields);
            }
        }
        return output::raw(&(line + "\n"));
    }
    output::answer(global.output, &told, None)
}

/// A token that is whole and signed by those whom it names; whose root it is from, is for a cluster to
/// say.
fn verified(bytes: &[u8]) -> Result<Verified, Failure> {
    let (_, links) = Token::decode(bytes).map_err(unreadable)?;
    let Some(first) = links.first() else {
        return Err(Failure::usage("a token without links"));
    };
    let roots = [first.issuer];
    examine(bytes, first.cluster, &roots, &mut StrictVerifier).map_err(|invalid| {
        Failure::new(Exit::Verification, invalid.code(), invalid.to_string())
            .hint("this token counts nowhere")
    })
}

fn shown((id, link): &(Digest, Link)) -> Value {
    json!({
        "link": id,
        "cluster": link.cluster,
        "issuer": link.issuer,
        "audience": link.audience,
        "tier": link.tier.word(),
        "epoch": link.epoch,
        "not_before_ms": link.not_before_ms,
        "expires_ms": link.expires_ms,
        "renew_until_ms": link.renew_until_ms,
        "links_after": link.depth_left,
        "parent": link.parent,
        "nonce": hex(&link.nonce),
        "may": rights(&link.may),
        "grant": link.grant.as_ref().map(|grant| json!({
            "tiers": grant.tiers.iter().map(unisono_model::capability::Tier::word).collect::<Vec<_>>(),
            "rights": rights(&grant.rights),
        })),
    })
}

fn rights(rights: &Rights) -> Value {
    let operations = Operations::WORDS.iter();
    let operations = operations.filter(|(one, _)| rights.operations.contains(*one));
    let scope = |scope: &Scope| match scope {
        Scope::Nowhere => json!("nowhere"),
        Scope::Global => json!("everywhere"),
        Scope::Project(name) => json!({ "project": name }),
    };
    json!({
        "operations": operations.map(|(_, word)| *word).collect::<Vec<_>>(),
        "read": scope(&rights.read),
        "write": scope(&rights.write),
        "files": rights.files,
        "phases": rights.phases,
        "complexity_max": rights.complexity_max,
        "function_lines_max": rights.function_lines_max,
        "file_bytes_max": rights.file_bytes_max,
        "actions_per_minute_max": rights.actions_per_minute_max,
    })
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The bytes of a token that is named by its text, or by a file that holds it.
pub(crate) fn read(token: &str) -> Result<Vec<u8>, Failure> {
    let bad = |words: &str| Failure::usage(format!("the token: {words}"));
    if token.starts_with("unicap1.") {
        return parse_token(token).map_err(bad);
    }
    let text = small_file::text(std::path::Path::new(token), small_file::BYTES_MAX)
        .map_err(|error| Failure::system(token, &error).hint("a token, or a file with one"))?;
    parse_token(&text).map_err(bad)
}

fn key(path: &std::path::Path) -> Result<AgentKey, Failure> {
    sealed::agent_key(path)
}

fn unreadable(malformed: unisono_model::wire::Malformed) -> Failure {
    Failure::new(Exit::Verification, "token_malformed", malformed.to_string())
        .hint("a character is wrong, or it is no token")
}
