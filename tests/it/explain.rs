//! The pages of `nodec explain`: their wrong programs are wrong in the way the page says, and
//! their right programs are not.

use nodec::base::span::Sources;
use nodec::diag::codes::{ALL, Row, lookup};
use nodec::diag::{Code, Sink};
use nodec::settings::{Request, resolve};
use nodec::{Diagnostics, Model};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The codes a program gets, beside the files of its page.
type Check = fn(&str, &Path) -> Vec<Code>;

/// What finds the codes of a band; `None` where no program of a page could.
fn checker(row: &Row) -> Option<Check> {
    match row.code.0 {
        // About the file of the program, and about the machine.
        "E0700" | "E0805" => None,
        "E0801" | "E0802" | "E0808" => Some(settings),
        "W0801" => Some(unread),
        "E0311" | "E0803" | "E0804" | "E0806" | "E0807" | "E0810" => Some(run),
        "E0908" => Some(gradients),
        code if code.starts_with("E09") || code == "W0901" => Some(run),
        code if code.starts_with("E07") => Some(built),
        "W0510" | "W0520" | "W0610" | "W0701" => Some(checked),
        code if code.starts_with("E01") && code != "E0112" => Some(parse),
        // Said by `sema`, whose tests run its pages.
        code => {
            let of_sema = ["E0112", "E02", "E03", "E04", "E05", "E06", "W05", "W06"];
            assert!(of_sema.iter().any(|band| code.starts_with(band)), "nothing runs the page of {code}");
            None
        }
    }
}

fn parse(text: &str, _: &Path) -> Vec<Code> {
    let mut sources = Sources::new();
    let source = sources.add("page.node", text);
    let mut sink = Sink::new();
    nodec::syntax::parse(source, text, &mut sink);
    sink.into_diagnostics().into_iter().map(|diagnostic| diagnostic.code).collect()
}

fn settings(text: &str, _: &Path) -> Vec<Code> {
    let mut sources = Sources::new();
    let source = sources.add("page.node", text);
    let mut sink = Sink::new();
    let file = nodec::syntax::parse(source, text, &mut sink).file;
    let request = Request { file: &file, profile: None, flags: &[], names: &[] };
    let resolved = resolve(&request, &mut sources, &mut sink);
    assert_eq!(resolved.is_none(), sink.has_errors());
    sink.into_diagnostics().into_iter().map(|diagnostic| diagnostic.code).collect()
}

fn codes(said: &Diagnostics) -> Vec<Code> {
    said.iter().map(|diagnostic| diagnostic.code).collect()
}

fn model(text: &str, folder: &Path) -> Result<Model, Diagnostics> {
    Model::from_text("page.node", text, folder.to_path_buf())
}

/// What `nodec check` says.
fn checked(text: &str, folder: &Path) -> Vec<Code> {
    let said = model(text, folder).and_then(|model| model.bind().check());
    codes(&said.unwrap_or_else(|errors| errors))
}

/// What stands in the way of a run.
fn built(text: &str, folder: &Path) -> Vec<Code> {
    let built = model(text, folder).and_then(|model| model.bind().build());
    codes(&built.err().unwrap_or_default())
}

/// The settings of the profile `fast` that nothing reads.
fn unread(text: &str, folder: &Path) -> Vec<Code> {
    let model = model(text, folder).expect("the program is right but for its settings");
    codes(&model.bind().profile("fast").unread_settings())
}

/// Fits what has a `train` block and solves the rest.
fn run(text: &str, folder: &Path) -> Vec<Code> {
    let built = model(text, folder).and_then(|model| Ok((model.bind().build()?, model)));
    let (mut run, model) = match built {
        Ok(built) => built,
        Err(diagnostics) => return codes(&diagnostics),
    };
    let ran = match model.is_trainable() {
        true => run.fit(|_| ControlFlow::Continue(())).map(|fit| fit.solution),
        false => run.solve(),
    };
    match ran {
        Ok(solution) => codes(&run.doubts(solution.own_errors())),
        Err(error) => codes(error.diagnostics()),
    }
}

/// What `nodec check --gradients` says.
fn gradients(text: &str, folder: &Path) -> Vec<Code> {
    let run =
        model(text, folder).and_then(|model| model.bind().build()).unwrap_or_else(|error| panic!("{error}"));
    let wrong = run.check_gradients().unwrap_or_else(|error| panic!("{error}"));
    wrong.iter().map(|diagnostic| diagnostic.code).collect()
}

/// The programs of a page that are of a kind, at least one.
fn blocks<'a>(row: &Row, page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```node {kind}\n");
    let opened = page.split(fence.as_str()).skip(1);
    let blocks = opened.map(|rest| match rest.find("\n```") {
        Some(end) => &rest[..=end],
        None => panic!("{} has an open block", row.code),
    });
    let blocks: Vec<&str> = blocks.collect();
    assert!(!blocks.is_empty(), "{} has no {kind} program", row.code);
    blocks
}

/// A folder with the tables of a page, which goes when it is done with.
struct Folder(PathBuf);

impl Folder {
    fn of(row: &Row) -> Folder {
        let folder = std::env::temp_dir().join(format!("nodec-explain-{}-{}", std::process::id(), row.code));
        for table in row.page.split("```csv ").skip(1) {
            let (name, rest) = table.split_once('\n').expect("a name");
            let text = rest.split("```").next().expect("a block ends");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), text).unwrap();
        }
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_page_is_headed_by_its_code_and_title() {
    for row in ALL {
        assert_eq!(row.page.lines().next(), Some(format!("# {}: {}", row.code, row.title).as_str()));
    }
}

#[test]
fn wrong_programs_are_wrong_and_right_ones_right() {
    for row in ALL {
        let Some(check) = checker(row) else { continue };
        let folder = Folder::of(row);
        for program in blocks(row, row.page, "wrong") {
            let wrong = check(program, &folder.0);
            assert!(wrong.contains(&row.code), "{}: the wrong program gives {wrong:?}:\n{program}", row.code);
        }
        for program in blocks(row, row.page, "right") {
            assert_eq!(check(program, &folder.0), [], "{}: the right program\n{program}", row.code);
        }
    }
}

#[test]
fn codes_are_in_order_and_found() {
    assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
    assert_eq!(lookup("e0110").map(|row| row.code), Some(Code("E0110")));
    assert_eq!(lookup("E9999"), None);
}
