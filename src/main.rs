//! The `nodec` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let cache = nodec::cli::cache::of_user(|name| std::env::var_os(name));
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    nodec::cli::run_with(std::env::args_os(), cache, &mut out, &mut err).into()
}
