//! The house rules that the compiler does not check: who may import whom, where `unsafe` lives,
//! how long a file may grow.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of `src/` with the modules it may import: the table of the crate documentation.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("diag", &["base"]),
    ("syntax", &["base", "diag"]),
    ("ir", &["base"]),
    ("solve", &["base"]),
    ("sema", &["base", "diag", "syntax", "ir", "ad"]),
    ("ad", &["base", "diag", "ir"]),
    ("opt", &["base", "ir", "ad"]),
    ("lower", &["base", "diag", "ir"]),
    ("backend", &["base", "lower"]),
    ("plan", &["base", "diag", "ir", "ad", "opt", "lower", "backend", "solve"]),
    ("data", &["base", "diag"]),
];

/// Where `unsafe` may stand.
const UNSAFE_ROOMS: &[&str] =
    &["src/backend/cranelift/abi.rs", "src/backend/wide/", "src/backend/dense/", "src/backend/ptx/"];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let entries = fs::read_dir(folder).expect("the source folder is readable");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder entry").path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join("src"), &mut paths);
    let relative = |path: &PathBuf| path.strip_prefix(root).expect("inside the package").to_path_buf();
    paths.iter().map(|path| (relative(path), fs::read_to_string(path).expect("source text"))).collect()
}

/// The part of a file before its unit tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// Every top-level module named after `crate::` on a line that is code.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    let mut modules = BTreeSet::new();
    for line in code {
        for rest in line.split("crate::").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            modules.insert(name);
        }
    }
    modules
}

#[test]
fn layers_import_downwards_only() {
    let known: BTreeSet<&str> = MAY_IMPORT.iter().map(|(module, _)| *module).collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(module) = path.iter().nth(1).and_then(|part| part.to_str()) else { continue };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else { continue };
        for import in imports(product(&text)) {
            let module_like = known.contains(import.as_str())
                || ["engine", "settings", "pipeline", "train", "cli"].contains(&import.as_str());
            if module_like && import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the table does not have:\n{}", wrong.join("\n"));
}

#[test]
fn back_ends_see_the_loop_ir_and_nothing_else_of_lower() {
    for (path, text) in sources() {
        if path.starts_with("src/backend") {
            for part in product(&text).split("crate::lower::").skip(1) {
                let name: String =
                    part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                assert!(
                    ["loops", "print", "verify"].contains(&name.as_str()),
                    "{} uses lower::{name}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_has_its_rooms() {
    for (path, text) in sources() {
        let room = UNSAFE_ROOMS.iter().any(|room| path.to_string_lossy().starts_with(room));
        let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
        for (number, line) in code.enumerate() {
            let word = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| w == "unsafe");
            assert!(room || !word, "{}:{}: `unsafe` outside its rooms", path.display(), number + 1);
        }
    }
}

#[test]
fn files_hold_one_thing() {
    for (path, text) in sources() {
        let lines = product(&text).lines().count();
        assert!(lines <= 700, "{} has {lines} lines; it probably holds two things", path.display());
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} has no module documentation", path.display());
    }
}
