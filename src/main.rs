//! *Purpose*: picks a role.
//!
//! *Owns*: nothing.
//!
//! *Promises*: the step daemon is entered before anything else happens in the process: no
//! thread is started, nothing is read.
//!
//! *Not here*: the roles themselves.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [role, flag, data_dir] if role == "stepd" && flag == "--data-dir" => {
            downbeat::engine::local::stepd::main(&PathBuf::from(data_dir))
        }
        _ => ExitCode::from(2),
    }
}
