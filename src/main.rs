//! The `nodec` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodec::cli::run(std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr()).into()
}
