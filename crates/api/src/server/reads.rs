//! Reading: every view of an orchestra, now or as of a moment.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use unisono_core::node::Question;
use unisono_core::orchestra::brief::{TOKENS_MAX, TOKENS_MIN};
use unisono_core::orchestra::view::View;
use unisono_model::{AgentId, FenceTarget, OrchestraId};

use super::body::Json;
use super::edge::{Edge, checked_name};
use super::page::{Page, PageParams};
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, Terms};
use crate::dto;
use crate::limits::{BRIEF_TOKENS, RECORDS_PAGE, TASKS_PAGE, TASKS_PAGE_MAX};

pub(super) type Answered = Result<Response, Refusal>;

// Views of a whole orchestra differ only in the question and in the shape of the answer.
macro_rules! views {
    ($($(#[doc = $doc:literal])* $name:ident $path:tt $question:ident -> $body:ident,
       $view:ident => $shown:expr;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path(get, path = $path, tag = "reads",
            params(("o" = String, Path, description = "The orchestra's name"), ReadParams),
            responses(
                (status = 200, body = dto::$body),
                (status = "default", body = dto::Problem, content_type = "application/problem+json")
            ))]
        pub(crate) async fn $name(
            State(edge): State<Edge>, Names(o): Names<String>, terms: Terms,
        ) -> Answered {
            let (told, view) =
                edge.ask(edge.orchestra(&o)?, Question::$question, terms.read()?).await?;
            let View::$question(given) = view else { return Err(Refusal::mismatch()) };
            let $view = given;
            Ok(told.json::<dto::$body>(StatusCode::OK, &$shown))
        }
    )*};
}

views! {
    /// An orchestra in numbers.
    state "/v1/orchestras/{o}/state" State -> State, view => view.into();
    /// The settings that count.
    settings "/v1/orchestras/{o}/settings" Settings -> Settings,
        map => dto::Settings { settings: map.into_iter().map(|(k, v)| (k.into(), v)).collect() };
    /// Tokens, fences, void records, refusals.
    trust "/v1/orchestras/{o}/trust" Trust -> Trust, view => view.into();
    /// The plan that stands.
    plan "/v1/orchestras/{o}/plan" Plan -> PlanShown, view => view.into();
    /// The notes' names.
    notes "/v1/orchestras/{o}/notes" Notes -> Notes, notes => dto::Notes { notes };
    /// The configuration, with values that were written at once.
    config "/v1/orchestras/{o}/config" Config -> ConfigValues,
        views => dto::ConfigValues { config: views.into_iter().map(Into::into).collect() };
    /// How far agents have come apart.
    coherence "/v1/orchestras/{o}/coherence" Coherence -> Coherence, view => view.into();
    /// The tempo map that stands.
    tempo "/v1/orchestras/{o}/tempo" Tempo -> TempoShown, view => view.into();
    /// Who waits at which barrier, and when those open that have opened.
    barriers "/v1/orchestras/{o}/barriers" Barriers -> BarrierList,
        views => dto::BarrierList { barriers: views.into_iter().map(Into::into).collect() };
    /// What is to be done together when, and who has answered.
    cues "/v1/orchestras/{o}/cues" Cues -> CueList,
        views => dto::CueList { cues: views.into_iter().map(Into::into).collect() };
    /// How punctual everybody is, and what goes wrong, with the command that recovers.
    ensemble "/v1/orchestras/{o}/ensemble" Players -> Ensemble, view => view.into();
    /// Who performs now, and by how much each corrects its errors: what other performers read.
    performing "/v1/orchestras/{o}/ensemble/performers" Performing -> Performers,
        views => dto::Performers { performers: views.into_iter().map(Into::into).collect() };
    /// Digests that agree where replicas do.
    hash "/v1/orchestras/{o}/hash" Hash -> Hashes, view => view.into();
}

// What the core gives whole, of which a page is cut.
macro_rules! paged {
    ($edge:ident, $o:ident, $terms:ident, $question:expr => $view:ident) => {{
        let asked = $edge.ask($edge.orchestra(&$o)?, $question, $terms.read()?);
        let (told, View::$view(views)) = asked.await? else {
            return Err(Refusal::mismatch());
        };
        (told, views)
    }};
}

/// Who is enrolled, by key.
#[utoipa::path(get, path = "/v1/orchestras/{o}/agents", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"), PageParams, ReadParams),
    responses((status = 200, body = dto::Agents)))]
