//! Data files: what is read, and what each kind of bad file says and where it points.

use nodec::base::numbers::Numbers;
use nodec::base::span::{SourceId, Sources, Span};
use nodec::data::{Columns, Element, FieldRequest, Format as Kind, Loaded, Place, Request, load, schema};
use nodec::diag::render::{Format, render};
use nodec::diag::{Diagnostic, Sink};
use std::path::PathBuf;

/// A program of two fields; spans are found by looking for the words.
const PROGRAM: &str = "data pelts = csv(\"pelts.csv\") {\n  year: int[T]\n  hare: [T]\n}\n";

struct Attempt {
    loaded: Option<Loaded>,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
}

impl Attempt {
    /// The code and the message of the only diagnostic, and the text its primary span covers with
    /// its line and column.
    fn only(&self) -> (String, String, String) {
        let [diagnostic] = self.diagnostics.as_slice() else {
            panic!("expected one diagnostic, got {:#?}", self.diagnostics)
        };
        let span = diagnostic.primary.as_ref().expect("data errors have a place").span;
        let place = self.sources.position(span.source, span.lo);
        let at = format!(
            "{}:{}:{} {}",
            self.sources.name(span.source),
            place.line,
            place.column,
            self.sources.slice(span)
        );
        (diagnostic.code.to_string(), diagnostic.message.clone(), at)
    }
}

fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nodec-data-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn word(source: SourceId, word: &str) -> Span {
    let at = PROGRAM.find(word).unwrap();
    Span::new(source, at, at + word.len())
}

/// Loads `year: int[T]` and `hare: [T]` from a file with these bytes; none: no file.
fn read(test: &str, bytes: Option<&[u8]>, column: Option<&str>) -> Attempt {
    let folder = folder(test);
    if let Some(bytes) = bytes {
        std::fs::write(folder.join("pelts.csv"), bytes).unwrap();
    }
    let mut sources = Sources::new();
    let program = sources.add("lotka.node", PROGRAM);
    let mut sink = Sink::new();
    let field = |name: &str, ty: &str, element| FieldRequest {
        name: name.to_owned(),
        span: word(program, name),
        element,
        ty_span: word(program, ty),
        columns: Columns::Named,
        batch: false,
        rank: 1,
        ragged: false,
    };
    let mut hare = field("hare", "[T]\n}", Element::Real);
    hare.ty_span.hi -= 2;
    if let Some(column) = column {
        hare.columns = Columns::One(column.to_owned(), word(program, "hare"));
    }
    let request = Request {
        format: Kind::Csv,
        place: Place { path: "pelts.csv", folder: &folder, span: word(program, "\"pelts.csv\"") },
        by: None,
        fields: vec![field("year", "int[T]", Element::Int), hare],
    };
    let loaded = load(&request, &mut sources, &mut sink);
    std::fs::remove_dir_all(&folder).unwrap();
    Attempt { loaded, diagnostics: sink.into_diagnostics(), sources }
}

#[test]
fn columns_come_in_the_order_of_the_schema() {
    let text = b"\xef\xbb\xbfhare, note ,year\r\n30.0,\"a, \"\"b\"\"\",1900\r\n 4.72e1 ,,1901\r\n";
    let attempt = read("order", Some(text), None);
    let loaded = attempt.loaded.expect("the file is good");
    let numbers: Vec<Numbers> = loaded.arrays.into_iter().map(|array| array.numbers).collect();
    assert_eq!(numbers, [Numbers::I64(vec![1900, 1901]), Numbers::F64(vec![30.0, 47.2])]);
    assert_eq!((loaded.rows, loaded.digest.bytes), (2, text.len()));
    assert!(attempt.diagnostics.is_empty());
}

#[test]
fn another_name_for_a_column() {
    let attempt = read("named", Some(b"year,Hare (1000s)\n1900,30\n"), Some("Hare (1000s)"));
    assert_eq!(attempt.loaded.expect("the file is good").arrays[1].numbers, Numbers::F64(vec![30.0]));
}

