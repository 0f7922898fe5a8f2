//! *Purpose*: a job's script and its streams, as bytes.
//!
//! *Owns*: `/script`, `/stdout`, `/stderr` with offset, limit, tail, Range and follow.
//!
//! *Promises*: works before, during and after the run; nothing is read into memory whole; where the
//! last lines are too long to be looked through, the answer says at which byte it begins; an answer
//! that is empty because there is no file says why there is none.
//!
//! *Not here*: opening and following (`api::log_stream`).

use std::fs::File;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_lab::sse;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::events::{KEEP_ALIVE, LAST_EVENT_ID, last_event_id};
use super::files::{Asker, Kept};
use super::job_path::{JobPath, JobPathText, row_of, single};
use super::let_in::LetIn;
use super::log_events::{Encoding, events};
use super::log_stream::{LogStream, Piece, Wanted, is_one_file, part, size};
use super::opener::Opener;
use super::safe_headers::OF_OUTPUT;
use super::tail::{BYTES_MAX, Tail, last_lines};
use crate::job::array_spec::JobRef;
use crate::job::files::{JobFiles, StreamFile};
use crate::job::ids::JobId;
use crate::job::script;
use crate::kernel::access::Action;
use crate::store::record::JobRecord;

/// Says where the answer to `tail` begins, when the lines begin further ahead.
const TAIL_CUT: &str = "x-tail-cut";
/// Says why there is no file to read: a word of [`Absent`].
const ABSENT: &str = "x-output-absent";
const TEXT: &str = "text/plain; charset=utf-8";
/// That of a script in an encoding that nobody knows.
const BYTES: &str = "application/octet-stream";

/// Which part of a stream.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PartQuery {
    /// First byte.
    offset: Option<u64>,
    /// At most so many bytes.
    limit: Option<u64>,
    /// The last so many lines; of the last 64 MiB, and `X-Tail-Cut` says so when that is less.
    tail: Option<u64>,
    /// Go on until the job ends.
    follow: Option<bool>,
    /// Of standard error: nothing where it is the same file as standard output.
    apart: Option<bool>,
    /// `base64`: the events of a followed stream hold its bytes as they are, not as lossy text.
    encoding: Option<Encoding>,
}

/// Why there is no file to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    NotStarted,
    Nowhere,
    Gone,
    Joined,
}

impl Absent {
    fn word(self) -> &'static str {
        match self {
            Absent::NotStarted => "not-started",
            Absent::Nowhere => "nowhere",
            Absent::Gone => "gone",
            Absent::Joined => "joined",
        }
    }
}

/// `GET /jobs/{id}/script`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/script", tag = "jobs",
    description = "The script as it was submitted.", params(JobPathText),
    responses((status = 200, content_type = "text/plain", body = String),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn script(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    let (script, is_bytes) = script_of(&app, &caller, id.named()?).await?;
    let kind = if is_bytes { BYTES } else { TEXT };
    Ok(HttpResponse::Ok().content_type(kind).insert_header(OF_OUTPUT).body(script))
}

/// The script of a job, and whether it is in an encoding that nobody knows.
///
/// # Errors
/// 404, 403, and what the database says.
pub async fn script_of(
    app: &App,
    caller: &Caller,
    of: JobRef,
) -> Result<(Vec<u8>, bool), ApiError> {
    let ((job, _), _) = row_of(app, caller, Action::ReadDetails, of).await?;
    let id = job.id;
    let row = app.read_raw(move |db| db.script(id)).await?;
    let row = row.ok_or_else(|| ApiError::no_job(id))?;
    let is_bytes = job.spec.invocation.script_is_bytes;
    Ok((script::to_bytes(row.script, is_bytes), is_bytes))
}

/// `GET /jobs/{id}/stdout`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/stdout", tag = "jobs",
    description = "Standard output, before, during and after the run: the whole, a part by \
        `offset` and `limit`, the last lines by `tail`, a `Range`; with `follow` \
        until the job ends. As server-sent events (`Accept: text/event-stream`) each \
        has as id the offset behind it, `Last-Event-ID` goes on there, and the last \
        is an event `end` whose data is a `StreamEnd` as JSON, or `problem` with a \
        sentence.", params(JobPathText, PartQuery),
    responses((status = 200, content_type = "text/plain", body = String), (status = 206,
        content_type = "text/plain", body = String),
        (status = "4XX", body = super::wire::problem::Problem)))]
