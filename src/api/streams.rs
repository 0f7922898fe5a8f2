//! *Purpose*: a job's script and its streams, as bytes.
//!
//! *Owns*: `/script`, `/stdout`, `/stderr` with offset, limit, tail, Range and follow.
//!
//! *Promises*: works before, during and after the run; nothing is read into memory whole.
//!
//! *Not here*: opening and following (`api::follow`).

use std::fs::File;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_lab::sse;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::error::ApiError;
use super::follow::{LogStream, StreamSlot, Utf8, open, part, read_at};
use super::ids::{JobPath, JobPathText, job_of, single};
use crate::kernel::places::{JobFiles, StreamFile};
use crate::store::read;
use crate::store::rows::JobRow;

/// Bytes of one step backwards when the last lines are looked for.
const TAIL_BLOCK: u64 = 64 * 1024;
/// At most so many last lines.
pub const TAIL_LINES_MAX: u64 = 1_000_000;
const TEXT: &str = "text/plain; charset=utf-8";

/// Which part of a stream.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PartQuery {
    /// First byte.
    offset: Option<u64>,
    /// At most so many bytes.
    limit: Option<u64>,
    /// The last so many lines.
    tail: Option<u64>,
    /// Go on until the job ends.
    follow: Option<bool>,
}

/// `GET /jobs/{id}/script`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/script", tag = "jobs", params(JobPathText),
    responses((status = 200, content_type = "text/plain", body = String),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn script(app: web::Data<App>, id: JobPath) -> Result<HttpResponse, ApiError> {
    let (id, _) = job_of(&app, id.named()?).await?;
    let row = app.read_raw(move |conn| read::script(conn, id)).await?;
    let row = row.ok_or_else(|| ApiError::no_job(id))?;
    Ok(HttpResponse::Ok().content_type(TEXT).body(row.script))
}

/// `GET /jobs/{id}/stdout`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/stdout", tag = "jobs", params(JobPathText, PartQuery),
    responses((status = 200, content_type = "text/plain", body = String), (status = 206,
        content_type = "text/plain", body = String),
        (status = "4XX", body = super::wire::problem::Problem)))]
pub async fn stdout(
    app: web::Data<App>,
    request: HttpRequest,
    id: JobPath,
    query: web::Query<PartQuery>,
) -> Result<HttpResponse, ApiError> {
    serve(app, request, id, query.into_inner(), |files| files.stdout).await
}

/// `GET /jobs/{id}/stderr`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/stderr", tag = "jobs", params(JobPathText, PartQuery),
    responses((status = 200, content_type = "text/plain", body = String), (status = 206,
        content_type = "text/plain", body = String),
        (status = "4XX", body = super::wire::problem::Problem)))]
pub async fn stderr(
    app: web::Data<App>,
    request: HttpRequest,
    id: JobPath,
    query: web::Query<PartQuery>,
) -> Result<HttpResponse, ApiError> {
    serve(app, request, id, query.into_inner(), |files| files.stderr).await
}

/// The files of a job.
#[must_use]
pub fn files(app: &App, row: &JobRow) -> JobFiles {
    app.places.files(
        row.job(),
        row.working_directory.as_deref(),
        row.standard_output.as_deref(),
        row.standard_error.as_deref(),
    )
}

