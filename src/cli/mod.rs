//! Layer 9: the command. The only place that prints and the only one that knows exit codes.
//!
//! Results go to stdout, talk to stderr. What a command does is a call on the library.

pub mod args;
pub mod plot;
pub mod progress;
pub mod run_dir;
pub mod table;

use crate::base::span::{SourceId, Sources};
use crate::diag::{Diagnostic, Severity, Sink};
use crate::settings::{self, Request};
use crate::syntax::ast::{File, ItemKind};
use crate::syntax::parser::{Parsed, parse};
use args::{Cli, Command, ConfigArgs, MessageFormat, SchemaArgs};
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
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
    pub format: MessageFormat,
}

/// Runs the command line `args`, the name of the program first.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            let _ = if wrong { write!(err, "{error}") } else { write!(out, "{error}") };
            return if wrong { Exit::Usage } else { Exit::Success };
        }
    };
    let mut console = Console { out, err, format: cli.message_format };
    match &cli.command {
        Command::Check(args) => console.check(&args.file),
        Command::Config(args) => console.config(args),
        Command::Schema(args) => console.schema(args),
        Command::Run(_) => console.not_built("run"),
        Command::Fmt(_) => console.not_built("fmt"),
        Command::Show(_) => console.not_built("show"),
        Command::Explain(_) => console.not_built("explain"),
    }
}

impl Console<'_> {
    /// `nodec check`: for the moment what the parser finds.
    fn check(&mut self, path: &Path) -> Exit {
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        match self.parse(path, &mut sources, &mut sink) {
            Ok(_) => self.verdict(sink, &sources),
            Err(exit) => exit,
        }
    }

    /// `nodec config`
    fn config(&mut self, args: &ConfigArgs) -> Exit {
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let parsed = match self.parse(&args.file, &mut sources, &mut sink) {
            Ok(parsed) => parsed,
            Err(exit) => return exit,
        };
        if sink.has_errors() {
            return self.verdict(sink, &sources);
        }
        let names = names_to_set(&parsed.file);
        let flags = args.settings.flags();
        let profile = args.settings.profile.as_deref();
        let request = Request { file: &parsed.file, profile, flags: &flags, names: &names };
        if let Some((settings, _)) = settings::resolve(&request, &mut sources, &mut sink) {
            self.print(&settings::listing(&settings.resolved, &sources));
        }
        self.verdict(sink, &sources)
    }

    /// `nodec schema`
    fn schema(&mut self, args: &SchemaArgs) -> Exit {
        let text = match self.read(&args.file) {
            Ok(text) => text,
            Err(exit) => return exit,
        };
        match crate::data::schema(&args.file.display().to_string(), &text) {
            Ok(item) => {
                self.print(&item);
                Exit::Success
            }
            Err(reason) => {
                self.say(&format!("error: {reason}"));
                Exit::Program
            }
        }
    }

    fn not_built(&mut self, command: &str) -> Exit {
        self.say(&format!("error[E0290]: `nodec {command}` is not supported yet"));
        Exit::Program
    }

    fn parse(&mut self, path: &Path, sources: &mut Sources, sink: &mut Sink) -> Result<Parsed, Exit> {
        let text = self.read(path)?;
        let source: SourceId = sources.add(path.display().to_string(), text.as_str());
        Ok(parse(source, &text, sink))
    }

    fn read(&mut self, path: &Path) -> Result<String, Exit> {
        std::fs::read_to_string(path).map_err(|error| {
            self.say(&format!("error: cannot read `{}`: {error}", path.display()));
            Exit::Io
        })
    }

    /// Shows what was reported; the exit code that it amounts to.
    fn verdict(&mut self, sink: Sink, sources: &Sources) -> Exit {
        for diagnostic in sink.diagnostics() {
            let text = match self.format {
                MessageFormat::Json => json(diagnostic, sources),
                MessageFormat::Short | MessageFormat::Full => short(diagnostic, sources),
            };
            self.say(&text);
        }
        if sink.has_errors() { Exit::Program } else { Exit::Success }
    }

    /// A line on stderr. A closed stream is no reason to fail.
    fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }

    /// Text on stdout. A closed stream is no reason to fail.
    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }
}

/// The `const`s, `param`s and `input`s of a model: what `--set` can name.
pub fn names_to_set(file: &File) -> Vec<&str> {
    let mut names = Vec::new();
    for item in &file.items {
        match &item.kind {
            ItemKind::Const(decls) | ItemKind::Input(decls) => {
                names.extend(decls.iter().map(|decl| &*decl.name.name));
            }
            ItemKind::Param(decls) => names.extend(decls.iter().map(|decl| &*decl.name.name)),
            _ => {}
        }
    }
    names
}

/// `m.node:3:5: error[E0703]: …`
fn short(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let severity = match diagnostic.severity() {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let Diagnostic { code, message, primary, .. } = diagnostic;
    match primary {
        Some(label) => {
            let place = sources.position(label.span.source, label.span.lo);
            let name = sources.name(label.span.source);
            format!("{name}:{}:{}: {severity}[{code}]: {message}", place.line, place.column)
        }
        None => format!("{severity}[{code}]: {message}"),
    }
}

/// One object on one line, every place with its file, line and column.
fn json(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let label = |label: &crate::diag::Label| {
        let (lo, hi) = (label.span.lo, label.span.hi);
        let from = sources.position(label.span.source, lo);
        let to = sources.position(label.span.source, hi);
        serde_json::json!({
            "file": sources.name(label.span.source),
            "bytes": [lo, hi],
            "from": { "line": from.line, "column": from.column },
            "to": { "line": to.line, "column": to.column },
            "text": label.text,
        })
    };
    let severity = match diagnostic.severity() {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let helps = diagnostic.helps.iter().map(|help| {
        let edits = help.edits.iter().map(|edit| {
            serde_json::json!({
                "file": sources.name(edit.span.source),
                "bytes": [edit.span.lo, edit.span.hi],
                "replacement": edit.text,
            })
        });
        serde_json::json!({ "text": help.text, "edits": edits.collect::<Vec<_>>() })
    });
    let object = serde_json::json!({
        "severity": severity,
        "code": diagnostic.code.0,
        "message": diagnostic.message,
        "primary": diagnostic.primary.as_ref().map(label),
        "secondary": diagnostic.secondary.iter().map(label).collect::<Vec<_>>(),
        "notes": diagnostic.notes,
        "helps": helps.collect::<Vec<_>>(),
    });
    object.to_string()
}
