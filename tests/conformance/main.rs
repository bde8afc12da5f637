//! The language reference, run: every page is Markdown for people and a list of tests.
//!
//! A case is a `##` heading, prose, one `node` block, and what is expected of it:
//!
//! - `# error[E0304] 10-12` beside a line: this code at these columns of this line. The errors and
//!   warnings of a program are exactly those that are written; a program without any runs.
//! - `# x(end) = 1.5 within 1e-6` in the program: the value of a state, channel or curve at `end`, at
//!   `start` or at a time. `# work = 3 within 1e-9` is an output, metric or loss of the whole run,
//!   `# grad(work, k) = [1, 2] within 1e-6` its derivative, and `# steps = 10 exactly` the accepted
//!   steps. An error is absolute. Every value is checked on every back end, whose results must
//!   also be equal to the bit.
//! - A `diagnostics` block is the full message. Blocks `equations`, `tokens`, `ast`, `ir`, `grad`, `loops` and
//!   `clif` are what `nodec show` says. `UPDATE=1` rewrites all of these.
//!
//! The examples in the documentation of the standard library are cases too, `std/layers/MLP`.
//!
//! A block `csv NAME` or `node NAME` is a file beside the program.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod case;
mod page;

use libtest_mimic::{Arguments, Failed, Trial};
use page::Page;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut args = Arguments::from_args();
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        // Cases of one page write to one file.
        args.test_threads = Some(1);
    }
    let mut trials = Vec::new();
    let (mut on_every_back_end, mut of_messages) = (0, 0);
    for path in pages(&folder) {
        let name = path.strip_prefix(&folder).unwrap().with_extension("").display().to_string();
        for case in Page::read(&path).cases {
            match case.expects_messages() {
                true => of_messages += 1,
                false => on_every_back_end += 1,
            }
            let path = path.clone();
            trials.push(Trial::test(format!("{name}/{}", case.slug()), move || {
                if update { case::update(&path, &case.title) } else { case::check(&case) }
                    .map_err(Failed::from)
            }));
        }
    }
    for path in modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib")) {
        let name = path.file_stem().unwrap().display().to_string();
        for case in Page::of_module(&path).cases {
            on_every_back_end += 1;
            trials.push(Trial::test(format!("std/{name}/{}", case.slug()), move || {
                case::check(&case).map_err(Failed::from)
            }));
        }
    }
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list && !args.quiet {
        let back_ends = case::BACK_ENDS.join(" and ");
        println!("{on_every_back_end} cases run on {back_ends}; {of_messages} are of messages.");
        println!("Devices: none but the processor has a back end yet.");
    }
    conclusion.exit_code()
}

/// Every module of the standard library.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Every page below `folder`, in the order of the names.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}
