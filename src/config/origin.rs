//! *Purpose*: where each value of the settings came from.
//!
//! *Owns*: [`Origin`], [`Setting`].
//!
//! *Promises*: nothing printed or served of them holds a secret.
//!
//! *Not here*: deciding which counts (`config::resolve`).

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A `DOWNBEAT_*` variable.
    Environment,
    /// `downbeat.toml`.
    File,
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// The word in `/info`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "file",
            Origin::Default => "default",
        }
    }
}

/// One line of the effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in the file.
    pub name: &'static str,
    /// As text, secrets hidden.
    pub value: String,
    /// Where it came from.
    pub source: Origin,
}