#[test]
fn a_missing_file_names_the_folder() {
    let attempt = read("missing", None, None);
    let (code, message, at) = attempt.only();
    assert_eq!(code, "E0701");
    assert_eq!(message, "cannot read `pelts.csv`: there is no such file");
    assert_eq!(at, "lotka.node:1:18 \"pelts.csv\"");
    assert!(attempt.diagnostics[0].helps[0].text.contains("nodec-data-"));
}

#[test]
fn bytes_that_are_not_text() {
    let (code, message, _) = read("bytes", Some(b"year,hare\n1900,\xff\n"), None).only();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("E0701", "cannot read `pelts.csv`: it is not UTF-8 text (byte 15)")
    );
}

#[test]
fn an_empty_file_and_a_lone_header() {
    assert_eq!(read("empty", Some(b""), None).only().1, "`pelts.csv` is empty");
    let (code, message, _) = read("header", Some(b"year,hare\n"), None).only();
    assert_eq!((code.as_str(), message.as_str()), ("E0702", "`pelts.csv` has a header and no rows"));
}

#[test]
fn a_missing_column_is_suggested_whatever_its_case() {
    // LANGUAGE.md 4.14
    let attempt = read("column", Some(b"year,Hare,Lynx\n1900,30,4\n1901,47.2,6.1\n"), None);
    let (code, message, at) = attempt.only();
    assert_eq!((code.as_str(), message.as_str()), ("E0703", "`pelts.csv` has no column `hare`"));
    assert_eq!(at, "lotka.node:3:3 hare");
    let diagnostic = &attempt.diagnostics[0];
    assert_eq!(diagnostic.secondary[0].text, "has the columns `year`, `Hare`, `Lynx` (2 rows)");
    assert_eq!(diagnostic.helps[0].text, "`nodec schema pelts.csv` prints a declaration to paste");
    assert_eq!(diagnostic.helps[1].text, "say which column it is");
    let edit = &diagnostic.helps[1].edits[0];
    assert_eq!(edit.text, " = column(\"Hare\")");
    assert_eq!(edit.span.lo, edit.span.hi);
    assert!(PROGRAM[..edit.span.lo as usize].ends_with("hare: [T]"));
}

#[test]
fn an_explicit_column_that_is_missing_is_replaced() {
    let attempt = read("explicit", Some(b"year,Hare\n1900,30\n"), Some("hares"));
    assert_eq!(attempt.only().1, "`pelts.csv` has no column `hares`");
    assert_eq!(attempt.diagnostics[0].helps.len(), 1, "`hares` is not `Hare`: no guess is made");
}

#[test]
fn two_columns_of_one_name() {
    let attempt = read("twice", Some(b"year,hare,hare\n1900,1,2\n"), None);
    assert_eq!(attempt.only().1, "`pelts.csv` has two columns called `hare`");
    assert_eq!(attempt.sources.position(attempt.diagnostics[0].secondary[0].span.source, 10).column, 11);
}

#[test]
fn a_ragged_row_is_shown_whole() {
    let (code, message, at) = read("ragged", Some(b"year,hare\n1900,30\n1901,47.2,6\n"), None).only();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("E0704", "row 2 of `pelts.csv` has 3 cells, the header has 2")
    );
    assert_eq!(at, "pelts.csv:3:1 1901,47.2,6");
}

#[test]
fn a_bad_cell_is_shown_in_the_file() {
    let cases: [(&[u8], &str, &str); 7] = [
        (
            b"year,hare\n1900,many\n",
            "row 1, column `hare`: expected a number, found `many`",
            "pelts.csv:2:6 many",
        ),
        (b"year,hare\n1900,30\n1901,NaN\n", "row 2, column `hare`: the cell is NaN", "pelts.csv:3:6 NaN"),
        (b"year,hare\n1900,30\n1901,NA\n", "row 2, column `hare`: the cell is NaN", "pelts.csv:3:6 NA"),
        (b"year,hare\n1900, \n", "row 1, column `hare`: the cell is empty", "pelts.csv:2:7 "),
        (b"year,hare\n1900,1e999\n", "row 1, column `hare`: the number is not finite", "pelts.csv:2:6 1e999"),
        (
            b"hare,year\n\"3\", 19.5\n",
            "row 1, column `year`: expected a whole number, found `19.5`",
            "pelts.csv:2:6 19.5",
        ),
        (
            b"note,hare,year\n\"a\n, b\",x,1\n",
            "row 1, column `hare`: expected a number, found `x`",
            "pelts.csv:3:6 x",
        ),
    ];
    for (at, (bytes, message, place)) in cases.into_iter().enumerate() {
        let (code, found, found_place) = read(&format!("cell{at}"), Some(bytes), None).only();
        assert_eq!((code.as_str(), found.as_str(), found_place.as_str()), ("E0705", message, place));
    }
}

