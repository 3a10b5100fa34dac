//! The server: HTTP in, calls to the node, JSON out.

mod across;
mod address;
mod alerts;
mod backwards;
mod beats;
mod bind;
mod bodies;
mod body;
mod clock;
mod coherence;
mod cues;
mod description;
mod drift;
mod edge;
mod ensemble;
mod files;
mod flow;
mod following;
mod foretold;
mod gate;
mod handle;
mod leave;
mod lessons;
mod looks;
mod metrics;
mod page;
mod playing;
mod probes;
mod rates;
mod readers;
mod reads;
mod refusal;
mod resonance;
mod rollback;
mod serve;
mod streams;
mod terms;
mod walk;
mod way;
mod writes;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use address::ADDRESSES;
pub use bind::{BearerToken, BindError, TokenError, bind};
pub use description::openapi_json;
pub use handle::{
    Asked, Call, Check, ClockShown, CountBytes, CountTokens, Inspector, NodeHandle, Readiness,
};
pub use rates::{Pace, Rates};
pub use refusal::status;
pub use serve::serve;

use edge::Edge;

/// Every route of the edge, over one node. With a token, every request but the probes must bear it.
pub fn router(handle: NodeHandle, token: Option<BearerToken>) -> Router {
    router_at(handle, token, Rates::default())
}

/// The same, with other limits on how often somebody may ask.
pub fn router_at(handle: NodeHandle, token: Option<BearerToken>, rates: Rates) -> Router {
    let edge = Edge::new(handle, token, rates);
    let (router, _) = described().split_for_parts();
    router
        .route("/openapi.json", get(description::openapi))
        .fallback(gate::no_route)
        .method_not_allowed_fallback(gate::no_method)
        .layer(axum::middleware::from_fn_with_state(
            edge.clone(),
            gate::gate,
        ))
        .with_state(edge)
}

fn described() -> OpenApiRouter<Edge> {
    together(OpenApiRouter::with_openapi(description::base()))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::version))
        .routes(routes!(clock::clock))
        .routes(routes!(reads::status))
        .routes(routes!(reads::members))
        .routes(routes!(leave::leave))
        .routes(routes!(reads::orchestras, writes::open))
        .routes(routes!(reads::state))
        .routes(routes!(reads::agents, writes::enrol))
        .routes(routes!(reads::presence, writes::be_present))
        .routes(routes!(resonance::signals, writes::emit))
        .routes(routes!(resonance::claims, writes::claim))
        .routes(routes!(reads::interference, writes::resolve))
        .routes(routes!(reads::coherence))
        .routes(routes!(coherence::explained))
        .routes(routes!(flow::flow))
        .routes(routes!(reads::go_on))
        .routes(routes!(writes::renew))
        .routes(routes!(writes::release))
        .routes(routes!(reads::tasks, writes::new_task))
        .routes(routes!(reads::task, writes::patch_task))
        .routes(routes!(reads::history))
        .routes(routes!(reads::marks, writes::mark))
        .routes(routes!(reads::settings, writes::set_settings))
        .routes(routes!(reads::trust))
        .routes(routes!(reads::chains))
        .routes(routes!(reads::ends))
        .routes(routes!(writes::remove))
        .routes(routes!(writes::present))
        .routes(routes!(reads::renewed))
        .routes(routes!(writes::fence))
        .routes(routes!(reads::plan, writes::set_plan))
        .routes(routes!(files::files, files::write))
        .routes(routes!(files::measure))
        .routes(routes!(files::approvals, writes::approve))
        .routes(routes!(reads::notes))
        .routes(routes!(reads::note, writes::put_note, writes::splice_note))
        .routes(routes!(reads::config))
        .routes(routes!(writes::set_config, writes::remove_config))
        .routes(routes!(reads::hash))
        .routes(routes!(reads::iteration))
        .routes(routes!(writes::advance))
        .routes(routes!(writes::act))
        .routes(routes!(reads::session))
        .routes(routes!(writes::signed))
        .routes(routes!(lessons::decisions, writes::decide))
        .routes(routes!(lessons::fixes, writes::remedy))
        .routes(routes!(writes::outcome))
        .routes(routes!(rollback::would))
        .routes(routes!(writes::roll_back))
        .routes(routes!(writes::seen))
        .routes(routes!(address::read, address::write))
        .routes(routes!(beats::beats))
        .routes(routes!(alerts::alerts))
        .routes(routes!(streams::events))
        .routes(routes!(streams::dump))
}

/// What agents need to play together.
fn together(router: OpenApiRouter<Edge>) -> OpenApiRouter<Edge> {
    router
        .routes(routes!(reads::tempo, writes::set_tempo))
        .routes(routes!(writes::set_variation))
        .routes(routes!(reads::barriers, writes::arrive))
        .routes(routes!(reads::cues, writes::cue))
        .routes(routes!(writes::answer))
        .routes(routes!(cues::leads))
        .routes(routes!(cues::stream))
        .routes(routes!(drift::stream))
        .routes(routes!(reads::ensemble, writes::played))
        .routes(routes!(writes::used))
        .routes(routes!(reads::performing, writes::performs))
        .routes(routes!(ensemble::stream))
        .routes(routes!(foretold::foretold))
        .routes(routes!(foretold::stream))
}