pub(crate) async fn agents(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let page = Page::of(&mut terms)?;
    let (told, views) = paged!(edge, o, terms, Question::Agents => Agents);
    let (views, next_after) = page.cut(views, |view| view.agent.to_string());
    let agents = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Agents { agents, next_after }))
}

/// How the agents are, by key.
#[utoipa::path(get, path = "/v1/orchestras/{o}/presence", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"), PageParams, ReadParams),
    responses((status = 200, body = dto::Presences)))]
pub(crate) async fn presence(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let page = Page::of(&mut terms)?;
    let (told, views) = paged!(edge, o, terms, Question::Presences => Presences);
    let (views, next_after) = page.cut(views, |view| view.agent.to_string());
    let presence = views.into_iter().map(Into::into).collect();
    Ok(told.json(
        StatusCode::OK,
        &dto::Presences {
            presence,
            next_after,
        },
    ))
}

/// The current iteration and its phase.
#[utoipa::path(get, path = "/v1/orchestras/{o}/iteration", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"), ReadParams),
    responses((status = 200, body = dto::Iteration)))]
pub(crate) async fn iteration(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Answered {
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, Question::State, terms.read()?)
        .await?;
    let View::State(view) = view else {
        return Err(Refusal::mismatch());
    };
    let body = dto::Iteration {
        iteration: view.iteration,
        phase: view.phase.into(),
    };
    Ok(told.json(StatusCode::OK, &body))
}

/// A token for longer, signed by this node, if a root or an executive lets it renew. Nothing changes
/// before the token's agent has laid it before the orchestra.
#[utoipa::path(post, path = "/v1/orchestras/{o}/renewals", tag = "signing",
    params(("o" = String, Path, description = "The orchestra's name"), ReadParams),
    request_body = dto::RenewalBody, responses((status = 200, body = dto::TokenRenewed)))]
pub(crate) async fn renewed(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    Json(body): Json<dto::RenewalBody>,
) -> Answered {
    let question = Question::Renewed {
        token: body.token.0,
        may: None,
    };
    let asked = edge.ask(edge.orchestra(&o)?, question, terms.read()?);
    let (told, View::Renewed(view)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json(StatusCode::OK, &dto::TokenRenewed::from(view)))
}

/// The chains that a fence would concern, and how far each has come: what it keeps if nothing that
/// has counted is to be taken back.
#[utoipa::path(get, path = "/v1/orchestras/{o}/trust/chains", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("link" = Option<String>, Query, description = "A fence of this link"),
        ("key" = Option<String>, Query, description = "A fence of this key"),
        ("epoch" = Option<u32>, Query, description = "A fence of all epochs before this one"),
        ReadParams),
    responses((status = 200, body = dto::Chains)))]
pub(crate) async fn chains(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let question = Question::Chains(target(&mut terms)?);
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Chains(cuts) = view else {
        return Err(Refusal::mismatch());
    };
    let chains = cuts.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Chains { chains }))
}

/// Up to where a node's logs are held here, in all orchestras: what its removal would keep.
#[utoipa::path(get, path = "/v1/orchestras/{o}/trust/ends", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name: `cluster`"),
        ("node" = String, Query, description = "The node"),
        ReadParams),
    responses((status = 200, body = dto::Ends)))]
pub(crate) async fn ends(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let node = terms.text("node")?.unwrap_or_default();
    let node = node
        .parse()
        .map_err(|error| Refusal::malformed(format!("`node`: {error}")))?;
    let question = Question::Ends(node);
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Ends(ends) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json(StatusCode::OK, &dto::Ends::from(ends)))
}

/// Where agents get in each other's way: open ones first, then those that block, then the newest.
#[utoipa::path(get, path = "/v1/orchestras/{o}/interference", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("as" = Option<String>, Query, description = "Only what names this agent"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::Interferences)))]
pub(crate) async fn interference(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let agent = asking(&mut terms)?;
    let limit = terms.limit()?;
    let question = Question::Interference { agent, limit };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Interference(view) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::Interferences>(StatusCode::OK, &view.into()))
}

/// What an agent needs to know to go on, packed into a budget of tokens. `format=markdown` gives the
/// text alone.
#[utoipa::path(get, path = "/v1/orchestras/{o}/continue", operation_id = "go_on", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("as" = String, Query, description = "The agent's name"),
        ("max_tokens" = Option<u64>, Query,
            description = "At most about so many tokens, 40 to 100000; 1500 if left out"),
        ("since" = Option<String>, Query, description = "Only what is new since this cursor"),
        ("format" = Option<String>, Query, description = "json or markdown"), ReadParams),
    responses((status = 200, content((dto::Brief = "application/json"),
        (String = "text/markdown")))))]
