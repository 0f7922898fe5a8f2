//! *Purpose*: where the last lines of a file begin.
//!
//! *Owns*: [`last_lines`].
//!
//! *Promises*: a bounded number of bytes is looked through, whatever the file is; the work stops
//! when nobody waits for it.
//!
//! *Not here*: who asks (`api::streams`, `api::seed`).

use std::fs::File;
use std::io;

use super::files::Asker;
use super::log_stream::read_at;

/// Bytes of one step backwards.
const BLOCK: u64 = 64 * 1024;
/// At most so many last lines.
pub const LINES_MAX: u64 = 1_000_000;
/// At most so many bytes are looked through: long lines are cut there, and a sparse file of
/// terabytes has no lines.
pub const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The beginning of the last lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// First byte.
    pub from: u64,
    /// Whether the lines begin further ahead, beyond what was looked through.
    pub is_cut: bool,
}

/// Where the last `lines` lines of a file of `size` bytes begin.
///
/// # Errors
/// What the system says.
pub fn last_lines(file: &File, size: u64, lines: u64, asker: &Asker) -> io::Result<Tail> {
    let at = |from, is_cut| Ok(Tail { from, is_cut });
    let first = size.saturating_sub(BYTES_MAX);
    let (mut wanted, mut end) = (lines.min(LINES_MAX), size);
    if wanted == 0 {
        return at(size, false);
    }
    while end > first {
        if !asker.waits() {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let begin = end.saturating_sub(BLOCK).max(first);
        let block = read_at(file, begin, end - begin)?;
        for (n, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let behind = begin + n as u64 + 1;
            // The newline that ends the file ends its last line and begins none.
            if behind == size {
                continue;
            }
            wanted -= 1;
            if wanted == 0 {
                return at(behind, false);
            }
        }
        end = begin;
    }
    at(first, first > 0)
}
