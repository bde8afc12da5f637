//! Layer 9: the command. The only place that prints and the only one that knows exit codes.
//!
//! Results go to stdout, talk to stderr. What a command does is a call on the library.

pub mod args;
mod bench;
pub mod cache;
mod check;
mod config;
mod doc;
mod eval;
mod explain;
mod export;
mod fmt;
mod gathered;
mod grad;
mod many;
mod moments;
pub mod new;
mod picture;
pub mod plot;
pub mod progress;
pub mod record;
mod run;
pub mod run_dir;
mod schema;
mod show;
pub mod table;
mod train;

use crate::backend::store::CodeCache;
use crate::base::span::Sources;
use crate::diag::render::{Format, render};
use crate::diag::{Diagnostic, Sink};
use crate::engine::{Diagnostics, Error, Model};
use crate::syntax::{Parsed, parse};
use args::{Cli, Color, Command, MessageFormat};
use clap::Parser;
use run::Ended;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a command ends; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Success = 0,
    /// The program or its data are wrong; diagnostics say how.
    Program = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The numbers went wrong while running: a step size collapsed, a NaN appeared.
    Numbers = 3,
    /// The fit did not converge.
    NotConverged = 4,
    /// A file could not be read or written.
    Io = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Where a command writes.
pub struct Console<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Talk.
    pub err: &'a mut dyn Write,
    /// How diagnostics are shown.
    pub format: Format,
    /// Whether they have colours.
    pub color: bool,
    /// Where machine code is kept.
    pub cache: Option<CodeCache>,
}

/// Runs the command line `args`, the name of the program first. Machine code is not kept.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    run_with(args, None, out, err)
}

/// The same with a folder for machine code.
pub fn run_with(
    args: impl IntoIterator<Item = OsString>,
    cache: Option<CodeCache>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            let _ = if wrong { write!(err, "{error}") } else { write!(out, "{error}") };
            return if wrong { Exit::Usage } else { Exit::Success };
        }
    };
    let color = match cli.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let format = match cli.message_format {
        MessageFormat::Full => Format::Full,
        MessageFormat::Short => Format::Short,
        MessageFormat::Json => Format::Json,
    };
    let mut console = Console { out, err, format, color, cache };
    match &cli.command {
        Command::Run(args) => console.run(args),
        Command::Eval(args) => console.eval(args),
        Command::Bench(args) => console.bench(args),
        Command::Check(args) => console.check(args),
        Command::Grad(args) => console.grad(args),
        Command::Fmt(args) => console.fmt(args),
        Command::Show(args) => console.show(args),
        Command::Doc(args) => console.doc(args),
        Command::Explain(args) => console.explain(args),
        Command::Config(args) => console.config(args),
        Command::Schema(args) => console.schema(args),
        Command::New(args) => console.new_model(args),
    }
}

impl Console<'_> {
    /// Reads and parses the model at `path`.
    fn parse(&mut self, path: &Path, sources: &mut Sources, sink: &mut Sink) -> Result<Parsed, Exit> {
        let text = self.read(path)?;
        let source = sources.add(path.display().to_string(), text.as_str());
        Ok(parse(source, &text, sink))
    }

    fn read(&mut self, path: &Path) -> Result<String, Exit> {
        std::fs::read_to_string(path).map_err(|error| {
            self.say(&format!("error: cannot read `{}`: {error}\n", path.display()));
            Exit::Io
        })
    }

    /// Reads and checks the model at `path`.
    fn load(&mut self, path: &Path) -> Result<Model, Ended> {
        let text = self.read(path).map_err(Ended::With)?;
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Model::from_text(&path.to_string_lossy(), &text, folder)
            .map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))
    }

    fn show_diagnostics(&mut self, diagnostics: &Diagnostics) {
        self.show_each(diagnostics.iter().as_slice(), diagnostics.sources());
    }

    /// Shows the messages, or the first of very many: nobody reads a thousand. Programs that read
    /// JSON get them all.
    fn show_each(&mut self, messages: &[Diagnostic], sources: &Sources) {
        /// The most that are shown to a person.
        const SHOWN: usize = 20;
        let shown = match self.format {
            Format::Full | Format::Short => messages.len().min(SHOWN),
            Format::Json => messages.len(),
        };
        let mut text = render(&messages[..shown], sources, self.format, self.color);
        if shown < messages.len() {
            let more = messages.len() - shown;
            text += &format!("and {more} more; `--message-format json` has them all\n");
        }
        self.say(&text);
    }

    /// Shows what was reported; the exit code that it amounts to.
    fn verdict(&mut self, sink: Sink, sources: &Sources) -> Exit {
        self.show_each(sink.diagnostics(), sources);
        if sink.has_errors() { Exit::Program } else { Exit::Success }
    }

    /// Text on stderr. A closed stream is no reason to fail.
    fn say(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    /// Text on stdout. A closed stream is no reason to fail.
    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }
}