async fn serve(
    app: web::Data<App>,
    request: HttpRequest,
    id: JobPath,
    query: PartQuery,
    which: fn(JobFiles) -> StreamFile,
) -> Result<HttpResponse, ApiError> {
    let follow = query.follow == Some(true);
    let id = single(&app, id.named()?, follow).await?;
    let (row, _) = app.job(id).await?;
    let stream = which(files(&app, &row));
    // Before the start a file of that name is somebody else's.
    let file = if row.start_time.is_some() { open(&stream)? } else { None };
    let file = match file {
        Some(file) => Some(length(file)?),
        None => None,
    };
    let size = file.as_ref().map_or(0, |(_, size)| *size);
    let mut from = query.offset.unwrap_or(0);
    if let (Some(lines), Some((file, _))) = (query.tail, &file) {
        let file = file.try_clone().map_err(unreadable)?;
        let found = web::block(move || last_lines(&file, size, lines.min(TAIL_LINES_MAX))).await;
        from = found.map_err(unreadable)?.map_err(unreadable)?;
    }
    if follow {
        return follow_from(app, &request, id, stream, from);
    }
    let Some((file, size)) = file else {
        return Ok(HttpResponse::Ok().content_type(TEXT).body(""));
    };
    if query.offset.is_none()
        && query.tail.is_none()
        && let Some(range) = request.headers().get(header::RANGE)
    {
        return ranged(&request, range, file, size);
    }
    let to = query.limit.map_or(size, |limit| from.saturating_add(limit)).min(size);
    Ok(HttpResponse::Ok().content_type(TEXT).streaming(part(file, from.min(size), to)))
}

fn length(file: File) -> Result<(File, u64), ApiError> {
    let size = file.metadata().map_err(unreadable)?.len();
    Ok((file, size))
}

fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read the stream: {error}"))
}

/// Where the last `lines` lines begin.
///
/// # Errors
/// What the system says.
pub fn last_lines(file: &File, size: u64, lines: u64) -> std::io::Result<u64> {
    if lines == 0 {
        return Ok(size);
    }
    let mut wanted = lines;
    let mut end = size;
    while end > 0 {
        let begin = end.saturating_sub(TAIL_BLOCK);
        let block = read_at(file, begin, end - begin)?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let behind = begin + at as u64 + 1;
            // The newline that ends the file ends its last line and begins none.
            if behind == size {
                continue;
            }
            wanted -= 1;
            if wanted == 0 {
                return Ok(behind);
            }
        }
        end = begin;
    }
    Ok(0)
}

fn ranged(
    request: &HttpRequest,
    value: &header::HeaderValue,
    file: File,
    size: u64,
) -> Result<HttpResponse, ApiError> {
    let range = value.to_str().ok().and_then(|v| v.parse::<header::Range>().ok());
    let Some(header::Range::Bytes(specs)) = range else {
        return Ok(HttpResponse::Ok().content_type(TEXT).streaming(part(file, 0, size)));
    };
    let found = specs.first().and_then(|spec| spec.to_satisfiable_range(size));
    match found {
        Some((first, last)) => Ok(HttpResponse::PartialContent()
            .content_type(TEXT)
            .insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")))
            .streaming(part(file, first, last + 1))),
        None => {
            let detail = format!("the stream is {size} bytes long");
            let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, detail);
            Ok(error.answer_with(request, header::CONTENT_RANGE, &format!("bytes */{size}")))
        }
    }
}

fn follow_from(
    app: web::Data<App>,
    request: &HttpRequest,
    id: crate::kernel::ids::JobId,
    stream: StreamFile,
    from: u64,
) -> Result<HttpResponse, ApiError> {
    let slot = StreamSlot::take(&app)?;
    let as_events = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.contains("text/event-stream"));
    let resumed = request.headers().get("Last-Event-ID").and_then(|v| v.to_str().ok());
    let from = resumed.filter(|_| as_events).and_then(|id| id.parse().ok()).unwrap_or(from);
    let log = LogStream::follow(app, id, stream, from, slot);
    if as_events {
        let events = stream::unfold((log, Utf8::default()), |(mut log, mut text)| async move {
            let (bytes, offset) = log.next().await?.ok()?;
            let (text_now, kept) = text.push(&bytes);
            let data = sse::Data::new(text_now).id((offset - kept as u64).to_string());
            Some((Ok::<_, actix_web::Error>(sse::Event::Data(data)), (log, text)))
        });
        let sse = sse::Sse::from_stream(events);
        return Ok(actix_web::Responder::respond_to(sse, request).map_into_boxed_body());
    }
    let bytes = stream::unfold(log, |mut log| async move {
        let next = log.next().await?;
        Some((next.map(|(bytes, _)| bytes), log))
    });
    Ok(HttpResponse::Ok().content_type(TEXT).streaming(bytes))
}
