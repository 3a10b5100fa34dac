//! The addresses of the draft's appendix A: `unisono address self.orchestra.state`.

use clap::Args;
use serde_json::{Value, json};

use super::session::Session;
use crate::failure::Failure;

/// `address`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AddressArgs {
    /// Which: self.orchestra.state, .coherence, .drift, .resonance.sense, .resonance.emit,
    /// .resonance.interference, .presence.AGENT, .presence.update, time.orchestra.history.NUMBER,
    /// time.orchestra.history.recover
    #[arg(value_name = "PATH")]
    path: String,
    /// What is done there, as JSON; left out, it is read
    #[arg(value_name = "JSON")]
    body: Option<String>,
    /// Of which iteration everything is given back, for `recover`
    #[arg(long)]
    iteration: Option<u32>,
}

/// Reads at an address, or does something there.
pub(crate) async fn address(args: AddressArgs, session: &Session) -> Result<(), Failure> {
    let path = format!("address/{}", args.path);
    let Some(body) = args.body else {
        let iteration = args.iteration.map(|number| number.to_string());
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(iteration.as_deref().map(|number| ("iteration", number)));
        let of_an_agent = [
            "self.orchestra.resonance.sense",
            "self.orchestra.resonance.interference",
        ];
        if of_an_agent.contains(&args.path.as_str()) {
            query.extend(session.agent().ok().map(|name| ("as", name)));
        }
        return session.show_read(&path, &query, None).await;
    };
    let body: Value = serde_json::from_str(&body)
        .map_err(|error| Failure::usage(format!("the body is no JSON: {error}")))?;
    let Value::Object(mut body) = body else {
        return Err(Failure::usage("the body is a JSON object"));
    };
    // The same actions as `emit` and `presence` do: whoever signs signs here, too.
    let deed = match args.path.as_str() {
        "self.orchestra.resonance.emit" => "emit",
        "self.orchestra.presence.update" => "presence",
        _ => {
            return Err(Failure::usage(
                "nothing is done at this address: it is read",
            ));
        }
    };
    body.insert("do".to_owned(), json!(deed));
    let action = serde_json::from_value(Value::Object(body))
        .map_err(|error| Failure::usage(format!("the body: {error}")))?;
    session.show_act(action).await
}