pub async fn stdout(
    app: web::Data<App>,
    request: HttpRequest,
    id: JobPath,
    query: web::Query<PartQuery>,
) -> Result<HttpResponse, ApiError> {
    serve(app, request, id, query.into_inner(), |files| (files.stdout, None)).await
}

/// `GET /jobs/{id}/stderr`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/stderr", tag = "jobs",
    description = "Standard error; see standard output.", params(JobPathText, PartQuery),
    responses((status = 200, content_type = "text/plain", body = String), (status = 206,
        content_type = "text/plain", body = String),
        (status = "4XX", body = super::wire::problem::Problem)))]
pub async fn stderr(
    app: web::Data<App>,
    request: HttpRequest,
    id: JobPath,
    query: web::Query<PartQuery>,
) -> Result<HttpResponse, ApiError> {
    serve(app, request, id, query.into_inner(), |files| (files.stderr, Some(files.stdout))).await
}

/// The files of a job.
#[must_use]
pub fn files(app: &App, row: &JobRecord) -> JobFiles {
    app.places.files(
        row.id,
        row.spec.working_directory.as_deref(),
        row.spec.standard_output.as_deref(),
        row.spec.standard_error.as_deref(),
    )
}

async fn serve(
    app: web::Data<App>,
    request: HttpRequest,
    id: JobPath,
    query: PartQuery,
    which: fn(JobFiles) -> (StreamFile, Option<StreamFile>),
) -> Result<HttpResponse, ApiError> {
    let follow = query.follow == Some(true);
    let caller = Caller::of(&request)?;
    let id = single(&app, &caller, id.named()?, follow).await?;
    let (row, _) = app.job(id).await?;
    let (stream, other) = which(files(&app, &row));
    let apart_from = other.filter(|_| query.apart == Some(true));
    let found = match row.start_time {
        _ if stream.is_nowhere() => Err(Absent::Nowhere),
        // Before the start a file of that name is somebody else's.
        None => Err(Absent::NotStarted),
        Some(_) => {
            let (files, lines) = ((stream.clone(), apart_from.clone()), query.tail);
            let opener = app.opener(&row);
            let work = move |asker: &Asker| look(&opener, files, lines, asker);
            app.files.read((id, row.owner), work).await??
        }
    };
    let tail = found.as_ref().ok().and_then(|(_, _, tail)| *tail);
    let from = tail.map_or(query.offset.unwrap_or(0), |tail| tail.from);
    if follow {
        let size = found.as_ref().map_or(0, |(_, size, _)| *size);
        let resumed = resumed(&request, (&row, size))?;
        let from = resumed.unwrap_or(from);
        // Who has got so many bytes knows that there were so many.
        let (seen, opener) = (resumed.unwrap_or(0), app.opener(&row));
        let wanted = Wanted { stream, apart_from, from, seen, opener };
        return follow_from((app, id), &request, wanted, query.encoding);
    }
    let mut answer = HttpResponse::Ok();
    answer.content_type(TEXT).insert_header(OF_OUTPUT);
    let (file, size, _) = match found {
        Ok(found) => found,
        Err(absent) => return Ok(answer.insert_header((ABSENT, absent.word())).body("")),
    };
    let file = app.files.kept((id, row.owner), file);
    if query.offset.is_none()
        && query.tail.is_none()
        && let Some(range) = request.headers().get(header::RANGE)
    {
        return ranged((app, file, size), &request, range);
    }
    if let Some(Tail { from, is_cut: true }) = tail {
        answer.insert_header((TAIL_CUT, cut_said(from)));
    }
    let to = query.limit.map_or(size, |limit| from.saturating_add(limit)).min(size);
    Ok(answer.streaming(part(app, file, (from.min(size), to))))
}