pub(crate) async fn go_on(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let Some(agent) = asking(&mut terms)? else {
        return Err(Refusal::malformed("`as` names the agent that goes on"));
    };
    let tokens_max = terms
        .number("max_tokens", TOKENS_MIN..=TOKENS_MAX)?
        .unwrap_or(BRIEF_TOKENS);
    let since = terms.cursor("since")?;
    let markdown = match terms.text("format")?.as_deref() {
        None | Some("json") => false,
        Some("markdown") => true,
        Some(_) => return Err(Refusal::malformed("`format` is json or markdown")),
    };
    let question = Question::Continue { agent, since };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Continue(view) = view else {
        return Err(Refusal::mismatch());
    };
    let counter = Arc::clone(&edge.handle().tokens);
    let packing = tokio::task::spawn_blocking(move || {
        let view = view.packed(tokens_max, &|text| counter.count(text));
        (view, counter.counted_with())
    });
    let Ok((view, counted_with)) = packing.await else {
        return Err(Refusal::mismatch());
    };
    if markdown {
        let media_type = (CONTENT_TYPE, "text/markdown; charset=utf-8");
        let mut response = ([media_type], view.markdown()).into_response();
        told.mark(&mut response);
        return Ok(response);
    }
    let mut brief = dto::Brief::from(view);
    counted_with.clone_into(&mut brief.counted_with);
    Ok(told.json(StatusCode::OK, &brief))
}

/// The tasks by name, page by page.
#[utoipa::path(get, path = "/v1/orchestras/{o}/tasks", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("status" = Option<String>, Query, description = "Only in this state"),
        ("after" = Option<String>, Query, description = "Start after this name"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::Tasks)))]
pub(crate) async fn tasks(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let status = terms.word::<dto::TaskStatusWord>("status")?.map(Into::into);
    let after = terms.text("after")?;
    let limit = terms
        .number("limit", 1..=TASKS_PAGE_MAX)?
        .unwrap_or(TASKS_PAGE);
    let question = Question::Tasks {
        status,
        after,
        limit,
    };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Tasks(views) = view else {
        return Err(Refusal::mismatch());
    };
    let full = views.len() >= limit;
    let next_after = views.last().filter(|_| full).map(|last| last.task.clone());
    let tasks = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Tasks { tasks, next_after }))
}

/// One task.
#[utoipa::path(get, path = "/v1/orchestras/{o}/tasks/{name}", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("name" = String, Path, description = "The task's name"), ReadParams),
    responses((status = 200, body = dto::Task)))]
pub(crate) async fn task(
    State(edge): State<Edge>,
    Names((o, name)): Names<(String, String)>,
    terms: Terms,
) -> Answered {
    checked_name("task", &name)?;
    let question = Question::Task(name);
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Task(view) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::Task>(StatusCode::OK, &view.into()))
}

/// What became of a task, record by record.
#[utoipa::path(get, path = "/v1/orchestras/{o}/tasks/{name}/history", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("name" = String, Path, description = "The task's name"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 256"), ReadParams),
    responses((status = 200, body = dto::Records)))]
pub(crate) async fn history(
    State(edge): State<Edge>,
    Names((o, name)): Names<(String, String)>,
    mut terms: Terms,
) -> Answered {
    checked_name("task", &name)?;
    let after = terms.cursor("after")?;
    let limit = terms
        .number("limit", 1..=RECORDS_PAGE)?
        .unwrap_or(RECORDS_PAGE);
    let question = Question::Records {
        after,
        limit,
        task: Some(name),
    };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Records(view) = view else {
        return Err(Refusal::mismatch());
    };
    let records = view.records.into_iter().map(Into::into).collect();
    let page = dto::Records {
        records,
        next: view.next.to_text(),
        more: view.more,
    };
    Ok(told.json(StatusCode::OK, &page))
}

/// The latest marks.
#[utoipa::path(get, path = "/v1/orchestras/{o}/marks", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::MarkList)))]
pub(crate) async fn marks(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let limit = terms.limit()?;
    let question = Question::Marks { limit };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Marks(views) = view else {
        return Err(Refusal::mismatch());
    };
    let marks = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::MarkList { marks }))
}

