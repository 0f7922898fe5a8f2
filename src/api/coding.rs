//! *Purpose*: bodies that are sent packed.
//!
//! *Owns*: [`Coding`], which `Content-Encoding` is taken; [`unpack`].
//!
//! *Promises*: what is read of a packed body is bounded while it is unpacked, not afterwards; a
//! coding that nobody here reads is refused by name, with those that are taken.
//!
//! *Not here*: the bounds (`api::intake`).

use std::io::{self, Read};

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;

use super::code::Code;
use super::error::{ApiError, CODING_TAKEN};

/// Bytes that are unpacked in one step: so far a body may be read beyond its bound.
const STEP: usize = 64 * 1024;

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Plain,
    /// Packed by gzip.
    Gzip,
}

impl Coding {
    /// What the headers of a request say of its body.
    ///
    /// # Errors
    /// 415 for what is not read here, among it several codings one upon the other.
    pub(super) fn of(headers: &HeaderMap) -> Result<Coding, ApiError> {
        let mut coding = Coding::Plain;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let said = String::from_utf8_lossy(value.as_bytes());
            let words = said.split(',').map(|word| word.trim().to_ascii_lowercase());
            for word in words.filter(|word| !word.is_empty() && word != "identity") {
                // `x-gzip` is its old name (RFC 9110, 8.4.1.3).
                let known = matches!(word.as_str(), "gzip" | "x-gzip");
                if !known || coding == Coding::Gzip {
                    return Err(unread(&said));
                }
                coding = Coding::Gzip;
            }
        }
        Ok(coding)
    }
}

fn unread(said: &str) -> ApiError {
    let detail = format!(
        "Content-Encoding \"{said}\" is not read here; send the body as it is, or packed once by \
         {CODING_TAKEN} (Content-Encoding: {CODING_TAKEN})"
    );
    ApiError::new(Code::UnsupportedContentEncoding, detail)
}

/// What a body holds that was packed by gzip. `grow` is asked before so many bytes more are kept.
///
/// # Errors
/// 400 when it is not so packed, or cut off; `too_large` when it holds more than `most`; what
/// `grow` says.
pub(super) fn unpack(
    packed: &[u8],
    most: usize,
    mut grow: impl FnMut(usize) -> Result<(), ApiError>,
    too_large: impl Fn() -> ApiError,
) -> Result<Bytes, ApiError> {
    let mut from = MultiGzDecoder::new(packed);
    let (mut whole, mut step) = (BytesMut::new(), vec![0; STEP]);
    loop {
        let read = match from.read(&mut step) {
            Ok(0) => return Ok(whole.freeze()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let detail = format!("the body is not what Content-Encoding: gzip says: {error}");
                return Err(ApiError::new(Code::MalformedBody, detail));
            }
        };
        if whole.len() + read > most {
            return Err(too_large());
        }
        grow(read)?;
        whole.extend_from_slice(&step[..read]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use actix_web::http::header::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), Compression::default());
        to.write_all(text).unwrap();
        to.finish().unwrap()
    }

    fn read(body: &[u8], most: usize) -> Result<Bytes, u16> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "too large");
        unpack(body, most, |_| Ok(()), too_large).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn a_packed_body_is_read_within_its_bound_and_no_further() {
        let text = b"0123456789";
        assert_eq!(read(&packed(text), 10).unwrap(), &text[..]);
        assert_eq!(read(&packed(text), 9), Err(413));
        let two = [packed(text), packed(text)].concat();
        assert_eq!(read(&two, 20).unwrap().len(), 20);
        let bomb = packed(&vec![0; 64 << 20]);
        let mut kept = 0;
        let count = |more| {
            kept += more;
            Ok(())
        };
        let refused = unpack(&bomb, 1 << 20, count, || ApiError::new(Code::BodyTooLarge, "large"));
        assert_eq!(refused.unwrap_err().status.as_u16(), 413);
        assert!(kept <= 1 << 20, "{kept}");
    }

    #[test]
    fn what_is_not_packed_or_cut_off_or_followed_by_something_is_refused() {
        let whole = packed(b"0123456789");
        let followed = [&whole[..], b"{}"].concat();
        for body in [b"{\"script\": \"true\"}", &whole[..whole.len() - 4], &whole[..5], &followed] {
            assert_eq!(read(body, 100), Err(400), "{body:?}");
        }
    }

    #[test]
    fn a_coding_is_gzip_or_none_and_everything_else_is_refused_with_what_is_taken() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            Coding::of(&headers)
        };
        for plain in [&[][..], &["identity"], &[""]] {
            assert_eq!(of(plain).unwrap(), Coding::Plain, "{plain:?}");
        }
        for packed in [&["gzip"][..], &["GZip"], &["x-gzip"], &["identity, gzip"]] {
            assert_eq!(of(packed).unwrap(), Coding::Gzip, "{packed:?}");
        }
        for other in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["deflate"], &["zstd"]] {
            let refused = of(other).unwrap_err();
            assert_eq!(refused.status.as_u16(), 415, "{other:?}");
            assert!(refused.detail.contains("Content-Encoding: gzip"), "{}", refused.detail);
        }
    }
}
