//! Builds the parser from `node.lalrpop` into the build directory, and takes a digest of the source files, by
//! which machine code is told from that of other builds (`backend::kept`).

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=grammar/node.lalrpop");
    println!("cargo::rerun-if-changed=grammar/build.rs");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=NODEC_SOURCES={:016x}", digest(Path::new("src")));
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    lalrpop::Configuration::new()
        .emit_report(false)
        .set_in_dir("grammar")
        .set_out_dir(out)
        .process()
        .expect("the grammar has no conflicts");
}

/// Of every file of Rust in `folder`, with its name.
fn digest(folder: &Path) -> u64 {
    let mut paths = Vec::new();
    find(folder, &mut paths);
    paths.sort();
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let text = std::fs::read(&path).expect("source files are readable");
        for part in [path.to_string_lossy().as_bytes(), &text] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }
    hasher.finish()
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the source folder is readable") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            find(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
