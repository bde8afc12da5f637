//! What `--help` says, as it is read. `UPDATE=1` rewrites `help.txt`.

use std::ffi::OsString;
use std::path::Path;

#[test]
fn help_texts_are_as_they_were_read() {
    let commands: [&[&str]; 12] = [
        &[],
        &["run"],
        &["eval"],
        &["check"],
        &["grad"],
        &["fmt"],
        &["show"],
        &["doc"],
        &["explain"],
        &["config"],
        &["schema"],
        &["new"],
    ];
    let mut texts = String::new();
    for command in commands {
        let args = std::iter::once("nodec").chain(command.iter().copied()).chain(["--help"]);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = nodec::cli::run(args.clone().map(OsString::from), &mut out, &mut err);
        assert_eq!((exit, err.len()), (nodec::cli::Exit::Success, 0));
        let line: Vec<&str> = args.collect();
        let text = String::from_utf8(out).unwrap();
        let text: Vec<&str> = text.lines().map(str::trim_end).collect();
        texts += &format!("$ {}\n{}\n\n", line.join(" "), text.join("\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &texts).unwrap();
    }
    assert_eq!(texts, std::fs::read_to_string(path).unwrap());
}
