//! Where the command keeps machine code.

use crate::backend::store::CodeCache;
use std::ffi::OsString;
use std::path::PathBuf;

/// The folder of this user, by the environment, in which `var` looks up a name: `NODEC_CACHE`, which turns it off
/// if it is empty or `off`, else `nodec` in the platform's folder for what can be made again. On Windows, where
/// nothing here tells whether others may write to a folder, there is none unless it is named.
pub fn of_user(var: impl Fn(&str) -> Option<OsString>) -> Option<CodeCache> {
    match var("NODEC_CACHE") {
        Some(named) if named.is_empty() || named == "off" => None,
        Some(named) => Some(CodeCache::at(named)),
        None => Some(CodeCache::at(of_platform(var)?.join("nodec"))),
    }
}

/// The XDG base directory specification, 0.8: a relative path is not heeded. On a Mac, the file system
/// programming guide's.
fn of_platform(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match (cfg!(windows), cfg!(target_vendor = "apple")) {
        (true, _) => None,
        (_, true) => Some(absolute("HOME")?.join("Library").join("Caches")),
        (_, false) => absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))),
    }
}

#[cfg(all(test, unix, not(target_vendor = "apple")))]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_the_environment() {
        let folder = |vars: &[(&str, &str)]| {
            let var = |name: &str| vars.iter().find(|(own, _)| *own == name).map(|(_, value)| value.into());
            of_user(var).map(|cache| cache.folder().to_path_buf())
        };
        let home = ("HOME", "/home/me");
        assert_eq!(folder(&[home]), Some("/home/me/.cache/nodec".into()));
        assert_eq!(folder(&[home, ("XDG_CACHE_HOME", "/tmp/x")]), Some("/tmp/x/nodec".into()));
        assert_eq!(folder(&[home, ("XDG_CACHE_HOME", "x")]), Some("/home/me/.cache/nodec".into()));
        assert_eq!(folder(&[home, ("NODEC_CACHE", "here")]), Some("here".into()));
        assert_eq!(folder(&[home, ("NODEC_CACHE", "off")]), None);
        assert_eq!(folder(&[home, ("NODEC_CACHE", "")]), None);
        assert_eq!(folder(&[]), None);
    }
}
