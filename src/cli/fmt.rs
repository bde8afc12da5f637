//! `nodec fmt`: programs in the canonical layout.

use super::args::FmtArgs;
use super::{Console, Exit};
use crate::base::span::Sources;
use crate::diag::Sink;
use crate::syntax::format;
use std::path::Path;

impl Console<'_> {
    /// Rewrites the files, or with `--check` names those that would change.
    pub(super) fn fmt(&mut self, args: &FmtArgs) -> Exit {
        let mut worst = Exit::Success;
        for path in &args.files {
            let exit = self.fmt_file(path, args.check);
            if worst == Exit::Success {
                worst = exit;
            }
        }
        worst
    }

    /// One file. A file with mistakes is left as it is.
    fn fmt_file(&mut self, path: &Path, check: bool) -> Exit {
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let parsed = match self.parse(path, &mut sources, &mut sink) {
            Ok(parsed) => parsed,
            Err(exit) => return exit,
        };
        if sink.has_errors() {
            return self.verdict(sink, &sources);
        }
        let text = sources.text(parsed.file.source);
        let laid_out = format::format(&parsed.tokens, text);
        if laid_out == text {
            return Exit::Success;
        }
        if check {
            self.print(&format!("{}\n", path.display()));
            return Exit::Program;
        }
        match replace(path, &laid_out) {
            Ok(()) => Exit::Success,
            Err(error) => {
                self.say(&format!("error: cannot write `{}`: {error}\n", path.display()));
                Exit::Io
            }
        }
    }
}

/// Writes a sibling and gives it the name, so that no failure leaves half a program.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    let sibling = path.with_file_name(name);
    std::fs::write(&sibling, text)?;
    std::fs::set_permissions(&sibling, std::fs::metadata(&path)?.permissions())?;
    std::fs::rename(&sibling, &path)
}