fn cut_said(from: u64) -> String {
    format!("begins at byte {from}: only the last {BYTES_MAX} bytes are looked through for lines")
}

/// The file, its length, and where the last lines begin if they are wanted.
type Found = Result<(File, u64, Option<Tail>), Absent>;

fn look(
    opener: &Opener,
    (stream, apart_from): (StreamFile, Option<StreamFile>),
    lines: Option<u64>,
    asker: &Asker,
) -> Result<Found, ApiError> {
    let Some(file) = opener.open(&stream)? else { return Ok(Err(Absent::Gone)) };
    if apart_from.is_some_and(|other| is_one_file(&file, opener.open(&other))) {
        return Ok(Err(Absent::Joined));
    }
    let size = size(&file).map_err(unreadable)?;
    let tail = lines.map(|lines| last_lines(&file, size, lines, asker));
    Ok(Ok((file, size, tail.transpose().map_err(unreadable)?)))
}

fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::Internal, format!("cannot read the stream: {error}"))
}

fn ranged(
    (app, file, size): (web::Data<App>, Kept, u64),
    request: &HttpRequest,
    value: &header::HeaderValue,
) -> Result<HttpResponse, ApiError> {
    let range = value.to_str().ok().and_then(|v| v.parse::<header::Range>().ok());
    let Some(header::Range::Bytes(specs)) = range else {
        let whole = part(app, file, (0, size));
        return Ok(HttpResponse::Ok().content_type(TEXT).insert_header(OF_OUTPUT).streaming(whole));
    };
    let found = specs.first().and_then(|spec| spec.to_satisfiable_range(size));
    match found {
        Some((first, last)) => Ok(HttpResponse::PartialContent()
            .content_type(TEXT)
            .insert_header(OF_OUTPUT)
            .insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")))
            .streaming(part(app, file, (first, last + 1)))),
        None => {
            let detail = format!("the stream is {size} bytes long");
            let error = ApiError::new(Code::RangeNotSatisfiable, detail);
            Ok(error.answer_with(request, header::CONTENT_RANGE, &format!("bytes */{size}")))
        }
    }
}

fn as_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|v| v.contains("text/event-stream"))
}

/// Where a client goes on that comes back to a stream of so many bytes.
fn resumed(request: &HttpRequest, (row, size): (&JobRecord, u64)) -> Result<Option<u64>, ApiError> {
    match last_event_id(request)?.filter(|_| as_events(request)) {
        // It may be of an earlier attempt, whose stream was another.
        Some(id) if id > size && row.restarts > 0 => Ok(Some(0)),
        Some(id) if id > size => {
            let message = format!("is {id}, and the stream has {size} bytes so far");
            Err(ApiError::parameter(LAST_EVENT_ID, message))
        }
        id => Ok(id),
    }
}

fn follow_from(
    (app, id): (web::Data<App>, JobId),
    request: &HttpRequest,
    wanted: Wanted,
    encoding: Option<Encoding>,
) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(request)?;
    let place = app.streams.take(&caller)?;
    let let_in = LetIn::now(&app, &caller);
    if as_events(request) || encoding.is_some() {
        let log = LogStream::follow((app, let_in), id, wanted, place);
        let sse = sse::Sse::from_stream(events(log, encoding)).with_keep_alive(KEEP_ALIVE);
        return Ok(actix_web::Responder::respond_to(sse, request).map_into_boxed_body());
    }
    let log = LogStream::follow((app, let_in), id, wanted, place);
    let bytes = stream::unfold(log, |mut log| async move {
        loop {
            match log.next().await? {
                // Nothing but bytes has a place among bytes.
                Ok(Piece::Anew(_)) => {}
                Ok(Piece::Bytes(bytes, _)) => return Some((Ok(bytes), log)),
                Err(error) => return Some((Err(error), log)),
            }
        }
    });
    Ok(HttpResponse::Ok().content_type(TEXT).insert_header(OF_OUTPUT).streaming(bytes))
}
