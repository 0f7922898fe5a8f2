//! *Purpose*: why a server does not start with its settings.
//!
//! *Owns*: [`ConfigError`].
//!
//! *Promises*: each sentence names the setting, or the table and its key, and what to do.
//!
//! *Not here*: reading settings (`config::resolve`, `config::settings`).

use std::path::PathBuf;

use super::trusted;

/// Why a server does not start with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `--config` names a file that is not there or not readable.
    #[error("the settings file {} is not read: {error}", .path.display())]
    FileUnread {
        /// The file.
        path: PathBuf,
        /// Why.
        error: trusted::Distrust,
    },
    /// A key of the file is wrong.
    #[error("in {}, {key}: {message}", .path.display())]
    FileWrong {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// A value is wrong.
    #[error("--{setting} (from {source_word}) {message}")]
    Wrong {
        /// The setting, as its flag is called.
        setting: &'static str,
        /// Where the value came from.
        source_word: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A table of the file makes no sense.
    #[error("in the settings file, {table}: {message}")]
    Table {
        /// Which.
        table: String,
        /// The key, and what is wrong.
        message: String,
    },
    /// All users are to be served by a server that cannot become them.
    #[error(
        "--people system needs root: each job runs as its owner; start the server as root, or \
         serve one user (--people one)"
    )]
    NotRoot,
    /// A token that several users share says of none who he is.
    #[error(
        "--people system takes no shared token, which says of nobody who he is: each user has \
         tokens of his own (`downbeat token create`); take DOWNBEAT_TOKEN, --token-file and those \
         of administrators away"
    )]
    SharedToken,
    /// Others could reach the server, and there is no token.
    #[error(
        "--listen {listen} can be reached from other machines, and no token is set, so anybody \
         could run commands here; set DOWNBEAT_TOKEN or --token-file, or listen on 127.0.0.1"
    )]
    TokenMissing {
        /// The address.
        listen: String,
    },
    /// No folder for state can be found.
    #[error("no home folder is known, so --data-dir has no default; name a folder")]
    NoDataDir,
}
