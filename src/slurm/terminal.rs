//! *Purpose*: a terminal for a program of a job.
//!
//! *Owns*: the two ends of it, and the line between them: the near end, where somebody sits; the
//! far end, a pseudo terminal in the job, below its supervisor.
//!
//! *Promises*: the server has no part in it, so it goes on while none runs. When either end is
//! gone, the other one hears of it at once.
//!
//! *Not here*: which programs get one (`srun`, `salloc`), the modes of one's own terminal
//! (`cli::raw_mode`).

mod far;
mod line;
mod manner;
mod near;

pub use self::far::{Carrying, start};
pub use self::manner::{Manner, both, given, is_of_nobody_else};
pub use self::near::{Attended, NearEnd, attend};
