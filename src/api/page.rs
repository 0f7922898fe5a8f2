//! *Purpose*: pages of lists that are answered bare.
//!
//! *Owns*: [`PageQuery`], and the header that leads to the next page.
//!
//! *Promises*: the body of such a list is a list, with pages as without; whoever follows `Link`
//! gets each entry that stays once.
//!
//! *Not here*: the list of jobs, whose body has its own `next_cursor` (`api::jobs`).

use actix_web::http::header;
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::error::ApiError;
use crate::store::filter::PAGE_MAX;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// 1 to 1000, the default. Where there is more, a header `Link` with `rel="next"` leads there.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<i64>,
    /// Goes on behind an entry, as `Link` says it.
    pub(super) cursor: Option<String>,
}

/// The limit of a page, if it is one.
///
/// # Errors
/// 400 when it is none.
pub fn limit(asked: Option<i64>, default: i64) -> Result<i64, ApiError> {
    let limit = asked.unwrap_or(default);
    let wrong = || ApiError::parameter("limit", format!("is a number from 1 to {PAGE_MAX}"));
    (1..=PAGE_MAX).contains(&limit).then_some(limit).ok_or_else(wrong)
}

/// A cursor that is the number of an entry.
///
/// # Errors
/// 400 when it is none.
pub fn number(cursor: Option<&str>) -> Result<Option<i64>, ApiError> {
    let unknown = |_| ApiError::parameter("cursor", "is not a cursor that this server gave");
    cursor.map(|cursor| cursor.parse().map_err(unknown)).transpose()
}

/// Answers a page; `next` is the cursor of what follows.
pub fn answer<T: Serialize>(
    request: &HttpRequest,
    page: &[T],
    next: Option<String>,
) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if let Some(next) = next {
        answer.insert_header((header::LINK, format!("<{}>; rel=\"next\"", link(request, &next))));
    }
    answer.json(page)
}

/// The same question with another cursor.
fn link(request: &HttpRequest, cursor: &str) -> String {
    let asked = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let asked = asked.map(Query::into_inner).unwrap_or_default();
    let kept = asked.iter().filter(|(name, _)| !matches!(name.as_str(), "cursor" | "before"));
    let all = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let pair = |(name, value): (&str, &str)| {
        format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
    };
    let pairs: Vec<String> = all.chain([("cursor", cursor)]).map(pair).collect();
    format!("{}?{}", request.path(), pairs.join("&"))
}

impl PageQuery {
    /// The limit, and the number behind which the page begins.
    ///
    /// # Errors
    /// 400 for what is none.
    pub fn numbers(&self) -> Result<(i64, Option<i64>), ApiError> {
        Ok((limit(self.limit, PAGE_MAX)?, number(self.cursor.as_deref())?))
    }

    /// Answers this page of a list that is at hand as a whole; `key` tells its entries apart.
    ///
    /// # Errors
    /// 400 for what is no limit, and for a cursor whose entry is gone.
    pub fn of<T: Serialize>(
        &self,
        request: &HttpRequest,
        all: &[T],
        key: impl Fn(&T) -> String,
    ) -> Result<HttpResponse, ApiError> {
        let limit = limit(self.limit, PAGE_MAX)? as usize;
        let from = match &self.cursor {
            None => 0,
            Some(cursor) => {
                let gone =
                    || ApiError::parameter("cursor", "names no entry; begin anew without it");
                all.iter().position(|one| key(one) == *cursor).ok_or_else(gone)? + 1
            }
        };
        let page = &all[from..all.len().min(from + limit)];
        let next = page.last().filter(|_| from + page.len() < all.len()).map(key);
        Ok(answer(request, page, next))
    }
}