/// One note.
#[utoipa::path(get, path = "/v1/orchestras/{o}/notes/{name}", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("name" = String, Path, description = "The note's name"), ReadParams),
    responses((status = 200, body = dto::Note)))]
pub(crate) async fn note(
    State(edge): State<Edge>,
    Names((o, name)): Names<(String, String)>,
    terms: Terms,
) -> Answered {
    checked_name("note", &name)?;
    let question = Question::Note(name);
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Note(view) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::Note>(StatusCode::OK, &view.into()))
}

/// Where an agent that signs itself continues its chain on this node.
#[utoipa::path(get, path = "/v1/orchestras/{o}/session/{agent}", tag = "signing",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("agent" = String, Path, description = "The agent's public key, hexadecimal"), ReadParams),
    responses((status = 200, body = dto::Session)))]
pub(crate) async fn session(
    State(edge): State<Edge>,
    Names((o, agent)): Names<(String, String)>,
    terms: Terms,
) -> Answered {
    let agent: AgentId = agent
        .parse()
        .map_err(|error| Refusal::malformed(format!("the agent's key: {error}")))?;
    let question = Question::Session(agent);
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Session(view) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::Session>(StatusCode::OK, &view.into()))
}

/// How this node is.
#[utoipa::path(get, path = "/v1/status", tag = "cluster", params(ReadParams),
    responses((status = 200, body = dto::Status)))]
pub(crate) async fn status(State(edge): State<Edge>, terms: Terms) -> Answered {
    let (told, view) = edge
        .ask(OrchestraId::default(), Question::Status, terms.read()?)
        .await?;
    let View::Status(view) = view else {
        return Err(Refusal::mismatch());
    };
    let mut status = dto::Status::from(view);
    status.certificate = (edge.handle().certificate)();
    Ok(told.json(StatusCode::OK, &status))
}

/// The members of the cluster.
#[utoipa::path(get, path = "/v1/members", tag = "cluster", params(ReadParams),
    responses((status = 200, body = dto::Members)))]
pub(crate) async fn members(State(edge): State<Edge>, terms: Terms) -> Answered {
    let (told, view) = edge
        .ask(OrchestraId::default(), Question::Status, terms.read()?)
        .await?;
    let View::Status(view) = view else {
        return Err(Refusal::mismatch());
    };
    let members = view.members.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Members { members }))
}

/// The orchestras that this node holds.
#[utoipa::path(get, path = "/v1/orchestras", tag = "cluster", params(ReadParams),
    responses((status = 200, body = dto::Orchestras)))]
pub(crate) async fn orchestras(State(edge): State<Edge>, terms: Terms) -> Answered {
    let (told, view) = edge
        .ask(OrchestraId::default(), Question::Orchestras, terms.read()?)
        .await?;
    let View::Orchestras(views) = view else {
        return Err(Refusal::mismatch());
    };
    let orchestras = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Orchestras { orchestras }))
}

/// What a fence would end: exactly one of `link`, `key` and `epoch`.
fn target(terms: &mut Terms) -> Result<FenceTarget, Refusal> {
    let link = terms.text("link")?;
    let key = terms.text("key")?;
    let epoch = terms.number("epoch", 0..=u32::MAX)?;
    let unreadable = |what, error| Refusal::malformed(format!("`{what}`: {error}"));
    match (link, key, epoch) {
        (Some(link), None, None) => {
            let link = link.parse().map_err(|error| unreadable("link", error))?;
            Ok(FenceTarget::Link(link))
        }
        (None, Some(key), None) => {
            let key = key.parse().map_err(|error| unreadable("key", error))?;
            Ok(FenceTarget::Key(key))
        }
        (None, None, Some(epoch)) => Ok(FenceTarget::Epoch(epoch)),
        _ => Err(Refusal::malformed(
            "name exactly one of `link`, `key` and `epoch`",
        )),
    }
}

/// The agent that asks.
pub(super) fn asking(terms: &mut Terms) -> Result<Option<String>, Refusal> {
    let agent = terms.text("as")?;
    if let Some(agent) = &agent {
        checked_name("agent", agent)?;
    }
    Ok(agent)
}

pub(super) fn topic(terms: &mut Terms) -> Result<Option<String>, Refusal> {
    let topic = terms.text("topic")?;
    if let Some(topic) = &topic {
        checked_name("topic", topic)?;
    }
    Ok(topic)
}
