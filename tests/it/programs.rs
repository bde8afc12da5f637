//! The programs of the design, as texts.

use std::path::Path;

/// Names and texts, in the order of their names.
pub fn all() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/programs");
    let mut programs: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("a readable entry").path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("a readable program")))
        .collect();
    programs.sort();
    assert!(programs.len() >= 15);
    programs
}
