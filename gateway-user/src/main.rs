//! The command `tollgate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway_user::cli::main()
}
