//! *Purpose*: what a job that is not submitted yet could ask for instead, to start sooner.
//!
//! *Owns*: `POST /submit/tries`: rows beside the answer of a dry run, as HTML.
//!
//! *Promises*: each row is what the server answers when a job with that change is tried, and stands
//! there only where it would start sooner. So few are tried that a key costs little.
//!
//! *Not here*: which changes are worth a try (`web::waits`), trying one (`api`).

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::{Map, Value};

use super::page::{HTML, undrawn};
use super::waits::{self, Help};
use super::words::{self, AsOf};
use crate::api::App;
use crate::api::reads::{self, ApiError, Body, Caller};
use crate::clock;
use crate::time::SECOND_US;

/// Where they are asked for.
pub const PATH: &str = "/submit/tries";
/// The most that are tried, each some ms.
const TRIES_MAX: usize = 6;

/// The rows.
#[derive(Template)]
#[template(path = "tries.html")]
struct Tries {
    helps: Vec<Help>,
}

/// `POST /submit/tries`: the body is that of `POST /jobs`.
///
/// # Errors
/// Those of a dry run of it.
pub async fn tries(
    app: web::Data<App>,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let job = reads::tried_submission(&app, &caller, &body).await?;
    let now = clock::now();
    let start = words::moment(job.estimated_start_time.as_deref());
    let mut tried = Vec::new();
    if start.is_none_or(|start| now.since_us(start) < -SECOND_US) {
        for change in waits::alternatives(&job).into_iter().take(TRIES_MAX) {
            let Some(other) = changed(&body, &change.body) else { continue };
            // One that is refused is no way out.
            if let Ok(other) = reads::tried_submission(&app, &caller, &other).await {
                tried.push((change, other));
            }
        }
    }
    // What was tried starts when it was tried, at the earliest.
    let at = AsOf { now: clock::now(), is_live: true };
    let html = Tries { helps: waits::helps(&job, &tried, at) }.render().map_err(undrawn)?;
    Ok(HttpResponse::Ok().content_type(HTML).body(html))
}

/// The same body with this in it; null takes a field out.
fn changed(body: &[u8], change: &Value) -> Option<Vec<u8>> {
    let mut all: Map<String, Value> = serde_json::from_slice(body).ok()?;
    for (field, value) in change.as_object()? {
        match value {
            Value::Null => all.remove(field),
            value => all.insert(field.clone(), value.clone()),
        };
    }
    serde_json::to_vec(&all).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_put_into_a_body_and_null_takes_out() {
        let body = br#"{"script": "true", "cpus": 8, "gpus": 2}"#;
        let other = changed(body, &json!({"cpus": 4, "gpus": null, "time_limit": "600s"})).unwrap();
        let other: Value = serde_json::from_slice(&other).unwrap();
        assert_eq!(other, json!({"script": "true", "cpus": 4, "time_limit": "600s"}));
        assert_eq!(changed(b"[]", &json!({})), None);
    }
}