#[test]
fn a_column_of_bad_cells_is_one_message() {
    let attempt = read("many", Some(b"year,hare\n1,a\n2,b\n3,c\n"), None);
    assert_eq!(attempt.only().1, "row 1, column `hare`: expected a number, found `a`");
    assert_eq!(attempt.diagnostics[0].notes, ["2 more cells of this column are like this"]);
}

#[test]
fn a_schema_to_paste() {
    let text = "Year,mean temp (C),site\n1900,3.5,x\n1901,4,y\n";
    let expected = "data weather = csv(\"weather.csv\") {\n  Year: [T]\n  \
                    mean_temp_C: [T] = column(\"mean temp (C)\")\n  \
                    # `site` is not numbers: row 1 holds `x`\n}\n";
    assert_eq!(schema("weather.csv", text.as_bytes()).as_deref(), Ok(expected));
    assert!(schema("weather.csv", b"").is_err());
}

#[test]
fn a_missing_column_reads_as_in_the_gallery() {
    // LANGUAGE.md 4.14
    let folder = folder("gallery");
    let rows: String = (1900..1921).map(|year| format!("{year},30.0,4.0\n")).collect();
    std::fs::write(folder.join("hudson_bay.csv"), format!("Year,Hare,Lynx\n{rows}")).unwrap();
    let text = "## Pelts.\n\ndata pelts = csv(\"hudson_bay.csv\") {\n  year: [T] = column(\"Year\")\n  hare: [T]\n}\n";
    let mut sources = Sources::new();
    let program = sources.add("lotka.node", text);
    let span = |word: &str| {
        let at = text.find(word).unwrap();
        Span::new(program, at, at + word.len())
    };
    let hare = span("hare: [T]");
    let request = Request {
        format: Kind::Csv,
        place: Place { path: "hudson_bay.csv", folder: &folder, span: span("\"hudson_bay.csv\"") },
        by: None,
        fields: vec![FieldRequest {
            name: String::from("hare"),
            span: Span { hi: hare.lo + 4, ..hare },
            element: Element::Real,
            ty_span: Span { lo: hare.lo + 6, ..hare },
            columns: Columns::Named,
            batch: false,
            rank: 1,
            ragged: false,
        }],
    };
    let mut sink = Sink::new();
    assert!(load(&request, &mut sources, &mut sink).is_none());
    let shown = render(sink.diagnostics(), &sources, Format::Full, false);
    let expected = r#"error[E0703]: `hudson_bay.csv` has no column `hare`
 --> lotka.node:5:3
  |
3 | data pelts = csv("hudson_bay.csv") {
  |                  ---------------- has the columns `Year`, `Hare`, `Lynx` (21 rows)
4 |   year: [T] = column("Year")
5 |   hare: [T]
  |   ^^^^ declared here
  |
  = help: `nodec schema hudson_bay.csv` prints a declaration to paste
help: say which column it is
  |
5 |   hare: [T] = column("Hare")
  |             ++++++++++++++++

"#;
    assert_eq!(shown, expected, "\n{shown}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_bad_cell_is_rendered_with_its_line_of_the_file() {
    let attempt = read("rendered", Some(b"year,hare\n1900,30.0\n1901,many\n"), None);
    let shown = render(&attempt.diagnostics, &attempt.sources, Format::Full, false);
    let expected = "\
error[E0705]: row 2, column `hare`: expected a number, found `many`
 --> pelts.csv:3:6
  |
3 | 1901,many
  |      ^^^^ not a number
  |
 ::: lotka.node:3:3
  |
3 |   hare: [T]
  |   ---- declared here as numbers

";
    assert_eq!(shown, expected, "\n{shown}");
}
