//! *Purpose*: the GPUs of this machine: which there are, how a job is told which are its own,
//! who uses them, and how busy they are.
//!
//! *Owns*: [`Gpu`] and its identity; the order in which GPUs are counted.
//!
//! *Promises*: no library of a vendor is needed: what the drivers show below `/proc`, `/sys` and
//! `/dev` is read, below any root, so that tests bring trees of their own; what cannot be read is
//! an error, and nobody's use of a card that could not be asked for is never taken for none.
//!
//! *Not here*: who holds a GPU (`resources`), keeping a job from the others
//! (`engine::local::devices`).

mod amd;
mod discover;
mod gpu;
mod load;
mod mig;
mod nvidia;
mod read;
mod smi;
pub mod usage;
pub mod visible;

pub use discover::discover;
pub use gpu::{DeviceNode, DiscoverError, GPUS_MAX, Gpu, Vendor};
pub use load::GpuLoad;
