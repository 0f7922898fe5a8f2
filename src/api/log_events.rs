//! *Purpose*: a job's output as server-sent events.
//!
//! *Owns*: [`events`], their ids, and how such a stream ends.
//!
//! *Promises*: the id of an event is the offset behind it; a stream whose job has ended ends with
//! `end`, one that cannot go on with `problem`, and one of a server that stops with neither.
//!
//! *Not here*: the bytes (`api::log_stream`), who may follow (`api::streams`).

use actix_web_lab::sse;
use futures_util::stream::{self, Stream};

use super::log_stream::{LogStream, Utf8};
use super::render;

/// One event of a stream.
type Sent = Result<sse::Event, actix_web::Error>;

struct Teller {
    log: LogStream,
    text: Utf8,
    /// Where what was sent last ends.
    offset: u64,
    /// The last event was sent.
    over: bool,
}

/// What is followed, as events.
pub fn events(log: LogStream) -> impl Stream<Item = Sent> {
    let teller = Teller { log, text: Utf8::default(), offset: 0, over: false };
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
            Some(Ok((bytes, offset))) => {
                let (text, kept) = self.text.push(&bytes);
                self.offset = offset;
                Some(sse::Data::new(text).id((offset - kept as u64).to_string()))
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
