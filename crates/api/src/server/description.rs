//! The OpenAPI description: collected from the code, then made true where the collector is not.

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(info(
    title = "unisono",
    description = "One state, one order and one set of rules for a fleet of AI agents, the same \
                   on every node. Every answer from the views of an orchestra bears Unisono-Node, \
                   Unisono-As-Of, Unisono-Cursor and Unisono-Final; hand the cursor to the next node as Unisono-Min-Cursor to \
                   read your own writes there. Where an orchestra asks who reads (403, session_needed), \
                   send Unisono-Session, or Unisono-As for an agent whose key the node holds. Unknown fields are refused. Refusals are \
                   application/problem+json."
))]
struct Description;

/// What the routes are added to.
pub(crate) fn base() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The OpenAPI description of every route, as it follows from the code.
pub fn openapi_json() -> String {
    let (_, api) = super::described().split_for_parts();
    let mut api = serde_json::to_value(api).expect("a description is JSON");
    open_up(&mut api);
    let paths = api["paths"].as_object_mut().into_iter().flatten();
    for operation in paths.filter_map(|(_, path)| path.as_object_mut()).flatten() {
        refusable(operation.1);
    }
    let mut text = serde_json::to_string_pretty(&api).expect("it was JSON before");
    text.push('\n');
    text
}

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json())
}

/// A body that is composed of several would admit nothing if each part admitted only its own fields.
fn open_up(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
                fields.remove("additionalProperties");
            }
            fields.values_mut().for_each(open_up);
        }
        Value::Array(values) => values.iter_mut().for_each(open_up),
        _ => {}
    }
}

/// Every operation can be refused, and always in the same shape.
fn refusable(operation: &mut Value) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    responses.entry("default").or_insert_with(|| {
        json!({
            "description": "Refused",
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
        })
    });
}
