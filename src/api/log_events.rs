//! *Purpose*: a job's output as server-sent events.
//!
//! *Owns*: [`events`], their ids, how bytes stand in them, and how such a stream ends.
//!
//! *Promises*: the id of an event is the offset behind it; a file that begins anew is told by
//! `anew`; a stream whose job has ended ends with
//! `end`, one that cannot go on with `problem`, and one of a server that stops with neither.
//!
//! *Not here*: the bytes (`api::log_stream`), who may follow (`api::streams`).

use actix_web_lab::sse;
use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use utoipa::ToSchema;

use super::log_stream::{LogStream, Piece, Utf8};
use super::render;

/// How the bytes stand in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As RFC 4648 has it, with padding.
    Base64,
}

/// One event of a stream.
type Sent = Result<sse::Event, actix_web::Error>;

struct Teller {
    log: LogStream,
    text: Utf8,
    encoding: Option<Encoding>,
    /// Where what was sent last ends.
    offset: u64,
    /// The last event was sent.
    over: bool,
}

/// What is followed, as events.
pub fn events(log: LogStream, encoding: Option<Encoding>) -> impl Stream<Item = Sent> {
    let teller = Teller { log, text: Utf8::default(), encoding, offset: 0, over: false };
    stream::unfold(teller, |mut teller| async move {
        let data = teller.next().await?;
        Some((Ok(sse::Event::Data(data)), teller))
    })
}

impl Teller {
    async fn next(&mut self) -> Option<sse::Data> {
        if self.over {
            return None;
        }
        match self.log.next().await {
            Some(Ok(Piece::Bytes(bytes, offset))) => {
                let (data, kept) = match self.encoding {
                    Some(Encoding::Base64) => (BASE64_STANDARD.encode(&bytes), 0),
                    None => self.text.push(&bytes),
                };
                self.offset = offset;
                Some(sse::Data::new(data).id((offset - kept as u64).to_string()))
            }
            Some(Ok(Piece::Anew(why))) => {
                self.text = Utf8::default();
                Some(sse::Data::new(why.to_string()).event("anew").id("0"))
            }
            Some(Err(error)) => {
                self.over = true;
                Some(sse::Data::new(error.to_string()).event("problem"))
            }
            None => self.last(),
        }
    }

    /// What is left when nothing follows: half a character, then how the job ended.
    fn last(&mut self) -> Option<sse::Data> {
        if let Some(text) = self.text.finish() {
            return Some(sse::Data::new(text).id(self.offset.to_string()));
        }
        self.over = true;
        let end = render::end(self.log.ended()?);
        Some(sse::Data::new(serde_json::to_string(&end).ok()?).event("end"))
    }
}
