//! *Purpose*: what the two ends of a terminal tell each other.
//!
//! *Owns*: [`Frame`], and how one is written.
//!
//! *Promises*: no frame is larger than [`BYTES_MAX`]; one that is none is an error.
//!
//! *Not here*: who tells what (`near`, `far`).

use std::io::{self, ErrorKind, Read, Write};

/// Most bytes in one frame: what a terminal takes at once is far less.
pub const BYTES_MAX: usize = 16 * 1024;

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The far end is there.
    Hello,
    /// What was typed, or is shown.
    Bytes(Vec<u8>),
    /// How large the terminal is.
    Size(Size),
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// Tells one frame, at once: two threads may tell frames in turn.
///
/// # Errors
/// When nobody is at the other end.
pub fn send(mut to: impl Write, frame: &Frame) -> io::Result<()> {
    let (kind, content) = match frame {
        Frame::Hello => (b'h', Vec::new()),
        Frame::Bytes(bytes) => (b'b', bytes.clone()),
        Frame::Size(size) => (b's', [size.rows.to_le_bytes(), size.columns.to_le_bytes()].concat()),
    };
    let count = u16::try_from(content.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let mut whole = vec![kind];
    whole.extend(count.to_le_bytes());
    whole.extend(content);
    to.write_all(&whole)
}

/// Hears one frame; `None` when the other end is gone.
///
/// # Errors
/// When what is heard is none.
pub fn receive(mut from: impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; 3];
    match from.read_exact(&mut head) {
        Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            return Ok(None);
        }
        other => other?,
    }
    let [kind, low, high] = head;
    let count = usize::from(u16::from_le_bytes([low, high]));
    if count > BYTES_MAX {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; count];
    from.read_exact(&mut content)?;
    match (kind, content.as_slice()) {
        (b'h', []) => Ok(Some(Frame::Hello)),
        (b'b', _) => Ok(Some(Frame::Bytes(content))),
        (b's', [r, ows, c, olumns]) => Ok(Some(Frame::Size(Size {
            rows: u16::from_le_bytes([*r, *ows]),
            columns: u16::from_le_bytes([*c, *olumns]),
        }))),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_heard_as_it_was_told() {
        let size = Size { rows: 50, columns: 300 };
        let all = [Frame::Hello, Frame::Bytes(b"ls\r".to_vec()), Frame::Size(size)];
        let mut told = Vec::new();
        all.iter().for_each(|frame| send(&mut told, frame).unwrap());
        let mut rest = told.as_slice();
        for frame in all {
            assert_eq!(receive(&mut rest).unwrap(), Some(frame));
        }
        assert_eq!(receive(&mut rest).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bad in [&b"x\0\0"[..], b"h\x01\0a", b"s\x02\0ab", b"b\xff\xff", b"b\x05\0ab"] {
            assert!(receive(bad).is_err(), "{bad:?}");
        }
        let far_too_many = Frame::Bytes(vec![0; 1 << 16]);
        assert!(send(Vec::new(), &far_too_many).is_err());
    }
}
